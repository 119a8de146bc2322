//! What relays wait for.
//!
//! What lives here: [`RelaySource`], the watch of a handle for a group of relays, and the listening to a notification.
//! What does not: who is in a group (`hub.rs`), what a relay does (`mod.rs`).
//!
//! 1. A group takes what lies in its handle once for all of its members, before any of them fires, if one of them is
//!    persistent; and never by a call that could block: a handle that blocks is asked first.
//! 2. A relay of a notification observes it, knows the epoch at which it fired last, and looks at the epoch whenever the
//!    listener of its proactor is told. It is on the listener's list before it looks the first time.
//! 3. It leaves once, by whoever takes its announcement, and is not put on the list after that: its proactor may go while it
//!    is registered.

use super::{FAULTED, Node};
use crate::end_of_input::{is_shut, no_more_comes};
use crate::listener::Hears;
use crate::notification::Announcement;
use crate::ops::{Interest, Ready};
use crate::proactor::{Panics, Verdict, Watching};
use crate::shared::Shared;
use crate::{Event, Notification, errno};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::{Arc, Weak};
use weft_sync::atomic::{AtomicU32, AtomicU64, Mutex, Ordering, lock};
use weft_sync::{Result, Status, bail, status};

/// What a relay waits for.
pub struct RelaySource(pub(super) Source);

pub(super) enum Source {
    Input(Arc<Input>),
    Notification(Arc<Notification>),
}

impl RelaySource {
    /// A handle that becomes readable. Given whole (an `OwnedFd`, a socket), it is closed when the relay has ended; given
    /// as an `Arc`, it stays open for whoever else has it. The null backend never finds it readable.
    pub fn handle(handle: impl AsFd + Send + Sync + 'static) -> RelaySource {
        RelaySource(Source::Input(Arc::new(Input::Handle(Box::new(handle)))))
    }

    /// An event that is set. A persistent relay takes the signal.
    pub fn event(event: Event) -> RelaySource {
        // It may be set when the relay has ended.
        event.leave_unsure();
        RelaySource(Source::Input(Arc::new(Input::Event(event))))
    }

    /// A notification that is signalled from now on; a shared one (`Notification::shared`) wherever that happens.
    pub fn notification(notification: Arc<Notification>) -> RelaySource {
        RelaySource(Source::Notification(notification))
    }

    pub(super) fn is_handle(&self) -> bool {
        matches!(self.0, Source::Input(_))
    }

    pub(super) fn check(&self) -> Result<()> {
        match &self.0 {
            Source::Notification(notification) => notification.check_waits(),
            Source::Input(input) => match flags_of(&**input) {
                Ok(_) => Ok(()),
                Err(errno) => bail!(InvalidArgument, "the source of a relay: {errno}"),
            },
        }
    }
}

fn flags_of(handle: &dyn AsFd) -> rustix::io::Result<OFlags> {
    rustix::fs::fcntl_getfl(handle)
}

impl fmt::Debug for RelaySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Input(input) => input.fmt(f),
            Source::Notification(_) => f.write_str("notification"),
        }
    }
}

/// A handle that is watched for relays.
pub(super) enum Input {
    Event(Event),
    Handle(Box<dyn AsFd + Send + Sync>),
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Input::Event(event) => event.as_fd(),
            Input::Handle(handle) => handle.as_fd(),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_fd().fmt(f)
    }
}

/// Relays of one handle.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) number: RawFd,
    members: Mutex<Vec<Member>>,
    watch: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) node: Arc<Node>,
    pub(super) input: Arc<Input>,
}

impl Group {
    pub(super) fn new(number: RawFd) -> Group {
        Group { number, members: Mutex::new(Vec::new()), watch: AtomicU64::new(0) }
    }

    pub(super) fn is_watched_by(&self, watch: u64) {
        self.watch.store(watch, Ordering::Relaxed);
    }

    pub(super) fn watch(&self) -> u64 {
        self.watch.load(Ordering::Relaxed)
    }

    pub(super) fn push(&self, member: Member) {
        lock(&self.members).push(member);
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.members).is_empty()
    }

    /// The handle, as the first of the members keeps it open.
    pub(super) fn input(&self) -> Option<Arc<Input>> {
        lock(&self.members).first().map(|member| Arc::clone(&member.input))
    }

    pub(super) fn take_all(&self) -> Vec<Member> {
        std::mem::take(&mut *lock(&self.members))
    }

    pub(super) fn take_if(&self, is_taken: impl FnMut(&mut Member) -> bool) -> Vec<Member> {
        lock(&self.members).extract_if(.., is_taken).collect()
    }
}

/// The watch of a group's handle.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Weak<Shared>,
    group: Arc<Group>,
    /// What is watched: brought by one of the members, and kept for as long as the kernel may ask it.
    input: Arc<Input>,
    is_blocking: bool,
    /// Who is fired just now; empty in between.
    now: Vec<Arc<Node>>,
    /// Of these members, and of what they brought.
    panics: Panics,
}

/// What taking everything out of a handle came to.
enum Drained {
    /// There may be more some time.
    Open,
    /// There will be nothing any more.
    Ended,
    Failed(Errno),
}

impl Watch {
    pub(super) fn new(shared: &Arc<Shared>, group: &Arc<Group>, input: &Arc<Input>) -> Watch {
        let is_blocking = !flags_of(&**input).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK));
        let (shared, group, input) = (Arc::downgrade(shared), Arc::clone(group), Arc::clone(input));
        Watch { shared, group, input, is_blocking, now: Vec::new(), panics: Panics::default() }
    }

    /// Rule 1.
    fn drain(&self) -> Drained {
        let mut sink = [0; 512];
        // What is left after so many is told anew: by level.
        for round in 0..16 {
            if self.is_blocking && !self.can_read() {
                return Drained::Open;
            }
            match rustix::io::read(&self.input, &mut sink) {
                Ok(0) if no_more_comes(&self.input) => return Drained::Ended,
                // An empty message.
                Ok(0) => {}
                Ok(count) if count < sink.len() => return Drained::Open,
                Ok(_) | Err(Errno::INTR) => {}
                // Ready, and nothing is there: somebody else took it, or it is ready for ever.
                Err(Errno::AGAIN) if round == 0 && is_shut(&self.input) => return Drained::Ended,
                Err(Errno::AGAIN) => return Drained::Open,
                Err(errno) => return Drained::Failed(errno),
            }
        }
        Drained::Open
    }

    fn can_read(&self) -> bool {
        let mut asked = [PollFd::new(&self.input, PollFlags::IN)];
        poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|count| count > 0)
    }

    /// Fires, passes over or faults every member.
    fn tell(&mut self, ready: Ready) {
        let is_bad = ready.intersects(Ready::ERR | Ready::HUP);
        let takes = self.now.iter().any(|node| node.is_persistent && !(is_bad && node.is_error_sensitive));
        if let Input::Event(event) = &*self.input {
            event.taken();
        }
        let drained = match (takes, ready.contains(Ready::IN)) {
            (false, _) => Drained::Open,
            (true, true) => {
                let mut panics = std::mem::take(&mut self.panics);
                let drained = panics.catch(|| self.drain());
                self.panics = panics;
                // A handle that panics when it is asked for is as good as none.
                drained.unwrap_or(Drained::Failed(Errno::BADF))
            }
            (true, false) => Drained::Ended,
        };
        for node in self.now.drain(..) {
            self.panics.catch(|| tell_one(&node, ready, &drained));
            self.panics.catch(|| drop(node));
        }
    }

    /// Those that have ended are out; whether there are others.
    fn sweep(&mut self, shared: &Shared) -> Verdict {
        let (over, input) = shared.relays.sweep(&self.group);
        for member in over {
            self.panics.catch(|| drop(member));
        }
        match input {
            None => Verdict::Done,
            // The one that brought the last may have left: whoever stays keeps it open.
            Some(input) => {
                self.input = input;
                Verdict::Again
            }
        }
    }
}

/// Fires, passes over or faults one member.
fn tell_one(node: &Node, ready: Ready, drained: &Drained) {
    let is_bad = ready.intersects(Ready::ERR | Ready::HUP);
    match drained {
        _ if is_bad && node.is_error_sensitive => match node.is_persistent {
            true => node.fault(status!(Unavailable, "the source of a relay reports {ready:?}")),
            false => node.pass_over(),
        },
        Drained::Failed(errno) if node.is_persistent => {
            node.fault(errno::failure(*errno, "reading the source of a relay"));
        }
        Drained::Ended if node.is_persistent => {
            node.fire();
            node.fault(status!(Unavailable, "the source of a relay has ended: it reports {ready:?}"));
        }
        _ => node.fire(),
    }
}

impl Watching for Watch {
    fn handle(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    fn interest(&self) -> Interest {
        Interest::IN
    }

    fn ready(&mut self, ready: Result<Ready>) -> Verdict {
        let Some(shared) = self.shared.upgrade() else { return Verdict::Done };
        match ready {
            Err(why) => {
                for member in shared.relays.disband(&self.group) {
                    let why = why.clone().while_doing("watching the source of a relay");
                    self.panics.catch(|| member.node.fault(why));
                    self.panics.catch(|| drop(member));
                }
                self.panics.let_out();
                Verdict::Done
            }
            Ok(ready) => {
                self.group.list(&mut self.now);
                self.tell(ready);
                let verdict = self.sweep(&shared);
                self.panics.let_out();
                verdict
            }
        }
    }

    /// Everybody was told all the same.
    fn has_panicked(&mut self) -> Verdict {
        self.shared.upgrade().map_or(Verdict::Done, |shared| self.sweep(&shared))
    }

    fn end(self: Box<Self>, _why: Status) {}
}

impl Group {
    fn list(&self, nodes: &mut Vec<Arc<Node>>) {
        nodes.clear();
        nodes.extend(lock(&self.members).iter().map(|member| Arc::clone(&member.node)));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It goes with members only if its handle has panicked: then none of them is told any more.
        if !self.group.is_empty()
            && let Some(shared) = self.shared.upgrade()
        {
            for member in shared.relays.disband(&self.group) {
                member.node.end(FAULTED);
                self.panics.catch(|| member.node.let_go());
                self.panics.catch(|| drop(member));
            }
            self.panics.let_out();
        }
    }
}

/// A relay that listens to a notification.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) node: Arc<Node>,
    shared: Weak<Shared>,
    /// The epoch at which it fired last, or was registered.
    token: AtomicU32,
    /// Of the notification; `None` once it has left.
    observes: Mutex<Option<Announcement>>,
}

impl Heard {
    /// Begins to observe.
    pub(super) fn new(shared: &Arc<Shared>, notification: &Arc<Notification>, node: &Arc<Node>) -> Heard {
        let (announcement, epoch) = Notification::announce(notification);
        Heard {
            node: Arc::clone(node),
            shared: Arc::downgrade(shared),
            token: AtomicU32::new(epoch),
            observes: Mutex::new(Some(announcement)),
        }
    }

    /// Rule 2.
    pub(super) fn listen(self: &Arc<Heard>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let Some(notification) = self.notification() else { return };
        let listener = notification.listener(&shared);
        {
            // Held: whoever ends it has either taken this, or finds it on the list (rule 3).
            let observes = lock(&self.observes);
            if observes.is_none() {
                return;
            }
            let mut hearers = lock(&listener.hearers);
            let own: Arc<dyn Hears> = Arc::<Heard>::clone(self);
            Arc::make_mut(&mut hearers).push(own);
        }
        notification.listen_outside(&shared);
        // Relaxed: only the poll thread changes it, and that has not been told yet.
        if notification.look() != self.token.load(Ordering::Relaxed) {
            listener.tell();
        }
    }

    /// What it listens to. `None`: not any more.
    fn notification(&self) -> Option<Arc<Notification>> {
        lock(&self.observes).as_ref().map(Announcement::notification)
    }

    /// Is told no more, and observes no more. More than once is as good as once.
    pub(super) fn leave(&self) {
        let Some(announcement) = lock(&self.observes).take() else { return };
        if let Some(shared) = self.shared.upgrade() {
            let own: *const () = std::ptr::from_ref(self).cast();
            let listener = announcement.notification().listener(&shared);
            let mut hearers = lock(&listener.hearers);
            Arc::make_mut(&mut hearers).retain(|hearer| Arc::as_ptr(hearer).cast::<()>() != own);
        }
        drop(announcement);
    }
}

impl Hears for Heard {
    fn hear(&self) -> bool {
        let Some(notification) = self.notification() else { return false };
        let token = self.token.load(Ordering::Relaxed);
        let mut panics = Panics::default();
        match notification.verdict(token) {
            None => return false,
            Some(Err(why)) => {
                panics.catch(|| self.node.fault(why.while_doing("listening for a relay")));
            }
            Some(Ok(())) => {
                self.token.store(notification.epoch(), Ordering::Relaxed);
                panics.catch(|| self.node.fire());
            }
        }
        if self.node.is_over() {
            self.leave();
            if let Some(shared) = self.shared.upgrade() {
                shared.relays.let_go(self);
            }
        }
        panics.let_out();
        true
    }
}
