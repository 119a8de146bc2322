#![allow(
    unsafe_code,
    reason = "handlers, masks and signalfds have no safe interface; every call is made here"
)]
//! What the process does with a signal.
//!
//! What lives here: [`Disposition`], the handler, [`block_default_signals`], [`ignore_broken_pipe`]. What does not: who is
//! told (`mod.rs`).
//!
//! # Safety
//!
//! 1. The handler touches atomics, reads a cell that was filled before it was installed, and makes one system call that
//!    leaves `errno` alone: all of it may be done in a signal handler.
//! 2. Sets and actions that are passed to the system are whole: made by the system's own functions, or zero, which is a
//!    valid value of both.
//! 3. What is put back was given by the system for the same signal, and only if the handler is still the one from here.

use super::Signal;
use crate::errno::failure;
use crate::event::{lower, new_eventfd, raise};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::{Arc, OnceLock};
use weft_sync::atomic::{AtomicU32, Ordering};
use weft_sync::{Result, WhileDoing};

/// Signals that have come and were not told: a bit for each, by index.
static NOTES: AtomicU32 = AtomicU32::new(0);
/// Readable while there are notes. Made once, for the handler may run at any time, on any thread.
static NOTED: OnceLock<OwnedFd> = OnceLock::new();

/// Blocks the six signals of [`Signal`] on this thread and those that it starts from now on: to be called first thing in
/// `main`. Then a signal interrupts nobody, and waits until it is polled for. Without it they are delivered as well.
pub fn block_default_signals() -> Result<()> {
    let set = set_of(Signal::ALL);
    // SAFETY: rule 2; null asks for nothing back.
    let errno = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
    match errno {
        0 => Ok(()),
        errno => Err(failure(Errno::from_raw_os_error(errno), "blocking signals")),
    }
}

/// Has writing to something that nobody reads fail, and not end the process. Rust programs begin like that; libraries in
/// other programs may not find it so.
pub fn ignore_broken_pipe() -> Result<()> {
    // SAFETY: ignoring runs no code.
    match unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } {
        libc::SIG_ERR => Err(last_failure("ignoring broken pipes")),
        _ => Ok(()),
    }
}

/// What the process does with subscribed signals, and what it did with them before.
pub(super) struct Disposition {
    signalfd: Arc<OwnedFd>,
    before: [Option<libc::sigaction>; Signal::ALL.len()],
}

/// One of the two handles by which signals are noticed.
#[derive(Debug)]
pub(super) enum Pending {
    Blocked(Arc<OwnedFd>),
    Handled(&'static OwnedFd),
}

impl AsFd for Pending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Pending::Blocked(fd) => fd.as_fd(),
            Pending::Handled(fd) => fd.as_fd(),
        }
    }
}

impl Disposition {
    pub(super) fn new() -> Result<Disposition> {
        noted().while_doing(|| "preparing for signals")?;
        let set = set_of([]);
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: rule 2; -1 asks for a new handle.
        let number = unsafe { libc::signalfd(-1, &raw const set, flags) };
        if number < 0 {
            return Err(last_failure("signalfd"));
        }
        // SAFETY: just made, and nobody else's.
        let signalfd = Arc::new(unsafe { OwnedFd::from_raw_fd(number) });
        Ok(Disposition { signalfd, before: [None; Signal::ALL.len()] })
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = Pending> {
        let handled = NOTED.get().map(Pending::Handled);
        [Pending::Blocked(Arc::clone(&self.signalfd))].into_iter().chain(handled)
    }

    /// The signal is to be noticed.
    pub(super) fn begin(&mut self, signal: Signal) -> Result<()> {
        let mut action = zeroed_action();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        let mut before = zeroed_action();
        // SAFETY: rules 1 and 2.
        let result = unsafe { libc::sigaction(number(signal), &raw const action, &raw mut before) };
        if result < 0 {
            return Err(last_failure("installing a signal handler"));
        }
        self.before[signal.index()] = Some(before);
        self.renew().inspect_err(|_| self.end(signal))
    }

    /// The signal is the process's own again. What is pending of it is taken in, and told to nobody.
    pub(super) fn end(&mut self, signal: Signal) {
        let Some(before) = self.before[signal.index()].take() else { return };
        self.collect();
        drop(self.renew());
        let mut current = zeroed_action();
        // SAFETY: rule 2; null changes nothing.
        let result = unsafe { libc::sigaction(number(signal), ptr::null(), &raw mut current) };
        if result == 0 && current.sa_sigaction == handler as *const () as libc::sighandler_t {
            // SAFETY: rule 3.
            unsafe { libc::sigaction(number(signal), &raw const before, ptr::null_mut()) };
        }
        // A handler that ran meanwhile is late.
        if NOTES.fetch_and(!(1 << signal.index()), Ordering::AcqRel) & !(1 << signal.index()) != 0
            && let Some(noted) = NOTED.get()
        {
            // What else was collected is told in its turn.
            raise(noted);
        }
    }

    /// What has come since the last call.
    pub(super) fn take(&self) -> impl Iterator<Item = Signal> + use<> {
        if let Some(noted) = NOTED.get() {
            lower(noted);
        }
        self.collect();
        // Pairs with the Release in `handler`. After the event was emptied: a later note raises it again.
        let notes = NOTES.swap(0, Ordering::AcqRel);
        Signal::ALL.into_iter().filter(move |signal| notes & 1 << signal.index() != 0)
    }

    /// Notes what is pending.
    fn collect(&self) {
        /// What the kernel writes for each signal; its number comes first.
        const INFO_BYTES: usize = size_of::<libc::signalfd_siginfo>();
        let mut space = [0; 16 * INFO_BYTES];
        loop {
            match rustix::io::read(&self.signalfd, &mut space) {
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    for info in space[..count].chunks_exact(INFO_BYTES) {
                        let (number, _) = info.split_first_chunk().unwrap_or((&[0; 4], &[]));
                        note(u32::from_ne_bytes(*number) as i32);
                    }
                }
            }
        }
    }

    /// Has the signalfd notice what is subscribed to.
    fn renew(&self) -> Result<()> {
        let subscribed = Signal::ALL.into_iter().filter(|signal| self.before[signal.index()].is_some());
        let set = set_of(subscribed);
        // SAFETY: rule 2; the handle is a signalfd.
        match unsafe { libc::signalfd(self.signalfd.as_raw_fd(), &raw const set, 0) } {
            -1 => Err(last_failure("signalfd")),
            _ => Ok(()),
        }
    }
}

/// The event of the handler.
fn noted() -> Result<&'static OwnedFd> {
    if let Some(noted) = NOTED.get() {
        return Ok(noted);
    }
    let made = new_eventfd()?;
    Ok(NOTED.get_or_init(|| made))
}

extern "C" fn handler(number: libc::c_int) {
    note(number);
    if let Some(noted) = NOTED.get() {
        raise(noted);
    }
}

fn note(arrived: i32) {
    if let Some(signal) = Signal::ALL.into_iter().find(|&signal| number(signal) == arrived) {
        NOTES.fetch_or(1 << signal.index(), Ordering::AcqRel);
    }
}

fn number(signal: Signal) -> libc::c_int {
    match signal {
        Signal::Interrupt => libc::SIGINT,
        Signal::Terminate => libc::SIGTERM,
        Signal::Hangup => libc::SIGHUP,
        Signal::Quit => libc::SIGQUIT,
        Signal::User1 => libc::SIGUSR1,
        Signal::User2 => libc::SIGUSR2,
    }
}

/// A set of these signals.
fn set_of(signals: impl IntoIterator<Item = Signal>) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: writes to the place it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: rule 2.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: rule 2; the number is a signal's.
        unsafe { libc::sigaddset(&raw mut set, number(signal)) };
    }
    set
}

fn zeroed_action() -> libc::sigaction {
    // SAFETY: rule 2: the default action, no flags, an empty mask.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn last_failure(what: &str) -> weft_sync::Status {
    let error = std::io::Error::last_os_error();
    failure(Errno::from_io_error(&error).unwrap_or(Errno::IO), what)
}
