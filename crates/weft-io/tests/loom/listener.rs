//! A listener is on the list of its proactor once, and no signal goes unheard.

use super::{Plain, model};
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;
use std::sync::Arc;
use weft_io::model::Mark;

/// A listener, and a list that holds it or does not.
struct World {
    mark: Mark,
    /// The listener's link: of whoever pushes, then of the poll thread until it takes the mark off.
    link: Plain<u32>,
    is_listed: AtomicBool,
    /// One more with each signal, without any order of its own.
    epoch: AtomicU32,
}

impl World {
    fn signal(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        if self.mark.set() {
            self.link.set(self.link.get() + 1);
            assert!(!self.is_listed.swap(true, Ordering::Release), "it is listed twice");
        }
    }

    /// The poll thread takes what is listed, and looks at the epoch.
    fn hear(&self) -> u32 {
        if !self.is_listed.swap(false, Ordering::Acquire) {
            return 0;
        }
        assert!(self.link.get() > 0);
        self.mark.take_off();
        self.epoch.load(Ordering::Relaxed)
    }
}

/// Two signals while the poll thread hears: it has the listener to itself while it is listed, and in the end it has seen
/// the last epoch. [async-backends 92]
#[test]
fn a_signal_leaves_the_look_to_one_that_is_to_come() {
    model(|| {
        let world = Arc::new(World {
            mark: Mark::default(),
            link: Plain::new(0),
            is_listed: AtomicBool::new(false),
            epoch: AtomicU32::new(0),
        });
        let threads = [(); 2].map(|()| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.signal())
        });
        let mut seen = 0;
        // The model gives up if nobody lists it any more.
        while seen < 2 {
            seen = seen.max(world.hear());
            thread::yield_now();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
