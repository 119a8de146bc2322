//! A backend that accepts everything and does nothing: kernel operations end at once, with zero. What they open is the
//! null device.
//!
//! For programs that want to be checked without a kernel, and as the floor of measurements. Timers, semaphores,
//! notifications, messages and sequences work as ever. A watch of a handle is never answered: whoever registers an event
//! source, a relay of a handle, a shared notification or a fence is taken in, as everything is, and told nothing.

use super::{Ended, Waker};
#[cfg(unix)]
use crate::ops::Interest;
#[cfg(unix)]
use crate::ops::Kind;
use crate::record::Erased;
use crate::table::Key;
use std::collections::VecDeque;
#[cfg(unix)]
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use weft_sync::atomic::Ordering;
use weft_sync::park::Word;
use weft_sync::{Deadline, Result};

/// Whoever opens something gets something open: zero is a handle, too, and somebody else's.
fn opened() -> std::result::Result<i64, i32> {
    #[cfg(unix)]
    {
        let opened = crate::open_handle::nothing().map_err(|errno| errno.raw_os_error())?;
        Ok(i64::from(opened.into_raw_fd()))
    }
    #[cfg(not(unix))]
    Ok(0)
}

/// See the header.
pub(crate) struct Null {
    word: Arc<Word>,
    seen: u32,
    ended: VecDeque<(u32, Erased)>,
    #[cfg(unix)]
    unwatched: VecDeque<u64>,
}

impl Null {
    pub(crate) fn new() -> (Null, Waker) {
        let word = Arc::new(Word::new(0));
        let null = Null {
            word: Arc::clone(&word),
            seen: 0,
            ended: VecDeque::new(),
            #[cfg(unix)]
            unwatched: VecDeque::new(),
        };
        (null, Waker::Word(word))
    }

    pub(crate) fn bind(&mut self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn room(&mut self) -> usize {
        usize::MAX
    }

    pub(crate) fn push(&mut self, key: Key, operation: Erased, _is_linked: bool) {
        self.ended.push_back((key.index, operation));
    }

    pub(crate) fn cancel(&mut self, _key: Key) {}

    #[cfg(unix)]
    pub(crate) fn poll(&mut self, _number: u64, _fd: std::os::fd::BorrowedFd<'_>, _interest: Interest) {}

    #[cfg(unix)]
    pub(crate) fn cancel_poll(&mut self, number: u64) {
        self.unwatched.push_back(number);
    }

    pub(crate) fn is_due(&mut self) -> bool {
        false
    }

    #[inline]
    pub(crate) fn is_brief(&self) -> bool {
        false
    }

    pub(crate) fn exchange(&mut self, wait: Option<Deadline>) -> Result<()> {
        let Some(deadline) = wait else { return Ok(()) };
        if self.is_idle() {
            // Whatever ends the sleep, the caller looks again.
            let _ = self.word.sleep(self.seen, deadline);
        }
        // Pairs with the Release in `Waker::wake`.
        self.seen = self.word.value().load(Ordering::Acquire);
        Ok(())
    }

    pub(crate) fn next(&mut self) -> Option<Ended> {
        #[cfg(unix)]
        if let Some(number) = self.unwatched.pop_front() {
            return Some(Ended::Watch { number, result: -rustix::io::Errno::CANCELED.raw_os_error() });
        }
        let (slot, operation) = self.ended.pop_front()?;
        let outcome = match operation.kind() {
            kind if kind.gives_handle() => opened(),
            // Nobody calls, and nothing comes.
            #[cfg(unix)]
            Kind::SocketAccept | Kind::SocketRecv | Kind::SocketRecvPool | Kind::SocketRecvFrom => {
                Err(rustix::io::Errno::OPNOTSUPP.raw_os_error())
            }
            _ => Ok(0),
        };
        Some(Ended::Operation { slot, operation, outcome })
    }

    pub(crate) fn close(&mut self) {}

    fn is_idle(&self) -> bool {
        #[cfg(unix)]
        if !self.unwatched.is_empty() {
            return false;
        }
        self.ended.is_empty()
    }
}
