//! Signals of the system, told to whoever subscribes.
//!
//! | file             | what lives there                                                        |
//! |------------------|-------------------------------------------------------------------------|
//! | `mod.rs`         | [`Signal`], [`SignalSubscription`], who owns the signals, dispatch      |
//! | `disposition.rs` | what the process does with a signal: handlers, masks, the signalfd      |
//!
//! 1. **One proactor owns the signals of the process**: the one of the first subscription, until it ends.
//! 2. **A signal comes by one of two ways.** If every thread blocks it (see [`block_default_signals`]), it stays pending
//!    and a signalfd has it. If some thread does not, the handler runs there and leaves a note. So no thread that was
//!    running before the first subscription takes the default action, and no mask is changed but by that function.
//!    A signal that was sent to one thread alone (`raise`, `pthread_kill`), while that thread blocks it, is pending for that
//!    thread: a signalfd shows it to nobody else, so unless it is the poll thread's, it is not told.
//! 3. **The dispatch** runs on the poll thread, when the signalfd or the event of the handler is readable: it takes in
//!    both, and calls the subscribers of each signal in the order in which they subscribed. Deliveries of one signal that
//!    came before count as one.
//! 4. **The end of a subscription is now**, as with every registration (`gate.rs`). The last one of a signal takes in what
//!    is pending of it, and puts back what the process did with it before.
//! 5. No callback runs, and none is dropped, under the lock of the owner.
//! 6. A callback that panics ends its own subscription, and nothing else; nor does one that panics when it is dropped.
#![cfg(all(target_os = "linux", not(loom)))]

mod disposition;

pub use disposition::{block_default_signals, ignore_broken_pipe};

use crate::Handle;
use crate::gate::Gate;
use crate::ops::{Interest, Ready};
use crate::proactor::{Panics, Verdict, Watching};
use crate::shared::Shared;
use disposition::{Disposition, Pending};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};
use weft_sync::atomic::{Mutex, lock};
use weft_sync::{Result, Status, bail};

/// A signal that can be subscribed to.
///
/// ```
/// use weft_io::Signal;
/// assert_eq!(Signal::from_id(2)?, Signal::Terminate);
/// assert_eq!(Signal::Terminate.name(), "TERMINATE");
/// assert_eq!((Signal::name_of(0), Signal::name_of(9)), ("NONE", "UNKNOWN"));
/// assert!(Signal::from_id(0).is_err());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Signal {
    /// Somebody at the keyboard wants an end.
    Interrupt = 1,
    /// Somebody else does.
    Terminate = 2,
    /// The terminal is gone.
    Hangup = 3,
    /// As an interrupt, and with a picture of the memory.
    Quit = 4,
    /// Free for programs.
    User1 = 5,
    /// Free for programs.
    User2 = 6,
}

impl Signal {
    /// All of them.
    pub const ALL: [Signal; 6] =
        [Signal::Interrupt, Signal::Terminate, Signal::Hangup, Signal::Quit, Signal::User1, Signal::User2];

    /// The signal of this number, which is not the system's. `INVALID_ARGUMENT`: there is none.
    pub fn from_id(id: u32) -> Result<Signal> {
        match Signal::find(id) {
            Some(signal) => Ok(signal),
            None => bail!(InvalidArgument, "signal {id} ({}) cannot be subscribed to", Signal::name_of(id)),
        }
    }

    /// Its number, which is not the system's.
    pub fn id(self) -> u32 {
        self as u32
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "INTERRUPT",
            Signal::Terminate => "TERMINATE",
            Signal::Hangup => "HANGUP",
            Signal::Quit => "QUIT",
            Signal::User1 => "USER1",
            Signal::User2 => "USER2",
        }
    }

    /// The name of a number: `NONE` for 0, `UNKNOWN` for one that is no signal's.
    pub fn name_of(id: u32) -> &'static str {
        match (id, Signal::find(id)) {
            (0, _) => "NONE",
            (_, Some(signal)) => signal.name(),
            (_, None) => "UNKNOWN",
        }
    }

    fn find(id: u32) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| signal.id() == id)
    }

    fn index(self) -> usize {
        self as usize - 1
    }
}

/// A callback that is told of a signal. Ends when dropped: when that returns, the callback is not running and does not run
/// again. So the drop waits while the callback runs on the poll thread, unless it is the callback that drops it: whoever
/// drops it holds no lock that the callback takes, else both wait for ever.
///
/// Signals that are sent to one thread alone are told if that thread does not block them, or is the poll thread.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
/// use weft_io::{Config, Signal, SignalSubscription, open};
/// # let Ok(proactor) = open("uring", &Config::new()) else { return Ok(()) };
/// let mut poller = proactor.into_poller()?;
/// let is_asked = Arc::new(AtomicBool::new(false));
/// let asked = is_asked.clone();
/// let subscription = SignalSubscription::new(poller.handle(), Signal::User1, move |_| {
///     asked.store(true, Ordering::Relaxed);
/// })?;
/// rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).unwrap();
/// while !is_asked.load(Ordering::Relaxed) {
///     poller.poll(weft_sync::Deadline::NEVER)?;
/// }
/// drop(subscription);
/// # weft_sync::Result::Ok(())
/// ```
#[must_use = "the subscription ends when this is dropped"]
pub struct SignalSubscription(
    /// `None` where there are no signals.
    Option<Arc<Subscriber>>,
);

struct Subscriber {
    signal: Signal,
    gate: Gate,
    /// Locked by the poll thread alone.
    callback: Mutex<Box<dyn FnMut(Signal) + Send>>,
}

impl SignalSubscription {
    /// Tells `callback` of a signal, on the poll thread, from now on. The first subscription of the process makes its
    /// proactor the owner of all of them.
    ///
    /// `FAILED_PRECONDITION`: another proactor is the owner. `ABORTED`: the proactor is gone. A backend that hears no
    /// signals ([`SignalSubscription::are_supported`]) gives a subscription that is told nothing.
    pub fn new(
        handle: &Handle,
        signal: Signal,
        callback: impl FnMut(Signal) + Send + 'static,
    ) -> Result<SignalSubscription> {
        if !SignalSubscription::are_supported(handle) {
            return Ok(SignalSubscription(None));
        }
        let callback: Box<dyn FnMut(Signal) + Send> = Box::new(callback);
        let subscriber = Arc::new(Subscriber { signal, gate: Gate::new(), callback: Mutex::new(callback) });
        let mut owner = lock(&OWNER);
        if owner.as_ref().is_some_and(|owner| owner.proactor != handle.0.id) {
            bail!(FailedPrecondition, "another proactor has the signals of this process");
        }
        let claimed = match owner.take() {
            Some(claimed) => claimed,
            None => Owner::claim(&handle.0)?,
        };
        let owner = owner.insert(claimed);
        if !owner.has(signal) {
            owner.disposition.begin(signal)?;
        }
        owner.subscribers.push(Arc::clone(&subscriber));
        Ok(SignalSubscription(Some(subscriber)))
    }

    /// Whether the proactor of this handle hears signals.
    pub fn are_supported(handle: &Handle) -> bool {
        handle.describe().backend != "null"
    }
}

impl Drop for SignalSubscription {
    fn drop(&mut self) {
        let Some(subscriber) = self.0.take() else { return };
        subscriber.gate.close();
        let mut owner = lock(&OWNER);
        let left = owner.as_mut().and_then(|owner| owner.leave(&subscriber));
        // Rule 5.
        drop(owner);
        drop(left);
    }
}

impl fmt::Debug for SignalSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_ref().map_or("NONE", |subscriber| subscriber.signal.name());
        write!(f, "SignalSubscription({name})")
    }
}

/// Who has the signals of the process.
static OWNER: Mutex<Option<Owner>> = Mutex::new(None);

struct Owner {
    proactor: u32,
    shared: Weak<Shared>,
    disposition: Disposition,
    /// In the order of subscription.
    subscribers: Vec<Arc<Subscriber>>,
    /// Of the signalfd, and of the handler's event.
    watches: [u64; 2],
}

impl Owner {
    fn claim(shared: &Arc<Shared>) -> Result<Owner> {
        let disposition = Disposition::new()?;
        let mut watches = [0; 2];
        for (place, pending) in watches.iter_mut().zip(disposition.pending()) {
            let watch = SignalWatch { proactor: shared.id, pending };
            *place = shared.watch(Box::new(watch)).map_err(|(why, _watch)| why)?;
        }
        let (proactor, shared) = (shared.id, Arc::downgrade(shared));
        Ok(Owner { proactor, shared, disposition, subscribers: Vec::new(), watches })
    }

    fn has(&self, signal: Signal) -> bool {
        self.subscribers.iter().any(|subscriber| subscriber.signal == signal)
    }

    /// Rule 4.
    fn leave(&mut self, subscriber: &Arc<Subscriber>) -> Option<Arc<Subscriber>> {
        let place = self.subscribers.iter().position(|other| Arc::ptr_eq(other, subscriber))?;
        let left = self.subscribers.remove(place);
        if !self.has(left.signal) {
            self.disposition.end(left.signal);
        }
        Some(left)
    }

    /// Gives the signals of a proactor that goes free.
    fn release(proactor: u32) {
        let gone = {
            let mut owner = lock(&OWNER);
            let Some(mut gone) = owner.take_if(|owner| owner.proactor == proactor) else { return };
            // Under the lock: the next owner would take the handler from here for what was there before, and this end would
            // take it away from under that one.
            for signal in Signal::ALL {
                if gone.has(signal) {
                    gone.disposition.end(signal);
                }
            }
            gone
        };
        if let Some(shared) = gone.shared.upgrade() {
            gone.watches.iter().for_each(|&watch| shared.unwatch(watch));
        }
        let mut panics = Panics::default();
        for subscriber in gone.subscribers {
            panics.catch(|| drop(subscriber));
        }
        panics.let_out();
    }
}

/// Rule 3.
fn dispatch(proactor: u32) {
    let arrived = match &*lock(&OWNER) {
        Some(owner) if owner.proactor == proactor => owner.disposition.take(),
        _ => return,
    };
    let mut panics = Panics::default();
    for signal in arrived {
        let told: Vec<Arc<Subscriber>> = match &*lock(&OWNER) {
            Some(owner) => owner.subscribers.iter().filter(|one| one.signal == signal).cloned().collect(),
            None => Vec::new(),
        };
        for subscriber in told {
            if let Some(pass) = subscriber.gate.enter() {
                let told = panics.catch(|| lock(&subscriber.callback)(signal));
                drop(pass);
                if told.is_none() {
                    // Rule 6.
                    subscriber.gate.close();
                    let left = lock(&OWNER).as_mut().and_then(|owner| owner.leave(&subscriber));
                    // Not the last: one is here.
                    drop(left);
                }
            }
            // Whoever subscribed may have left meanwhile.
            panics.catch(|| drop(subscriber));
        }
    }
    panics.let_out();
}

/// The watch of one of the two ways by which signals come.
#[derive(Debug)]
struct SignalWatch {
    proactor: u32,
    pending: Pending,
}

impl Watching for SignalWatch {
    fn handle(&self) -> BorrowedFd<'_> {
        self.pending.as_fd()
    }

    fn interest(&self) -> Interest {
        Interest::IN
    }

    fn ready(&mut self, ready: Result<Ready>) -> Verdict {
        match ready {
            Ok(_) => {
                dispatch(self.proactor);
                Verdict::Again
            }
            Err(_) => {
                Owner::release(self.proactor);
                Verdict::Done
            }
        }
    }

    /// Rule 6: the dispatch was done, and the others are told again.
    fn has_panicked(&mut self) -> Verdict {
        Verdict::Again
    }

    fn end(self: Box<Self>, _why: Status) {
        Owner::release(self.proactor);
    }
}
