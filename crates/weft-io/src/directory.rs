//! The proactors of this process.
//!
//! What lives here: adding one, and reaching all of them: by that, whoever closes a socket tells everybody who may wait for
//! it. What does not: what those do then (`proactor/socket.rs`).
//!
//! A socket does not know who waits for it: that would cost every operation something, and almost none is closed while
//! another proactor waits. Whoever closes such a one tells everybody.
#![cfg(all(unix, not(loom)))]

use crate::shared::Shared;
use std::sync::{Arc, Weak};
use weft_sync::atomic::{Mutex, lock};

/// All proactors of this process.
static ALL: Mutex<Directory> = Mutex::new(Directory { known: Vec::new(), look_at: 0 });

/// So few are not looked through.
const FEW: usize = 16;

/// All that were made and, as far as somebody has looked, are not gone.
struct Directory {
    known: Vec<Weak<Shared>>,
    /// With so many it is time to look again who has gone: twice those that were there the last time.
    look_at: usize,
}

impl Directory {
    fn add(&mut self, shared: &Arc<Shared>) {
        if self.known.len() >= self.look_at {
            self.known.retain(|other| other.strong_count() > 0);
            self.look_at = FEW.max(self.known.len() * 2);
        }
        self.known.push(Arc::downgrade(shared));
    }
}

/// Adds one that was just made.
pub(crate) fn add(shared: &Arc<Shared>) {
    lock(&ALL).add(shared);
}

/// Calls `tell` with everybody but this one, under no lock.
pub(crate) fn others(own: &Arc<Shared>, tell: impl FnMut(Arc<Shared>)) {
    let all: Vec<Arc<Shared>> = lock(&ALL).known.iter().filter_map(Weak::upgrade).collect();
    all.into_iter().filter(|other| !Arc::ptr_eq(other, own)).for_each(tell);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Config, open_null};

    /// Proactors that come and go do not make it longer for ever.
    #[test]
    fn those_that_go_are_forgotten() {
        let mut directory = Directory { known: Vec::new(), look_at: 0 };
        let stays = open_null(&Config::new());
        directory.add(&stays.handle().0);
        for _ in 0..1000 {
            directory.add(&open_null(&Config::new()).handle().0);
            assert!(directory.known.len() <= FEW + 1);
        }
        assert_eq!(directory.known.iter().filter_map(Weak::upgrade).count(), 1);
    }

    #[test]
    fn others_are_reached() {
        let (one, other) = (open_null(&Config::new()), open_null(&Config::new()));
        let (mut is_there, mut is_self) = (false, false);
        others(&other.handle().0, |found| {
            is_there |= Arc::ptr_eq(&found, &one.handle().0);
            is_self |= Arc::ptr_eq(&found, &other.handle().0);
        });
        assert_eq!((is_there, is_self), (true, false));
    }
}
