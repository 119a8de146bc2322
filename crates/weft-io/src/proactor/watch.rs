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
use std::collections::HashMap;
use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use weft_sync::atomic::lock;
use weft_sync::{Result, Status};

/// What becomes of a watch that was told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Tell it again.
    #[allow(dead_code, reason = "for watches that stay: relays and event sources")]
    Again,
    /// It is over.
    #[allow(dead_code, reason = "for watches that are told once: fences")]
    Done,
}

/// Somebody who is told that a handle is ready, on the poll thread.
pub(crate) trait Watching: Debug + Send {
    /// What is watched. Stays open for as long as the watch.
    fn handle(&self) -> BorrowedFd<'_>;

    /// Which readiness.
    fn interest(&self) -> Interest;

    /// The handle is ready; or it cannot be watched, and then the verdict is `Done` in any case.
    fn ready(&mut self, ready: Result<Ready>) -> Verdict;

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
            }
        }
        self.watches.commands = commands;
    }

    fn begin_watch(&mut self, number: u64, watching: Box<dyn Watching>) {
        self.backend.poll(number, watching.handle(), watching.interest());
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
            return watch.watching.end(self.bare.cancelled.clone());
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
        if watch.watching.ready(ready) == Verdict::Again && can_go_on {
            self.begin_watch(number, watch.watching);
        }
    }

    /// The proactor goes away: every watch is asked to end, those not begun end at once.
    pub(super) fn end_watches(&mut self) {
        let commands = lock(&self.shared().commands).take().unwrap_or_default();
        for command in commands {
            match command {
                Command::Watch(_, watching) => watching.end(self.bare.cancelled.clone()),
                Command::Unwatch(number) => self.end_watch(number),
            }
        }
        let numbers: Vec<u64> = self.watches.by_number.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.end_watch(number));
    }
}
