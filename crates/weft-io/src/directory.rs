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

/// All that there are, by number.
static ALL: Mutex<Vec<(u32, Weak<Shared>)>> = Mutex::new(Vec::new());

/// Part of a proactor: with it goes its place here.
#[derive(Debug)]
pub(crate) struct Listed(u32);

impl Listed {
    /// For the proactor of this number, which is added once it is made.
    pub(crate) fn new(number: u32) -> Listed {
        Listed(number)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&ALL).retain(|(number, _)| *number != self.0);
    }
}

/// Adds one that was just made.
pub(crate) fn add(shared: &Arc<Shared>) {
    lock(&ALL).push((shared.id, Arc::downgrade(shared)));
}

/// Calls `tell` with everybody but this one, under no lock.
pub(crate) fn others(own: &Arc<Shared>, tell: impl FnMut(Arc<Shared>)) {
    let all: Vec<Arc<Shared>> = lock(&ALL).iter().filter_map(|(_, other)| other.upgrade()).collect();
    all.into_iter().filter(|other| !Arc::ptr_eq(other, own)).for_each(tell);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Config, open_null};

    /// Proactors that come and go leave nothing here.
    #[test]
    fn those_that_go_are_forgotten() {
        let gone: Vec<u32> = (0..100).map(|_| open_null(&Config::new()).handle().0.id).collect();
        // Other tests have some, too.
        assert!(lock(&ALL).iter().all(|(number, _)| !gone.contains(number)));
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
