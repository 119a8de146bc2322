//! Notifications whose epoch several processes share.
//!
//! What lives here: [`SharedEnds`], `Outside`, by which a notification reaches other processes and hears them. What does
//! not: the notification (`notification.rs`), the memory (`shared_memory.rs`).
//!
//! 1. The epoch is a word that everybody maps. Threads sleep on it, of whatever process, so they need no handle.
//! 2. Proactors hear through handles: whoever signals writes to its `signal` end, and whoever reads the other side of
//!    that has it as its `wake` end. A `wake` end belongs to one notification: what one takes from it, another would miss.
//! 3. The proactor of a wait, or of a relay, watches the `wake` end by an `Ear`: one for each proactor, begun by the first
//!    that listens (after it is on the listener's list), ended at the first signal that finds nobody listening. Both
//!    decide under `ears`, so nobody listens without an ear.
//! 4. An ear empties the handle and then has every listener of the notification look at the epoch, those of other
//!    proactors too: what it took was theirs as well. What is left in a handle from earlier ends nobody's wait.
//! 5. Observers are counted in each process for itself, so a signal cannot know that there are none: it wakes always.
//! 6. A `wake` end that has hung up or fails says nothing any more: waits end with `UNAVAILABLE`, and it is let go.
#![cfg(all(target_os = "linux", not(loom)))]

use crate::end_of_input::{is_shut, no_more_comes};
use crate::listener::Listener;
use crate::ops::{Interest, Ready};
use crate::proactor::{Verdict, Watching};
use crate::roster::Roster;
use crate::shared::Shared;
use crate::shared_memory::SharedWord;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use weft_sync::atomic::{AtomicU32, Mutex, Ordering, lock};
use weft_sync::{Deadline, Result, Status, bail};

/// How a shared notification reaches other processes. All handles stay the caller's, and must not block.
#[derive(Clone, Debug, Default)]
pub struct SharedEnds {
    /// Readable after others have signalled; nobody else reads it. `None`: operations cannot wait for this notification,
    /// but threads can.
    pub wake: Option<Arc<OwnedFd>>,
    /// Written to by every signal. `None`: no proactor of another process hears of it.
    pub signal: Option<Arc<OwnedFd>>,
}

impl SharedEnds {
    fn check(&self) -> Result<()> {
        for (name, end) in [("wake", &self.wake), ("signal", &self.signal)] {
            let Some(end) = end else { continue };
            match rustix::fs::fcntl_getfl(end) {
                Ok(flags) if flags.contains(OFlags::NONBLOCK) => {}
                Ok(_) => bail!(InvalidArgument, "the {name} end of a shared notification must not block"),
                Err(errno) => bail!(InvalidArgument, "the {name} end of a shared notification: {errno}"),
            }
        }
        Ok(())
    }
}

/// What a shared notification has beyond one of its own process.
#[derive(Debug)]
pub(crate) struct Outside {
    word: SharedWord,
    ends: SharedEnds,
    /// Those of the notification.
    listeners: Arc<Roster<Listener>>,
    ears: Mutex<Vec<Ear>>,
    /// Rule 6.
    is_deaf: AtomicU32,
}

/// A watch of the wake end.
#[derive(Debug)]
struct Ear {
    proactor: u32,
    shared: Weak<Shared>,
    number: u64,
}

impl Outside {
    pub(crate) fn new(
        word: SharedWord,
        ends: SharedEnds,
        listeners: &Arc<Roster<Listener>>,
    ) -> Result<Arc<Outside>> {
        ends.check()?;
        let (listeners, ears) = (Arc::clone(listeners), Mutex::new(Vec::new()));
        Ok(Arc::new(Outside { word, ends, listeners, ears, is_deaf: AtomicU32::new(0) }))
    }

    #[inline]
    pub(crate) fn value(&self) -> &AtomicU32 {
        self.word.get()
    }

    /// As `park::Word::sleep`, among threads of all processes.
    pub(crate) fn sleep(&self, expected: u32, deadline: Deadline) -> bool {
        let left = deadline.remaining();
        if left.is_some_and(|left| left.is_zero()) {
            return false;
        }
        // A delay beyond the range of the kernel's clock is as good as none.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        // Every way in which this can fail is a reason to look again, which the caller does anyway.
        let _ = futex::wait(self.value(), Flags::empty(), expected, timeout.as_ref());
        true
    }

    /// Wakes threads of all processes, and proactors of others.
    pub(crate) fn wake(&self, count: u32) {
        if count > 0 {
            let _ = futex::wake(self.value(), Flags::empty(), count.min(i32::MAX as u32));
        }
        if let Some(end) = &self.ends.signal {
            write(end);
        }
    }

    /// Why operations cannot wait.
    pub(crate) fn check_waits(&self) -> Result<()> {
        if self.ends.wake.is_none() {
            bail!(FailedPrecondition, "the notification has no handle by which others are heard");
        }
        self.check_ear()
    }

    /// Whether others can still be heard.
    pub(crate) fn check_ear(&self) -> Result<()> {
        if self.is_deaf.load(Ordering::Relaxed) != 0 {
            bail!(Unavailable, "the wake end of the shared notification has hung up");
        }
        Ok(())
    }

    /// Has a proactor hear what others signal. Called after somebody has joined its listener.
    pub(crate) fn listen(self: &Arc<Self>, shared: &Arc<Shared>) {
        let Some(wake) = &self.ends.wake else { return };
        if self.check_ear().is_err() {
            return Listener::of(&self.listeners, shared).tell();
        }
        let mut ears = lock(&self.ears);
        if ears.iter().any(|ear| ear.proactor == shared.id) {
            return;
        }
        let hearing = Hearing { outside: Arc::downgrade(self), wake: Arc::clone(wake), proactor: shared.id };
        // A proactor that is gone has nobody left who listens.
        if let Ok(number) = shared.watch(Box::new(hearing)) {
            ears.push(Ear { proactor: shared.id, shared: Arc::downgrade(shared), number });
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        for ear in lock(&self.ears).drain(..) {
            if let Some(shared) = ear.shared.upgrade() {
                shared.unwatch(ear.number);
            }
        }
    }
}

/// Tells whoever polls the other side. A handle that is full tells already, and one whose other side is gone has nobody
/// to tell. May be called in a signal handler.
fn write(end: &OwnedFd) {
    while let Err(Errno::INTR) = rustix::io::write(end, &1_u64.to_ne_bytes()) {}
}

/// Takes what there is. `false`: nothing will come any more.
fn empty(end: &OwnedFd) -> bool {
    let mut sink = [0; 512];
    // What is left after so many is told anew: by level.
    for round in 0..16 {
        match rustix::io::read(end, &mut sink) {
            Ok(0) if no_more_comes(end) => return false,
            // Or an empty message.
            Ok(_) | Err(Errno::INTR) => {}
            // Ready, and nothing is there: somebody else took it, or it is ready for ever.
            Err(Errno::AGAIN) => return round > 0 || !is_shut(end),
            Err(_) => return false,
        }
    }
    true
}

/// The poll thread's side of an [`Ear`].
#[derive(Debug)]
struct Hearing {
    outside: Weak<Outside>,
    wake: Arc<OwnedFd>,
    proactor: u32,
}

impl Hearing {
    fn is_needed(&self, outside: &Outside) -> bool {
        let mut is_needed = false;
        outside.listeners.each(|listener: &Arc<Listener>| {
            is_needed |= listener.proactor == self.proactor && listener.is_listening();
        });
        is_needed
    }
}

impl Watching for Hearing {
    fn handle(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    fn interest(&self) -> Interest {
        Interest::IN
    }

    fn ready(&mut self, ready: Result<Ready>) -> Verdict {
        let Some(outside) = self.outside.upgrade() else { return Verdict::Done };
        let is_open =
            empty(&self.wake) && ready.is_ok_and(|ready| !ready.intersects(Ready::ERR | Ready::HUP));
        if !is_open {
            outside.is_deaf.store(1, Ordering::Relaxed);
        }
        // Rule 4. The mark of the listener publishes the line above.
        outside.listeners.each(|listener| listener.tell());
        let mut ears = lock(&outside.ears);
        if is_open && self.is_needed(&outside) {
            return Verdict::Again;
        }
        ears.retain(|ear| ear.proactor != self.proactor);
        Verdict::Done
    }

    fn end(self: Box<Self>, _why: Status) {
        if let Some(outside) = self.outside.upgrade() {
            lock(&outside.ears).retain(|ear| ear.proactor != self.proactor);
        }
    }
}
