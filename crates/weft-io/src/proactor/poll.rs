//! Who may poll, and what a poll does.
//!
//! What lives here: [`Proactor`], [`Poller`], the loop, the end of a proactor. What does not: operations (`core.rs`).
//!
//! 1. **One thread polls, for good.** A [`Proactor`] may be sent anywhere; [`Proactor::into_poller`] binds it to the
//!    calling thread, and a [`Poller`] cannot leave it. Callbacks are `Send` and own what they use, so none can reach a
//!    poller, and none can poll.
//! 2. **A poll** takes in what was submitted, cancelled and posted; runs progress callbacks; hands over and waits, in one
//!    system call; then delivers timers, completions, what has ended in software, and messages. What callbacks make
//!    ready is delivered too, in a bounded number of passes; what is left after that keeps the next poll from waiting.
//! 3. **Before it waits** it announces that on the doorbell. Whatever was published before that makes the announcement
//!    fail, and whatever comes after it wakes. See `doorbell.rs`.
//! 4. **What callbacks submit to the kernel goes with the next poll's system call**, not with one of its own.
//! 5. **The end drains.** Nothing is accepted any more, everything is cancelled, and every operation is called back
//!    before the poller is gone, whatever callbacks do.
//! 6. **A panic** of what users gave leaves the poll when that is over, see `panics.rs`; none leaves the drop of a poller.

use super::Core;
use super::core::Tally;
use super::panics::attempt;
use super::progress::Progress;
use crate::alarm::Alarm;
use crate::backend::Backend;
use crate::handle::Handle;
use crate::shared::Shared;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use weft_sync::{Deadline, Result};

/// How often one poll goes round for what its own callbacks made ready.
const PASSES_MAX: usize = 32;

/// A proactor that no thread polls yet. Operations may be submitted already; they start with the first poll.
///
/// Dropped, it ends them with `CANCELLED`, on the dropping thread.
pub struct Proactor(Ending);

impl Proactor {
    pub(crate) fn new(shared: Arc<Shared>, mut backend: Backend) -> Proactor {
        backend.introduce(shared.id);
        Proactor(Ending(Some(Core::new(shared, backend))))
    }

    /// What every thread may use.
    pub fn handle(&self) -> &Handle {
        &self.0.core().handle
    }

    /// Makes the calling thread the one that polls, for good. A failure of the system leaves nothing behind.
    pub fn into_poller(mut self) -> Result<Poller> {
        self.0.core_mut().backend.bind()?;
        self.0.core().handle.0.home.bind();
        Ok(Poller {
            ending: self.0,
            progress: Progress::default(),
            on_message: None,
            alarm: None,
            thread: PhantomData,
        })
    }
}

impl fmt::Debug for Proactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proactor({:?})", self.handle())
    }
}

type MessageCallback = Box<dyn FnMut(u64)>;

/// A proactor on its poll thread.
///
/// It does not leave the thread:
///
/// ```compile_fail,E0277
/// use weft_io::{Config, open_null};
/// let mut poller = open_null(&Config::new()).into_poller().unwrap();
/// std::thread::spawn(move || poller.handle().wake());
/// ```
///
/// and no callback can poll:
///
/// ```compile_fail,E0277
/// use weft_io::{Config, Operation, ops::Nop, open_null};
/// use weft_sync::Deadline;
/// let mut poller = open_null(&Config::new()).into_poller().unwrap();
/// let handle = poller.handle().clone();
/// let nop = Operation::new(Nop).on_done(move |_| drop(poller.poll(Deadline::IMMEDIATE)));
/// ```
///
/// Dropped, it cancels what is under way, waits until the kernel lets go of it, and calls everything back. Where threads
/// carry out what is done with files, it waits some seconds for what is stuck in the system: after that such operations are
/// left to their threads, which keep their memory, and are not called back.
pub struct Poller {
    ending: Ending,
    progress: Progress,
    on_message: Option<MessageCallback>,
    /// By which futures are woken, between two of them.
    pub(crate) alarm: Option<Arc<Alarm>>,
    /// The ring belongs to the thread.
    thread: PhantomData<*const ()>,
}

impl Poller {
    /// What every thread may use.
    pub fn handle(&self) -> &Handle {
        &self.ending.core().handle
    }

    /// The register of progress callbacks.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How many operations have started and not ended: what a drop of the poller would have to wait for.
    pub fn under_way(&self) -> usize {
        self.ending.core().live()
    }

    /// Calls `callback` for every message, on this thread; replaces what was there. Without one messages are dropped when
    /// their turn comes.
    pub fn on_message(&mut self, callback: impl FnMut(u64) + 'static) {
        self.on_message = Some(Box::new(callback));
    }

    /// Makes progress, until something has ended, somebody wakes, or the deadline passes.
    ///
    /// `Ok`: so many completions were delivered, those of sequence steps and progress callbacks included; zero after a
    /// wake, a message, or a watch. `DEADLINE_EXCEEDED`: nothing of that came before the deadline. Others: the system
    /// refused to wait.
    ///
    /// A callback that panics interrupts nothing: the others are called, then the first panic leaves the poll. Polling
    /// again is as good as ever.
    pub fn poll(&mut self, deadline: Deadline) -> Result<usize> {
        let outcome = self.poll_contained(deadline);
        self.ending.core_mut().let_panic_out();
        outcome
    }

    #[inline]
    fn poll_contained(&mut self, deadline: Deadline) -> Result<usize> {
        let core = self.ending.core_mut();
        core.tally = Tally::default();
        core.look();
        let has_progress = match self.progress.run(core) {
            Some(found) => {
                core.tally.count(found);
                true
            }
            None => false,
        };
        loop {
            core.turn(deadline, has_progress)?;
            core.settle(&mut self.on_message);
            if core.tally.completions > 0 || core.tally.is_done {
                return Ok(core.tally.completions);
            }
            if deadline.remaining().is_some_and(|left| left.is_zero()) {
                return Err(core.bare.deadline.clone());
            }
            if has_progress {
                return Ok(0);
            }
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        drop(Ending(self.ending.0.take()));
        // Rule 6: nobody is left whom a panic could be told.
        let callback = self.on_message.take();
        attempt(|| drop(callback));
        self.progress.clear();
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Poller({:?})", self.handle())
    }
}

impl Core {
    /// Hands over, waits if there is reason to, and takes in what came.
    fn turn(&mut self, deadline: Deadline, may_not_wait: bool) -> Result<()> {
        self.feed();
        let is_over =
            may_not_wait || deadline.is_immediate() || self.tally.completions > 0 || self.tally.is_done;
        let wait = match is_over || self.is_ready() {
            true => None,
            // A timer that is over is a deadline that is over: the wait will be none.
            false => Some(self.timers.first().map_or(deadline, |first| first.min(deadline))),
        };
        if wait.is_none() && !self.backend.is_due() {
            return Ok(());
        }
        // Whoever comes back at once needs no wake.
        let is_announced = wait.is_some() && !self.backend.is_brief();
        if is_announced {
            // Whoever sleeps needs nothing.
            self.shared().table.share();
            if !self.shared().doorbell.sleep() {
                // Somebody rang meanwhile: take that in, and come again.
                self.look();
                return Ok(());
            }
        }
        let outcome = self.backend.exchange(wait);
        // Also takes the announcement back.
        if is_announced {
            let bits = self.shared().doorbell.answer();
            self.take_in(bits);
        }
        outcome
    }

    /// Delivers what there is, and what that makes ready, up to a bound.
    fn settle(&mut self, on_message: &mut Option<MessageCallback>) {
        self.deliver();
        self.deliver_messages(on_message);
        for _ in 0..PASSES_MAX {
            self.shared().table.share_if_scarce();
            self.look();
            if !self.is_ready() {
                break;
            }
            self.feed();
            self.deliver_software();
            self.deliver_messages(on_message);
        }
        self.shared().table.share_if_wanted();
    }

    fn deliver_messages(&mut self, on_message: &mut Option<MessageCallback>) {
        if !std::mem::take(&mut self.has_messages) {
            return;
        }
        self.tally.is_done = true;
        let mut inbox = std::mem::take(&mut self.inbox);
        self.shared().mailbox.swap(&mut inbox);
        for payload in inbox.drain(..) {
            if let Some(callback) = on_message {
                self.contain(|| callback(payload));
            }
        }
        self.inbox = inbox;
    }

    /// Rule 5.
    fn close(&mut self) {
        let shared = Arc::clone(self.shared());
        shared.home.unbind();
        let closed = shared.pending.close();
        for mut head in [shared.pending.drain_own(), closed] {
            while head != crate::table::NONE {
                let after = shared.pending.after(head);
                self.cancel_chain(head);
                head = after;
            }
        }
        shared.mailbox.close();
        #[cfg(unix)]
        self.contain(|| shared.relays.close());
        #[cfg(unix)]
        self.end_watches();
        for slot in 0..shared.table.count() {
            shared.table.cancel_here(slot);
            self.cancel(slot);
            #[cfg(unix)]
            self.let_go(slot);
        }
        while !self.has_ended() {
            self.tally = Tally::default();
            let outcome = self.turn(Deadline::NEVER, false);
            self.settle(&mut None);
            if outcome.is_err() && self.tally.completions == 0 {
                // The kernel does not take calls any more, so nobody knows what it still uses: that is left to it, and
                // the operations that it has are not called back.
                break;
            }
        }
        self.contain(|| shared.rosters.close(shared.id));
        shared.table.share();
        shared.cancels.close();
        shared.fired.close();
        self.forget_panics();
    }

    fn has_ended(&self) -> bool {
        #[cfg(unix)]
        if !self.watches.is_empty() {
            return false;
        }
        self.is_idle()
    }
}

/// Ends the proactor when it is dropped.
struct Ending(Option<Core>);

impl Ending {
    fn core(&self) -> &Core {
        self.0.as_ref().expect("taken by drop alone")
    }

    fn core_mut(&mut self) -> &mut Core {
        self.0.as_mut().expect("taken by drop alone")
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(mut core) = self.0.take() {
            core.close();
            core.backend.close();
        }
    }
}
