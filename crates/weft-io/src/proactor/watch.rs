//! Handles that are watched for something else than an operation.
//!
//! What lives here: [`Watching`], the contract of whoever is told, and `Watches`. What does not: what they do when they are
//! told; nobody else needs to know.
//!
//! 1. A watch is asked for from any thread ([`Shared::watch`](crate::shared::Shared::watch)) and taken back from any
//!    thread (`unwatch`); both are commands that the poll thread carries out in order.
//! 2. The kernel is asked for one answer at a time. An answer is told by `ready`; `Again` asks anew, so what is still
//!    ready is told again: by level, not by edge, and nothing is lost when a queue overflows.
//! 3. The watch owns its handle, and is dropped only when the kernel has no question of it left.
//! 4. It ends once: by `Verdict::Done`, or by `end` after it was taken back or the proactor went away.

use super::core::Core;
use crate::ops::{Interest, Ready};
use crate::shared::Command;
use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use weft_sync::atomic::lock;
use weft_sync::{Result, Status};

/// What becomes of a watch that was told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Tell it again.
    Again,
    /// It is over.
    Done,
}

/// Somebody who is told that a handle is ready, on the poll thread.
pub(crate) trait Watching: Any + Debug + Send {
    /// What is watched. Stays open for as long as the watch.
    fn handle(&self) -> BorrowedFd<'_>;

    /// Which readiness.
    fn interest(&self) -> Interest;

    /// The handle is ready; or it cannot be watched, and then the verdict is `Done` in any case.
    fn ready(&mut self, ready: Result<Ready>) -> Verdict;

    /// Whether it is told again after `ready` has panicked.
    fn has_panicked(&mut self) -> Verdict {
        Verdict::Done
    }

    /// Nothing more will be told.
    fn end(self: Box<Self>, why: Status);
}

/// Every watch of a proactor, by number.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_number: HashMap<u64, Watch>,
    /// Commands that are being carried out, and the empty list for the next.
    commands: Vec<Command>,
}

#[derive(Debug)]
struct Watch {
    watching: Box<dyn Watching>,
    /// Taken back; its end follows with the kernel's answer.
    is_leaving: bool,
}

impl Watches {
    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}

impl Core {
    pub(super) fn take_commands(&mut self) {
        let mut commands = std::mem::take(&mut self.watches.commands);
        if let Some(left) = &mut *lock(&self.shared().commands) {
            std::mem::swap(left, &mut commands);
        }
        for command in commands.drain(..) {
            match command {
                Command::Watch(number, watching) => self.begin_watch(number, watching),
                Command::Unwatch(number) => self.end_watch(number),
                Command::Errand(errand) => _ = self.contain(|| errand.run()),
                Command::Closed(socket) => _ = self.cancel_lanes(&socket),
            }
        }
        self.watches.commands = commands;
    }

    fn begin_watch(&mut self, number: u64, watching: Box<dyn Watching>) {
        // A handle may come from an `AsFd` of users.
        let Some(handle) = self.contain(|| watching.handle()) else {
            self.contain(|| drop(watching));
            return;
        };
        self.backend.poll(number, handle, watching.interest());
        self.watches.by_number.insert(number, Watch { watching, is_leaving: false });
    }

    fn end_watch(&mut self, number: u64) {
        if let Some(watch) = self.watches.by_number.get_mut(&number)
            && !watch.is_leaving
        {
            watch.is_leaving = true;
            self.backend.cancel_poll(number);
        }
    }

    /// The kernel's answer: bits of `poll(2)`, or an error.
    pub(super) fn tell_watch(&mut self, number: u64, result: i32) {
        let Some(mut watch) = self.watches.by_number.remove(&number) else { return };
        if watch.is_leaving {
            let why = self.bare.cancelled.clone();
            self.contain(|| watch.watching.end(why));
            return;
        }
        self.tally.is_done = true;
        let ready = match u32::try_from(result) {
            Ok(bits) => Ok(Ready::from_poll(bits)),
            Err(_) => {
                let errno = rustix::io::Errno::from_raw_os_error(result.wrapping_neg());
                Err(crate::errno::failure(errno, "watching a handle"))
            }
        };
        let can_go_on = ready.is_ok();
        let told = self.contain(|| watch.watching.ready(ready));
        let verdict = told.or_else(|| self.contain(|| watch.watching.has_panicked()));
        match verdict {
            Some(Verdict::Again) if can_go_on => self.begin_watch(number, watch.watching),
            _ => _ = self.contain(|| drop(watch)),
        }
    }

    /// The proactor goes away: every watch is asked to end, those not begun end at once.
    pub(super) fn end_watches(&mut self) {
        let commands = lock(&self.shared().commands).take().unwrap_or_default();
        for command in commands {
            match command {
                Command::Watch(_, watching) => {
                    let why = self.bare.cancelled.clone();
                    self.contain(|| watching.end(why));
                }
                Command::Unwatch(number) => self.end_watch(number),
                Command::Errand(errand) => _ = self.contain(|| drop(errand)),
                // Everything is ended anyway.
                Command::Closed(socket) => drop(socket),
            }
        }
        let numbers: Vec<u64> = self.watches.by_number.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.end_watch(number));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::event::{lower, new_eventfd, raise};
    use crate::{Config, open};
    use std::os::fd::{AsFd, OwnedFd};
    use std::sync::{Arc, Mutex};
    use weft_sync::Deadline;

    #[derive(Debug)]
    struct Counting {
        fd: Arc<OwnedFd>,
        log: Arc<Mutex<Vec<&'static str>>>,
        verdict: Verdict,
        is_drained: bool,
    }

    impl Watching for Counting {
        fn handle(&self) -> BorrowedFd<'_> {
            self.fd.as_fd()
        }

        fn interest(&self) -> Interest {
            Interest::IN
        }

        fn ready(&mut self, ready: Result<Ready>) -> Verdict {
            assert_eq!(ready.unwrap(), Ready::IN);
            if self.is_drained {
                assert!(lower(&self.fd));
            }
            self.log.lock().unwrap().push("ready");
            self.verdict
        }

        fn end(self: Box<Self>, _why: Status) {
            self.log.lock().unwrap().push("end");
        }
    }

    /// Watches are told by level, again and again or once; one that is taken back, or outlives the proactor, is told so.
    #[test]
    fn watches_are_told_and_end() {
        let config = Config { ring_entries: 4, ..Config::new() };
        let Ok(proactor) = open("uring", &config) else { return };
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&proactor.handle().0);
        let watch = |verdict, is_drained| {
            let fd = Arc::new(new_eventfd().unwrap());
            let log = Arc::clone(&log);
            let watching = Counting { fd: Arc::clone(&fd), log, verdict, is_drained };
            (fd, shared.watch(Box::new(watching)).map_err(|(why, _)| why).unwrap())
        };
        let take = || std::mem::take(&mut *log.lock().unwrap());
        // Before the first poll.
        let (drained, number) = watch(Verdict::Again, true);
        let (level, level_number) = watch(Verdict::Again, false);
        let (once, once_number) = watch(Verdict::Done, false);
        let mut poller = proactor.into_poller().unwrap();
        assert!(poller.poll(Deadline::IMMEDIATE).is_err());
        for _ in 0..3 {
            raise(&drained);
            assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0, "told, not counted");
            assert_eq!(take(), ["ready"]);
        }
        raise(&once);
        assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
        assert_eq!(take(), ["ready"]);
        assert!(poller.poll(Deadline::IMMEDIATE).is_err(), "once");
        raise(&level);
        for _ in 0..3 {
            assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0, "still readable");
            assert_eq!(take(), ["ready"]);
        }
        // Taken back twice, and together with one that has ended; more than the ring holds at once.
        [number, number, level_number, once_number].iter().for_each(|&number| shared.unwatch(number));
        let many: Vec<_> = (0..50).map(|_| watch(Verdict::Again, true)).collect();
        while log.lock().unwrap().len() < 2 {
            drop(poller.poll(Deadline::IMMEDIATE));
        }
        assert_eq!(take(), ["end"; 2]);
        raise(&many[49].0);
        assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
        assert_eq!(take(), ["ready"]);
        let late = watch(Verdict::Again, true);
        drop(poller);
        assert_eq!(take(), ["end"; 51]);
        drop(late);
        let fd = Arc::new(new_eventfd().unwrap());
        let watching = Counting { fd, log: Arc::clone(&log), verdict: Verdict::Done, is_drained: true };
        assert!(shared.watch(Box::new(watching)).is_err());
    }
}
