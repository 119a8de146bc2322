//! The loop of a worker, which a guest runs too: look, drain, sleep.
//!
//! What lives here: [`Pump`]: one pass over what is ready, immediate processes, the sleep. What does not: visits to slots
//! (`compute.rs`), the condition of a guest (`guest.rs`), threads (`executor.rs`).
//!
//! 1. Slots first: with work in them nobody touches the list, which is the contended one.
//! 2. A busy worker announces nothing: its idle bit is set before a sleep and cleared after it.
//! 3. **Nobody waits while somebody sleeps.** Whoever was chosen for a wake, or offered to look at something next, may
//!    find other work first. Before it drains that, it looks whether something is left that nobody is with, and wakes
//!    one more if so (`pass_on`).

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::Arc;

use weft_sync::{Code, Deadline, Status};

use crate::context::WorkerContext;
use crate::counters::SeatCounters;
use crate::drained::Drained;
use crate::inside;
use crate::local_memory::LocalMemory;
use crate::observe::{ProcessId, Span};
use crate::panics::{caught, contain, discard, message};
use crate::process::Process;
use crate::processor;
use crate::shared::Shared;
use crate::sleepers::{Doze, Dozed};
use crate::spin::Spinner;
use crate::tuning::{DRAINS_IMMEDIATE_MAX, IMMEDIATES_PER_SCAN};

/// An offer to look at something next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// None is open.
    None,
    /// Made in the drain that just ended, or in the one that runs.
    Fresh,
    /// One drain that did work has passed since.
    Stale,
}

/// How a run of drains of an immediate process ended.
enum RunEnd {
    /// The process is over, or panicked.
    Over,
    /// There was nothing left, and the process is idle.
    Rests,
    /// There may be more, but others wait.
    HadItsShare,
}

/// The owner's half of a seat: what only the thread on it touches.
pub(crate) struct Pump<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) seat: usize,
    pub(crate) counters: &'a SeatCounters,
    pub(crate) processor: Cell<u32>,
    /// Scratch; lent to one drain at a time.
    pub(crate) memory: Cell<Option<LocalMemory>>,
    /// The slot at which the next pass begins: a different one each time, so that none is favoured.
    pub(super) scan_start: Cell<usize>,
    /// The slots in which this seat has a claim, because it was told to come back: one bit each.
    pub(super) held: Cell<u32>,
    /// Rule 3: there may be work that counts on this seat.
    owes_look: Cell<bool>,
    /// How often more seats had been wanted than slept when the last pass began.
    shortfalls: Cell<u32>,
    offer: Cell<Offer>,
    spinner: Spinner,
}

impl<'a> Pump<'a> {
    pub(crate) fn new(shared: &'a Shared, seat: usize, memory: LocalMemory) -> Pump<'a> {
        Pump {
            shared,
            seat,
            counters: &shared.counters[seat],
            processor: Cell::new(processor::current()),
            memory: Cell::new(Some(memory)),
            scan_start: Cell::new(seat),
            held: Cell::new(0),
            owes_look: Cell::new(false),
            shortfalls: Cell::new(0),
            offer: Cell::new(Offer::None),
            spinner: Spinner::new(&shared.settings.spin),
        }
    }

    /// Works and sleeps until the executor ends.
    pub(crate) fn run(&self) {
        while !self.shared.is_exiting() {
            if !self.pass() {
                self.sleep(Deadline::NEVER, || false);
            }
        }
        self.let_go();
    }

    /// Looks once at everything, and drains what it finds. `false` if there was nothing.
    pub(crate) fn pass(&self) -> bool {
        if self.shared.sleepers.has_credits() && self.shared.sleepers.relay() {
            self.counters.relays.add(1);
        }
        // Before anything is looked at: what was published for a shortfall after this, a look may have missed.
        self.shortfalls.set(self.shared.sleepers.shortfalls());
        self.pick_up();
        if self.offer.replace(Offer::None) != Offer::None {
            self.owes_look.set(true);
        }
        let mut worked = self.visit_slots();
        for _ in 0..IMMEDIATES_PER_SCAN {
            if !self.run_immediate() {
                break;
            }
            // With work in the slots one immediate process a pass is enough to keep both going.
            let enough = worked;
            worked = true;
            if enough {
                break;
            }
        }
        worked
    }

    /// Sleeps until there is something to look at. `stop` is asked in the last look. `false` if the deadline passed.
    pub(crate) fn sleep(&self, deadline: Deadline, mut stop: impl FnMut() -> bool) -> bool {
        let shared = self.shared;
        // A guest that panics must not stay in the idle mask: it would be chosen for work that it does not come for. So
        // the panic goes on once this seat is awake, and owes a look if it was chosen.
        let mut panic = None;
        let look = || {
            let mut stops = false;
            panic = caught(|| stops = stop());
            shared.is_exiting() || panic.is_some() || stops || self.has_work()
        };
        let spin = |bell: &_, token| self.spinner.spin(&shared.settings.spin, bell, token, self.counters);
        let Doze { end, claimed } =
            shared.span(self.seat, Span::Sleep, || shared.sleepers.doze(self.seat, deadline, look, spin));
        // Chosen for some work: whatever this seat finds first, that work must not wait for it.
        if claimed {
            self.owes_look.set(true);
            self.counters.claims.add(1);
            // It may have chosen itself: its last look may give a slot up, and wake for the next process there all but one,
            // which is this seat.
            if end == Dozed::Found {
                self.wake(1);
            }
        }
        if end != Dozed::Found {
            self.counters.sleeps.add(1);
            self.processor.set(processor::current());
        }
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        end != Dozed::TimedOut
    }

    /// The last look before a sleep: whether anything was published that no drain has taken up, or more were wanted than
    /// slept since the last pass began.
    fn has_work(&self) -> bool {
        !self.shared.ready.immediate.is_empty()
            || self.shared.sleepers.shortfalls() != self.shortfalls.get()
            || self.is_needed_in_slots()
    }

    /// Drains the first immediate process until it rests, ends or had its share. `false` if there was none.
    fn run_immediate(&self) -> bool {
        let Some(process) = self.shared.ready.immediate.pop() else { return false };
        self.pass_on();
        let id = ProcessId::of(&process);
        let stay = self.shared.whereabouts[self.seat].stay(id);
        self.shared.span(self.seat, Span::Immediate(id), || self.drain_immediate(&process));
        // Its drop is the user's too and may take long.
        drop(process);
        drop(stay);
        true
    }

    fn drain_immediate(&self, process: &Arc<Process>) {
        process.activity().begin();
        let mut end = RunEnd::Over;
        self.guard(process, || end = self.drain_in_a_row(process));
        match end {
            RunEnd::Over => self.finish(process),
            RunEnd::Rests => {}
            RunEnd::HadItsShare => {
                process.activity().yield_turn();
                self.shared.ready.immediate.push(Arc::clone(process));
                // Nobody was woken for it: see to it that it does not wait for what this worker does next.
                self.owes_look.set(true);
            }
        }
    }

    fn drain_in_a_row(&self, process: &Arc<Process>) -> RunEnd {
        for _ in 0..DRAINS_IMMEDIATE_MAX {
            if process.is_terminal() {
                return RunEnd::Over;
            }
            self.counters.immediate_drains.add(1);
            match self.call(process) {
                Drained::Worked | Drained::Again => self.age_offer(),
                Drained::Nothing | Drained::KeepWarm(_) => {
                    if process.activity().rest() {
                        return RunEnd::Rests;
                    }
                    process.activity().begin();
                }
                Drained::Finished => return RunEnd::Over,
                Drained::Failed(status) => {
                    process.report(status);
                    return RunEnd::Over;
                }
            }
            if self.shared.is_exiting() {
                break;
            }
        }
        RunEnd::HadItsShare
    }

    /// Ends an immediate process: no other worker can be inside.
    fn finish(&self, process: &Arc<Process>) {
        // No offers: what waited for this one must not wait for `released`, which is the user's and may take long.
        process.complete(|dependent| contain(|| self.schedule(dependent, false)));
        process.activity().retire();
        self.leave(process);
    }

    /// Tells that a process is over, of several callers one, and schedules what waited for it; some of it may be left to
    /// this seat.
    pub(crate) fn complete(&self, process: &Arc<Process>) {
        process.complete(|dependent| contain(|| self.schedule(dependent, true)));
    }

    /// The last worker has left a process that is over.
    pub(crate) fn leave(&self, process: &Process) {
        if process.leave() {
            self.counters.released.add(1);
        }
    }

    /// One drain; inside `guard`.
    #[inline]
    pub(crate) fn call(&self, process: &Arc<Process>) -> Drained {
        process.work().drain(&WorkerContext { pump: self, process, has_memory: Cell::new(false) })
    }

    /// Runs drains of a process. A panic in one is a failure of the process, not of the worker.
    pub(crate) fn guard(&self, process: &Process, drains: impl FnOnce()) {
        if let Some(panic) = caught(drains) {
            process.report(Status::new(Code::Internal, format!("a drain panicked: {}", message(&panic))));
            discard(panic);
        }
    }

    /// Schedules from this thread; with `next`, this seat looks at it itself (one such offer at a time).
    pub(crate) fn schedule(&self, process: &Arc<Process>, next: bool) {
        let offer = next && self.offer.get() == Offer::None;
        let scheduled = self.shared.schedule(process, offer);
        if scheduled.left_to_caller {
            self.offer.set(Offer::Fresh);
        }
        self.counters.wakes.add(u64::from(scheduled.wakes));
    }

    pub(crate) fn wake(&self, count: u32) {
        self.counters.wakes.add(u64::from(self.shared.sleepers.wake(count)));
    }

    /// Whether this seat has offered to look at something, so that it should not go on with what it does.
    #[inline]
    pub(crate) fn has_offer(&self) -> bool {
        self.offer.get() != Offer::None || inside::has_left_work(self.shared.id)
    }

    /// What was left to this thread through the executor is as good as what was left to this seat.
    #[inline]
    fn pick_up(&self) {
        if inside::take_left_work(self.shared.id) && self.offer.get() == Offer::None {
            self.offer.set(Offer::Fresh);
        }
    }

    /// A drain did work and will be called again. An offer survives that once: the drain after a submission usually
    /// finds nothing more. The second time it is taken back, by waking somebody.
    fn age_offer(&self) {
        self.pick_up();
        match self.offer.get() {
            Offer::None => {}
            Offer::Fresh => self.offer.set(Offer::Stale),
            Offer::Stale => self.take_back(),
        }
    }

    /// Takes back the offer, if there is one: somebody else has to look.
    pub(crate) fn take_back(&self) {
        if self.offer.replace(Offer::None) != Offer::None {
            self.wake(1);
        }
    }

    /// Rule 3, before a drain.
    #[inline]
    pub(crate) fn pass_on(&self) {
        if self.owes_look.replace(false) && self.shared.ready.has_unattended() {
            self.wake(1);
        }
    }

    /// For a guest that leaves: nothing may count on this seat any more. It looks in any case: what it was with a moment
    /// ago it left in a slot, to come back to it.
    pub(crate) fn hand_over(&self) {
        self.let_go();
        self.pick_up();
        self.offer.set(Offer::None);
        self.owes_look.set(true);
        self.pass_on();
    }
}
