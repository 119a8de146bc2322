//! Relays: what becomes ready here is signalled there, inside a poll, with no callback in between.
//!
//! | file        | what lives there                                                              |
//! |-------------|-------------------------------------------------------------------------------|
//! | `mod.rs`    | [`RelayPlan`], [`Relay`]: what users make and hold; `Node`, what is told       |
//! | `source.rs` | handles that are watched for relays, notifications that relays listen to       |
//! | `sink.rs`   | [`RelaySink`]: how one fires                                                   |
//! | `hub.rs`    | all relays of a proactor                                                       |
//!
//! 1. **A relay is active, then done or faulted**, and stays that. Only an active one fires. It is done when it has fired
//!    once, unless it is persistent; when it was dropped; and when the proactor has gone.
//! 2. **A fault is told once**, to the error callback, and ends the relay: its source fails hard, or cannot be watched, or
//!    has hung up and is persistent, so that nothing would ever come again; or its sink does not take the signal.
//! 3. **Nothing is busy for nothing.** A source is watched by level and one question at a time, persistent relays take what
//!    lies in it before they fire, and one that is ready for ever because nothing comes any more is done or faulted at once.
//!    A source that never runs dry (`/dev/zero`, a writer that is faster) is another matter: there always is something, and
//!    its persistent relays stay active and fire in every turn of the poll.
//! 4. **One rule for errors**: an error or a hang-up makes a sensitive relay not fire, with or without something to read;
//!    a persistent one is faulted. Others fire for anything.
//! 5. **Relays of one handle share one watch**, so each of them fires, whoever takes what lies in the handle.
//! 6. **A panic** of a relay's error callback, or of what it was given as a handle, faults that relay. The others of its
//!    source are told as ever.
//! 7. Everything that a relay uses is its own until it ends, and closed then, if nobody else has it: a source given whole
//!    is closed, one given as an `Arc` only let go, and so are the sink and the error callback, although somebody holds
//!    the [`Relay`]. The handle of a watch is let go when the kernel has no question left.
#![cfg(unix)]

mod hub;
mod sink;
mod source;

pub(crate) use hub::Hub;
pub use sink::RelaySink;
pub use source::RelaySource;

use crate::Handle;
use crate::gate::Gate;
use crate::proactor::Panics;
use hub::Place;
use std::fmt;
use std::sync::Arc;
use weft_sync::atomic::{AtomicU32, Mutex, Ordering, lock};
use weft_sync::{Result, Status, bail};

type OnFault = Box<dyn FnOnce(Status) + Send>;

/// A relay that is not registered.
///
/// ```
/// use std::sync::Arc;
/// use weft_io::{Config, Event, Notification, RelayPlan, RelaySink, RelaySource, open_null};
/// use weft_sync::Deadline;
/// let mut poller = open_null(&Config::new()).into_poller()?;
/// let (changed, event) = (Arc::new(Notification::new()), Event::new()?);
/// let source = RelaySource::notification(changed.clone());
/// let relay = RelayPlan::new(source, RelaySink::event(event.clone()))
///     .persistent()
///     .register(poller.handle())
///     .map_err(|refused| refused.why)?;
/// for _ in 0..3 {
///     changed.signal(1);
///     poller.poll(Deadline::IMMEDIATE)?;
///     assert!(event.reset());
/// }
/// drop(relay);
/// changed.signal(1);
/// assert!(poller.poll(Deadline::IMMEDIATE).is_err());
/// assert!(!event.reset());
/// # weft_sync::Result::Ok(())
/// ```
#[must_use = "nothing is forwarded before it is registered"]
pub struct RelayPlan {
    source: RelaySource,
    sink: RelaySink,
    is_persistent: bool,
    is_error_sensitive: bool,
    on_fault: Option<OnFault>,
}

/// A relay that was not registered, whole, and why. Nothing has happened.
#[must_use = "the relay comes back here"]
#[derive(Debug)]
pub struct RefusedRelay {
    /// `INVALID_ARGUMENT`: it cannot be, by what it is made of. `FAILED_PRECONDITION`, `UNAVAILABLE`: nothing is heard of
    /// its notification. `ABORTED`: the proactor is gone.
    pub why: Status,
    /// What was to be registered.
    pub plan: RelayPlan,
}

impl RelayPlan {
    /// A relay that fires once.
    pub fn new(source: RelaySource, sink: RelaySink) -> RelayPlan {
        RelayPlan { source, sink, is_persistent: false, is_error_sensitive: false, on_fault: None }
    }

    /// Fires again and again, until it is dropped. What lies in a source handle is taken before each firing, so nobody
    /// else reads from it.
    pub fn persistent(mut self) -> RelayPlan {
        self.is_persistent = true;
        self
    }

    /// Does not fire when the source reports an error or a hang-up, even if it can be read as well. For handles only.
    pub fn error_sensitive(mut self) -> RelayPlan {
        self.is_error_sensitive = true;
        self
    }

    /// Calls `callback` on the poll thread if the relay faults, with the reason.
    pub fn on_fault(mut self, callback: impl FnOnce(Status) + Send + 'static) -> RelayPlan {
        self.on_fault = Some(Box::new(callback));
        self
    }

    /// Starts to forward. Any thread, before the first poll too. A signal after this is not missed. With the null backend,
    /// which does nothing with any handle, relays of events and handles stay active and never fire; those of notifications
    /// fire as ever.
    pub fn register(self, handle: &Handle) -> std::result::Result<Relay, RefusedRelay> {
        match self.check() {
            Err(why) => Err(RefusedRelay { why, plan: self }),
            Ok(()) => {
                let RelayPlan { source, sink, is_persistent, is_error_sensitive, on_fault } = self;
                let (gate, state) = (Gate::new(), AtomicU32::new(ACTIVE));
                let node = Arc::new(Node {
                    gate,
                    state,
                    sink: Mutex::new(Some(Arc::new(sink))),
                    is_persistent,
                    is_error_sensitive,
                    on_fault: Mutex::new(on_fault),
                });
                match hub::register(handle, source, &node) {
                    Ok(place) => Ok(Relay { handle: handle.clone(), node, place: Some(place) }),
                    Err((why, source)) => Err(RefusedRelay { why, plan: Node::into_plan(node, source) }),
                }
            }
        }
    }

    fn check(&self) -> Result<()> {
        if self.is_error_sensitive && !self.source.is_handle() {
            bail!(InvalidArgument, "a notification reports no errors to be sensitive to");
        }
        self.source.check()?;
        self.sink.check()
    }
}

impl fmt::Debug for RelayPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayPlan({:?} to {:?}", self.source, self.sink)?;
        f.write_str(if self.is_persistent { ", persistent" } else { "" })?;
        f.write_str(if self.is_error_sensitive { ", error sensitive)" } else { ")" })
    }
}

const ACTIVE: u32 = 0;
const DONE: u32 = 1;
const FAULTED: u32 = 2;

/// Whether a relay still forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayState {
    /// It fires when its source is ready.
    Active,
    /// It has fired, or its proactor has gone.
    Done,
    /// It cannot go on. The error callback knows why.
    Faulted,
}

/// A registered relay. Ends when dropped: when that returns, on whatever thread, the sink is not fired any more.
#[must_use = "the relay ends when this is dropped"]
pub struct Relay {
    handle: Handle,
    node: Arc<Node>,
    /// `None` once it goes its own way.
    place: Option<Place>,
}

impl Relay {
    /// How it is.
    pub fn state(&self) -> RelayState {
        match self.node.state.load(Ordering::Acquire) {
            ACTIVE => RelayState::Active,
            FAULTED => RelayState::Faulted,
            _ => RelayState::Done,
        }
    }

    /// Lets it go its own way: it ends by firing once, by a fault, or with the proactor.
    pub fn detach(mut self) {
        self.place = None;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.node.gate.close();
            self.node.end(DONE);
            let mut panics = Panics::default();
            panics.catch(|| hub::leave(&self.handle, &self.node, &place));
            panics.catch(|| self.node.let_go());
            panics.let_out();
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node.sink() {
            Some(sink) => write!(f, "Relay({:?} to {sink:?})", self.state()),
            None => write!(f, "Relay({:?})", self.state()),
        }
    }
}

/// What a relay does when its source is ready.
pub(crate) struct Node {
    gate: Gate,
    state: AtomicU32,
    /// `None` once it has ended (rule 7).
    sink: Mutex<Option<Arc<RelaySink>>>,
    is_persistent: bool,
    is_error_sensitive: bool,
    on_fault: Mutex<Option<OnFault>>,
}

impl Node {
    /// Signals the sink, unless the relay has ended. One that is not persistent has ended then.
    fn fire(&self) {
        let Some(_pass) = self.gate.enter() else { return };
        if self.is_over() {
            return;
        }
        let Some(sink) = self.sink() else { return };
        let mut panics = Panics::default();
        match panics.catch(|| sink.fire()) {
            // Rule 6.
            None => self.end(FAULTED),
            Some(Err(why)) => _ = panics.catch(|| self.tell_fault(why.while_doing("firing a relay"))),
            Some(Ok(())) if self.is_persistent => {}
            Some(Ok(())) => self.end(DONE),
        }
        // The last, if the relay was dropped by its own handle.
        panics.catch(|| drop(sink));
        if self.is_over() {
            panics.catch(|| self.let_go());
        }
        panics.let_out();
    }

    /// Rule 2.
    fn fault(&self, why: Status) {
        if let Some(_pass) = self.gate.enter() {
            let mut panics = Panics::default();
            panics.catch(|| self.tell_fault(why));
            panics.catch(|| self.let_go());
            panics.let_out();
        }
    }

    fn tell_fault(&self, why: Status) {
        if self.is_over() {
            return;
        }
        self.end(FAULTED);
        let on_fault = lock(&self.on_fault).take();
        if let Some(callback) = on_fault {
            callback(why);
        }
    }

    /// Ends it without a firing: it was not to fire for this.
    fn pass_over(&self) {
        self.end(DONE);
        self.let_go();
    }

    fn end(&self, state: u32) {
        // Release pairs with the Acquire in `Relay::state`: whoever sees the end sees what it did.
        let _ = self.state.compare_exchange(ACTIVE, state, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Rule 7, for one that has ended. Drops what is a user's, so under no lock.
    fn let_go(&self) {
        let mut panics = Panics::default();
        let sink = lock(&self.sink).take();
        panics.catch(|| drop(sink));
        let on_fault = lock(&self.on_fault).take();
        panics.catch(|| drop(on_fault));
        panics.let_out();
    }

    fn sink(&self) -> Option<Arc<RelaySink>> {
        lock(&self.sink).clone()
    }

    fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) != ACTIVE
    }

    fn into_plan(node: Arc<Node>, source: RelaySource) -> RelayPlan {
        let sink = lock(&node.sink).take().and_then(Arc::into_inner);
        let Some(sink) = sink else { unreachable!("a refused relay is nowhere else") };
        RelayPlan {
            source,
            sink,
            is_persistent: node.is_persistent,
            is_error_sensitive: node.is_error_sensitive,
            on_fault: lock(&node.on_fault).take(),
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?}, over: {})", self.sink(), self.is_over())
    }
}
