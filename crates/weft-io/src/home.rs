//! Whether the calling thread is the one that polls.
//!
//! What lives here: [`Home`]. What does not: what that thread may leave out (`shared.rs`, `future.rs`).
//!
//! A thread is named by the address of something of its own: no two threads that run have the same, and nothing is asked
//! of the system. A later thread may have it again. Then the earlier one is gone, and with it whoever polled: what is
//! left out is then left out of a proactor that nobody will poll.

use crate::handoff::Where;
use weft_sync::atomic::{AtomicUsize, Ordering};

/// No thread.
const NOWHERE: usize = 0;

/// See the header.
#[derive(Debug)]
pub(crate) struct Home(AtomicUsize);

impl Home {
    /// No thread polls yet.
    pub(crate) fn new() -> Home {
        Home(AtomicUsize::new(NOWHERE))
    }

    /// The calling thread polls from now on.
    pub(crate) fn bind(&self) {
        self.0.store(here(), Ordering::Relaxed);
    }

    /// No thread polls any more.
    pub(crate) fn unbind(&self) {
        self.0.store(NOWHERE, Ordering::Relaxed);
    }

    /// Whether the calling thread is the one that polls.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        // Relaxed: a thread sees its own stores, and no other's number is its own. The threads of a model share one
        // thread, so none of them is at home there.
        !cfg!(loom) && self.0.load(Ordering::Relaxed) == here()
    }

    /// The same, to those that share an operation with the poll thread.
    #[inline]
    pub(crate) fn place(&self) -> Where {
        if self.is_here() { Where::Home } else { Where::Anywhere }
    }
}

/// The calling thread.
#[inline]
fn here() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::ops::NotificationSignal;
    use crate::{Config, Done, Notification, Operation, open, open_null};
    use std::sync::{Arc, Mutex};
    use weft_sync::{Code, Deadline};

    /// [async 18] What is submitted after another submission is known of starts after it, whether the poll thread submits
    /// or another one. What the poll thread submits itself can be cancelled before it has started, and ends with the
    /// poller.
    #[test]
    fn submissions_start_in_the_order_in_which_threads_know_of_them() {
        let config = Config::new();
        let proactors = [Some(open_null(&config)), open("uring", &config).ok()];
        for proactor in proactors.into_iter().flatten() {
            let mut poller = proactor.into_poller().unwrap();
            let handle = poller.handle().clone();
            let log = Arc::new(Mutex::new(Vec::new()));
            let changed = Arc::new(Notification::new());
            let signal = |name: &'static str| {
                let log = Arc::clone(&log);
                let signal = NotificationSignal { notification: Arc::clone(&changed), count: 1 };
                Operation::new(signal).on_done(move |done: Done<NotificationSignal>| {
                    log.lock().unwrap().push((name, done.result.err().map(|why| why.code())));
                })
            };
            let take = || std::mem::take(&mut *log.lock().unwrap());
            let elsewhere = |name| {
                std::thread::scope(|scope| {
                    scope.spawn(|| handle.submit(signal(name)).unwrap()).join().unwrap()
                })
            };
            for _ in 0..2 {
                handle.submit(signal("here")).unwrap();
                let mut batch = handle.batch();
                batch.add(signal("as a batch")).unwrap();
                batch.then(signal("linked")).unwrap();
                batch.submit().unwrap();
                elsewhere("there");
                handle.submit(signal("back")).unwrap();
                elsewhere("there again");
                assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 6);
                // What is linked starts when the one before has ended.
                let order = ["here", "as a batch", "linked", "there", "back", "there again"];
                let told = take();
                assert_eq!(told.len(), 6);
                let without = |left_out: &str, names: Vec<&'static str>| -> Vec<&'static str> {
                    names.into_iter().filter(|name| *name != left_out).collect()
                };
                let names = told.iter().map(|(name, code)| code.map_or(*name, |_| "failed")).collect();
                assert_eq!(without("linked", names), without("linked", order.to_vec()));
            }
            let never = handle.submit(signal("never")).unwrap();
            handle.cancel(never).unwrap();
            assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 1);
            assert_eq!(take(), [("never", Some(Code::Cancelled))]);
            handle.submit(signal("at the end")).unwrap();
            drop(poller);
            assert_eq!(take(), [("at the end", Some(Code::Cancelled))]);
            assert_eq!(handle.submit(signal("late")).unwrap_err().why.code(), Code::Aborted);
        }
    }
}
