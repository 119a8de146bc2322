//! An operation from its start to its end.
//!
//! What lives here: [`Core`], all that the poll thread knows: where each operation is, chains, cancels, what waits for
//! room. What does not: the loop (`poll.rs`), kinds that no kernel sees (`software.rs`), sequences (`steps.rs`).
//!
//! 1. **An operation is in one place** ([`Place`]), and that place owns it: the table until it starts, then its entry, the
//!    backend, or the queue of those that have ended.
//! 2. **The end**: the slot is free, then the callback is called, then the successors start or are cancelled, in the
//!    order of the chain. After the callback began nothing here touches the operation.
//! 3. **A cancel that comes early waits**: one of an operation that has not started is found in its slot's word when it
//!    starts, and it ends without having run.
//! 4. **What does not fit waits here**, in order, and goes to the backend when that has room. Nothing is ever refused
//!    after it was accepted.
//! 5. Callbacks run from `end` and `cancel_chain` alone, with nothing borrowed that they could reach. One that panics
//!    changes nothing for what comes after it, see `panics.rs`.

#[cfg(unix)]
use super::lanes::Lanes;
use super::panics::Panics;
use super::timers::{Due, Timers};
#[cfg(unix)]
use super::watch::Watches;
use crate::backend::{Backend, Ended};
use crate::capability::Capabilities;
use crate::doorbell::bell;
use crate::handle::Handle;
use crate::ops::{Body, Kind};
use crate::record::Erased;
use crate::shared::Shared;
use crate::table::NONE;
use std::collections::VecDeque;
use std::sync::Arc;
use weft_sync::{Code, Instant, Result, Status};

/// Where an operation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere, or in the table: not started.
    #[default]
    Table,
    /// In its entry, behind others of its direction of a socket.
    #[cfg(unix)]
    Lane,
    /// In its entry, until the backend has room.
    Backlog,
    /// In the backend.
    Backend,
    /// In its entry, and in the heap.
    Timer,
    /// In its entry; semaphores decide when it ends.
    Armed,
    /// In its entry, and among the waiters of a notification.
    Listening,
    /// In the queue of those that have ended.
    Ended,
}

/// What the poll thread knows of a slot.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) operation: Option<Erased>,
    /// The sequence whose step is under way in this slot.
    pub(super) sequence: Option<Erased>,
    /// The slot of the operation that runs after this one.
    next: u32,
    /// Whether the kernel starts that one by itself.
    is_linked: bool,
}

/// Timers that are taken out of the heap together. Nothing that is called back in between can reach them; what is armed in
/// between and over before them ends before them.
const TIMERS_AHEAD: usize = 16;

/// Statuses that are expected, made once: giving one out allocates nothing.
#[derive(Debug)]
pub(super) struct Bare {
    pub(super) cancelled: Status,
    pub(super) deadline: Status,
}

/// What one poll has done so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Completions that count.
    pub(super) completions: usize,
    /// Whether there is another reason to return.
    pub(super) is_done: bool,
}

impl Tally {
    /// So many more completions. What progress callbacks say that they have found is any number.
    #[inline]
    pub(super) fn count(&mut self, completions: usize) {
        self.completions = self.completions.saturating_add(completions);
    }
}

/// See the header.
pub(crate) struct Core {
    pub(super) handle: Handle,
    pub(super) backend: Backend,
    pub(super) entries: Box<[Entry]>,
    pub(super) timers: Timers,
    #[cfg(unix)]
    pub(super) lanes: Lanes,
    /// Slots whose operations wait for room in the backend, in order.
    backlog: VecDeque<u32>,
    /// Operations that have ended in software, in order.
    ended: VecDeque<(u32, Erased, Result<i64>)>,
    /// Operations that have started and not ended.
    live: usize,
    /// Messages that are being delivered, and the empty ring for the next.
    pub(super) inbox: VecDeque<u64>,
    pub(super) has_messages: bool,
    #[cfg(unix)]
    pub(super) watches: Watches,
    pub(super) bare: Bare,
    pub(super) tally: Tally,
    pub(super) panics: Panics,
}

impl Core {
    pub(crate) fn new(shared: Arc<Shared>, backend: Backend) -> Core {
        let slots = shared.table.count();
        let entry =
            |_| Entry { place: Place::Table, operation: None, sequence: None, next: NONE, is_linked: false };
        Core {
            inbox: VecDeque::with_capacity(shared.mailbox.room()),
            has_messages: false,
            handle: Handle(shared),
            backend,
            entries: (0..slots).map(entry).collect(),
            timers: Timers::new(slots),
            #[cfg(unix)]
            lanes: Lanes::new(slots),
            backlog: VecDeque::with_capacity(slots as usize),
            ended: VecDeque::with_capacity(slots as usize),
            live: 0,
            #[cfg(unix)]
            watches: Watches::default(),
            bare: Bare {
                cancelled: Status::new(Code::Cancelled, "cancelled"),
                deadline: Status::new(
                    Code::DeadlineExceeded,
                    "nothing ended before the deadline of the poll",
                ),
            },
            tally: Tally::default(),
            panics: Panics::default(),
        }
    }

    #[inline]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }

    #[inline]
    pub(super) fn entry(&mut self, slot: u32) -> &mut Entry {
        &mut self.entries[slot as usize]
    }

    /// Takes in what other threads, and callbacks, have left.
    #[inline]
    pub(super) fn look(&mut self) {
        if self.shared().doorbell.has_rung() {
            let bits = self.shared().doorbell.answer();
            self.take_in(bits);
        } else if self.shared().pending.has_own() {
            let slot = self.shared().pending.drain_own();
            self.start_all(slot);
        }
    }

    /// Starts what was drained, in order.
    fn start_all(&mut self, mut slot: u32) {
        while slot != NONE {
            let after = self.shared().pending.after(slot);
            self.start(slot);
            slot = after;
        }
    }

    pub(super) fn take_in(&mut self, bits: u32) {
        // Cancels are taken off their list first: whatever one of them names was submitted before, so it is among the
        // pending that are taken off afterwards, and has started when the cancels are looked at.
        let mut cancelled = NONE;
        if bits & bell::CANCEL != 0 {
            cancelled = self.shared().cancels.drain();
        }
        // This thread's own first: what it submitted after another thread is with those of the others.
        let slot = self.shared().pending.drain_own();
        self.start_all(slot);
        if bits & bell::PENDING != 0 {
            let slot = self.shared().pending.drain();
            self.start_all(slot);
        }
        while cancelled != NONE {
            let after = self.shared().cancels.after(cancelled);
            if self.shared().table.see_cancel(cancelled) {
                self.cancel(cancelled);
            }
            cancelled = after;
        }
        if bits & bell::FIRED != 0 {
            self.take_fired();
        }
        if bits & bell::HEARD != 0 {
            self.take_heard();
        }
        #[cfg(unix)]
        if bits & bell::COMMAND != 0 {
            self.take_commands();
        }
        self.has_messages |= bits & bell::MESSAGE != 0;
        self.tally.is_done |= bits & bell::WAKE != 0;
    }

    /// Starts the operation that lies in the table.
    #[inline]
    pub(super) fn start(&mut self, slot: u32) {
        let operation = self.shared().table.take(slot).expect("put before the slot was shown");
        self.live += 1;
        let entry = &mut self.entries[slot as usize];
        entry.next = operation.next().replace(NONE);
        if self.shared().table.is_cancelled(slot) {
            // Rule 3.
            let cancelled = Err(self.bare.cancelled.clone());
            return self.conclude(slot, operation, cancelled);
        }
        self.dispatch(slot, operation);
    }

    /// Has an operation done, or does it.
    #[inline(always)]
    pub(super) fn dispatch(&mut self, slot: u32, operation: Erased) {
        let kind = operation.kind();
        #[cfg(unix)]
        if kind.is_transfer() {
            return self.start_transfer(slot, operation);
        }
        match kind.is_kernel() {
            true => self.hand_over(slot, operation),
            false => self.carry_out(slot, operation),
        }
    }

    /// Does what needs no kernel. A function of its own, so that those that need one do not pay for its frame.
    #[inline(never)]
    fn carry_out(&mut self, slot: u32, mut operation: Erased) {
        let outcome = match operation.body() {
            Body::Timer(deadline) => {
                self.timers.insert(slot, deadline);
                return self.keep(slot, operation, Place::Timer);
            }
            Body::Sequence(_) => return self.begin_sequence(slot, operation),
            #[cfg(unix)]
            Body::SocketClose(_) => return self.close_socket(slot, operation),
            Body::SemaphoreWait(wait) => match wait.arm(&self.handle.0, slot) {
                Some(outcome) => outcome,
                None => return self.keep(slot, operation, Place::Armed),
            },
            Body::NotificationWait(wait) => match Core::listen(&self.handle.0, slot, wait) {
                true => Ok(0),
                false => return self.keep(slot, operation, Place::Listening),
            },
            // Whoever waits for the timeline may be called from here.
            Body::SemaphoreSignal(signal) => signal.run(|signal| self.contain(signal)),
            Body::NotificationSignal(signal) => Ok(i64::from(signal.notification.signal(signal.count))),
            Body::Message(message) => message.target.send_message(message.payload).map(|()| 0),
            _ => unreachable!("the kernel carries it out"),
        };
        self.conclude(slot, operation, outcome);
    }

    pub(super) fn keep(&mut self, slot: u32, operation: Erased, place: Place) {
        let entry = self.entry(slot);
        entry.operation = Some(operation);
        entry.place = place;
    }

    /// The operation has ended in software; it is delivered when its turn comes.
    #[inline]
    pub(super) fn conclude(&mut self, slot: u32, operation: Erased, outcome: Result<i64>) {
        self.entry(slot).place = Place::Ended;
        self.ended.push_back((slot, operation, outcome));
    }

    /// Gives an operation, and what the kernel may link behind it, to the backend; or keeps it until there is room.
    #[inline(always)]
    pub(super) fn hand_over(&mut self, slot: u32, operation: Erased) {
        if !self.backlog.is_empty() || self.backend.room() == 0 {
            self.keep(slot, operation, Place::Backlog);
            return self.backlog.push_back(slot);
        }
        if self.entries[slot as usize].next != NONE {
            return self.hand_over_chain(slot, operation);
        }
        self.entries[slot as usize].place = Place::Backend;
        let key = self.shared().table.key(slot);
        self.backend.push(key, operation, false);
    }

    #[inline(never)]
    fn hand_over_chain(&mut self, mut slot: u32, mut operation: Erased) {
        loop {
            let successor = self.linkable(slot, operation.kind());
            let key = self.shared().table.key(slot);
            let entry = self.entry(slot);
            entry.place = Place::Backend;
            entry.is_linked = successor.is_some();
            self.backend.push(key, operation, successor.is_some());
            match successor {
                Some(next) => (slot, operation) = next,
                None => return,
            }
        }
    }

    /// The successor, taken out of the table, if the kernel may start it by itself: its rules are ours where the trigger
    /// ends at once, and the two go to it together.
    #[inline]
    fn linkable(&mut self, slot: u32, kind: Kind) -> Option<(u32, Erased)> {
        let next = self.entries[slot as usize].next;
        if next == NONE || !kind.is_instant() {
            return None;
        }
        if self.backend.room() < 2 || !self.handle.capabilities().contains(Capabilities::LINKED_OPERATIONS) {
            return None;
        }
        let operation = self.shared().table.take(next)?;
        let kind = operation.kind();
        // One that waits for a socket waits for its turn, too.
        if !kind.is_kernel() || kind.is_transfer() || self.shared().table.is_cancelled(next) {
            self.shared().table.put(next, operation);
            return None;
        }
        self.live += 1;
        self.entry(next).next = operation.next().replace(NONE);
        Some((next, operation))
    }

    /// Moves what waits for room on, as far as there is some.
    pub(super) fn feed(&mut self) {
        while self.backend.room() > 0 {
            let Some(slot) = self.backlog.pop_front() else { return };
            #[cfg_attr(not(unix), allow(unused_mut, reason = "sockets have more to say"))]
            let mut operation = self.entry(slot).operation.take().expect("it waits in its entry");
            if self.shared().table.is_cancelled(slot) {
                #[cfg(unix)]
                let cancelled = self.cancelled(&mut operation);
                #[cfg(not(unix))]
                let cancelled = Err(self.bare.cancelled.clone());
                self.conclude(slot, operation, cancelled);
                continue;
            }
            let key = self.shared().table.key(slot);
            self.entry(slot).place = Place::Backend;
            self.backend.push(key, operation, false);
        }
    }

    /// Asks an operation that has started to end.
    pub(super) fn cancel(&mut self, slot: u32) {
        match self.entry(slot).place {
            // The mark in the slot's word is seen in its turn (rule 3); what has ended has ended.
            Place::Table | Place::Backlog | Place::Ended => {}
            #[cfg(unix)]
            Place::Lane => self.cancel_in_lane(slot),
            Place::Backend => {
                let key = self.shared().table.key(slot);
                self.backend.cancel(key);
            }
            Place::Timer => {
                self.timers.remove(slot);
                self.withdraw(slot);
            }
            Place::Armed => self.cancel_armed(slot),
            Place::Listening => self.cancel_listening(slot),
        }
    }

    /// What waited in its entry ends with `CANCELLED`.
    pub(super) fn withdraw(&mut self, slot: u32) {
        let cancelled = Err(self.bare.cancelled.clone());
        self.release(slot, cancelled);
    }

    /// What waited in its entry ends.
    pub(super) fn release(&mut self, slot: u32, outcome: Result<i64>) {
        if let Some(operation) = self.entry(slot).operation.take() {
            self.conclude(slot, operation, outcome);
        }
    }

    /// Rule 2.
    #[inline(always)]
    pub(super) fn end(&mut self, slot: u32, operation: Erased, outcome: Result<i64>) {
        #[cfg(unix)]
        if operation.kind().is_transfer() {
            self.leave_lane(slot);
        }
        let entry = &mut self.entries[slot as usize];
        if entry.sequence.is_some() {
            return self.end_step(slot, operation, outcome);
        }
        self.tally.count(1);
        self.complete(slot, operation, outcome);
    }

    /// Rule 2, without counting.
    #[inline(always)]
    pub(super) fn complete(&mut self, slot: u32, operation: Erased, outcome: Result<i64>) {
        let entry = &mut self.entries[slot as usize];
        entry.place = Place::Table;
        // The kernel starts or cancels a linked successor itself.
        let next = std::mem::replace(&mut entry.next, NONE);
        let next = if std::mem::take(&mut entry.is_linked) { NONE } else { next };
        let is_ok = outcome.is_ok();
        self.live -= 1;
        self.handle.0.table.release_here(slot);
        self.contain(|| operation.finish(outcome));
        if next != NONE {
            match is_ok {
                true => self.start(next),
                false => self.cancel_chain(next),
            }
        }
    }

    /// Ends a chain whose trigger failed: each member with `CANCELLED`, in order, none started.
    pub(super) fn cancel_chain(&mut self, mut slot: u32) {
        while slot != NONE {
            let operation = self.shared().table.take(slot).expect("not started");
            let next = operation.next().replace(NONE);
            self.tally.count(1);
            self.handle.0.table.release_here(slot);
            let cancelled = Err(self.bare.cancelled.clone());
            self.contain(|| operation.finish(cancelled));
            slot = next;
        }
    }

    /// Delivers timers that are over, what the backend has, and what has ended in software, each as far as it went when
    /// its turn came.
    pub(super) fn deliver(&mut self) {
        self.deliver_timers();
        while let Some(ended) = self.backend.next() {
            match ended {
                #[cfg(unix)]
                Ended::Operation { slot, operation, outcome } if operation.kind().is_transfer() => {
                    self.take_answer(slot, operation, outcome);
                }
                #[cfg(unix)]
                Ended::Shot { slot, operation, value } => self.settle_shot(slot, operation, value),
                Ended::Operation { slot, mut operation, outcome } => {
                    let outcome = match outcome {
                        Ok(value) if operation.kind().gives_handle() => operation.keep(value).map(|()| value),
                        Ok(value) => Ok(value),
                        Err(errno) => Err(self.failure(errno, &mut operation)),
                    };
                    self.end(slot, operation, outcome);
                }
                #[cfg(unix)]
                Ended::Watch { number, result } => self.tell_watch(number, result),
            }
        }
        self.deliver_software();
    }

    pub(super) fn deliver_timers(&mut self) {
        if self.timers.first().is_none() {
            return;
        }
        let now = Instant::now();
        let mut due = [Due::NONE; TIMERS_AHEAD];
        loop {
            let mut count = 0;
            while count < TIMERS_AHEAD
                && let Some(timer) = self.timers.pop_until(now)
            {
                due[count] = timer;
                count += 1;
            }
            let due = &due[..count];
            due.iter().for_each(|timer| self.look_ahead(timer.slot()));
            for &timer in due {
                // What was armed meanwhile, linked behind one of these, may be over before this one.
                while let Some(earlier) = self.timers.pop_before(timer) {
                    self.end_timer(earlier.slot());
                }
                self.end_timer(timer.slot());
            }
            if count < TIMERS_AHEAD {
                return;
            }
        }
    }

    #[inline(always)]
    fn end_timer(&mut self, slot: u32) {
        if let Some(operation) = self.entry(slot).operation.take() {
            self.end(slot, operation, Ok(0));
        }
    }

    /// Has the processor fetch what the end of this operation needs. Timers end in an order that no memory is in, and what
    /// is fetched for several of them at once takes no longer than for one.
    #[inline]
    fn look_ahead(&self, slot: u32) {
        let operation = &self.entries[slot as usize].operation;
        std::hint::black_box((operation.as_ref().map(Erased::kind), self.shared().table.key(slot)));
    }

    pub(super) fn deliver_software(&mut self) {
        for _ in 0..self.ended.len() {
            let Some((slot, operation, outcome)) = self.ended.pop_front() else { return };
            self.end(slot, operation, outcome);
        }
    }

    /// What a failure of the system means to an operation.
    #[cold]
    pub(super) fn failure(&self, errno: i32, operation: &mut Erased) -> Status {
        let kind = operation.kind();
        #[cfg(unix)]
        {
            let errno = rustix::io::Errno::from_raw_os_error(errno);
            if errno == rustix::io::Errno::CANCELED {
                return self.bare.cancelled.clone();
            }
            let why = crate::errno::failure(errno, &format!("{kind:?}"));
            if kind.is_file() { crate::ops::explain(why, errno, &operation.body()) } else { why }
        }
        #[cfg(not(unix))]
        Status::new(Code::Unknown, format!("{kind:?}: error {errno}"))
    }

    /// Whether something can be delivered, or handed over, without waiting for it.
    pub(super) fn is_ready(&self) -> bool {
        !self.ended.is_empty()
            || !self.backlog.is_empty()
            || self.has_messages
            || self.shared().pending.has_own()
    }

    /// How many operations have started and not ended.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Whether nothing that has started is left.
    pub(super) fn is_idle(&self) -> bool {
        self.live == 0
    }
}
