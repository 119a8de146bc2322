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

/// All that were made and, as far as somebody has looked, are not gone.
static ALL: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// Adds one that was just made.
pub(crate) fn add(shared: &Arc<Shared>) {
    let mut all = lock(&ALL);
    if all.len() == all.capacity() {
        // Before there is room for more: at most half of it is of those that are gone, or it is small.
        all.retain(|other| other.strong_count() > 0);
    }
    all.push(Arc::downgrade(shared));
}

/// Calls `tell` with everybody but this one, under no lock.
pub(crate) fn others(own: &Arc<Shared>, tell: impl FnMut(Arc<Shared>)) {
    let all: Vec<Arc<Shared>> = lock(&ALL).iter().filter_map(Weak::upgrade).collect();
    all.into_iter().filter(|other| !Arc::ptr_eq(other, own)).for_each(tell);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Config, open_null};

    /// Proactors that come and go do not make it longer for ever.
    #[test]
    fn those_that_go_are_forgotten() {
        let stays = open_null(&Config::new());
        for _ in 0..1000 {
            drop(open_null(&Config::new()));
        }
        // Other tests have some, too.
        assert!(lock(&ALL).len() < 500);
        let mut is_there = false;
        let other = open_null(&Config::new());
        others(&other.handle().0, |found| is_there |= Arc::ptr_eq(&found, &stays.handle().0));
        assert!(is_there);
    }
}
