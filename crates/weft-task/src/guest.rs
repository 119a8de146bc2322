//! A thread that waits lends itself.
//!
//! A hand-over to a sleeping thread costs microseconds, and a call that submits and waits pays two: to the worker and
//! back. A caller that runs the work itself pays none. So the executor has, beside its workers, a few seats for guests:
//! they run the same loop, until what they wait for has come.
//!
//! 1. A guest sleeps like a worker: it shows in the idle mask, is woken for work, and before any worker.
//! 2. What it waits for rings its bell ([`Bell`]): the condition is published first, the bell rung after that. So the last
//!    look before a sleep sees the condition, or the bell keeps the guest awake.
//! 3. What a guest offered to run ([`Guest::schedule_next`]) it runs in its next wait; if there is none, it wakes a worker
//!    for it when it leaves. The same for work for which somebody chose it.
//! 4. One seat a thread: a worker, or a thread that is a guest already, waits in the plain way. So does everybody when
//!    all seats are taken.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use weft_sync::atomic::{Ordering, lock};
use weft_sync::{AsPoint, Code, Deadline, Lender, Result, Semaphore, Status, wait_all};

use crate::executor::Executor;
use crate::float_mode::FlushedDenormals;
use crate::inside;
use crate::local_memory::LocalMemory;
use crate::process::Process;
use crate::shared::Shared;
use crate::worker::Pump;

/// Points that a wait watches without allocating.
const WATCHES_INLINE: usize = 4;

impl Executor {
    /// Lends the calling thread to the executor while it waits. `None` if the thread works for an executor already, or
    /// all seats are taken: wait in the plain way then.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use weft_sync::Deadline;
    /// use weft_task::{Bell, Drained, Executor, ExecutorOptions, Process, ProcessOptions, Work, WorkerContext};
    /// struct Flag(Arc<AtomicBool>, Bell);
    /// impl Work for Flag {
    ///     fn drain(&self, _: &WorkerContext<'_>) -> Drained {
    ///         self.0.store(true, Ordering::Release);
    ///         self.1.ring(); // A worker may have run this.
    ///         Drained::Finished
    ///     }
    /// }
    /// let executor = Executor::new(&ExecutorOptions::default())?;
    /// let done = Arc::new(AtomicBool::new(false));
    /// let guest = executor.lend().expect("a seat is free");
    /// // Nobody is woken for it: this thread runs it below.
    /// guest.schedule_next(&Process::new(Flag(Arc::clone(&done), guest.bell()), ProcessOptions::default()));
    /// assert!(guest.run_until(Deadline::NEVER, || done.load(Ordering::Acquire)));
    /// assert_eq!(executor.counters().wakes, 0);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn lend(&self) -> Option<Guest<'_>> {
        lend_to(self.shared())
    }

    /// Blocks until a semaphore has reached `value`, and works meanwhile if it can. Answers like [`Semaphore::wait`].
    pub fn wait(&self, semaphore: &Arc<Semaphore>, value: u64, deadline: Deadline) -> Result<()> {
        if semaphore.is_reached(value)? {
            return Ok(());
        }
        match self.lend() {
            Some(guest) => guest.wait(semaphore, value, deadline),
            None => self.wait_plainly(&[(semaphore, value)], deadline),
        }
    }

    /// Blocks until all points are reached, and works meanwhile if it can. Answers like [`wait_all`].
    pub fn wait_all<P: AsPoint>(&self, points: &[P], deadline: Deadline) -> Result<()> {
        if all_reached(points)? {
            return Ok(());
        }
        match self.lend() {
            Some(guest) => guest.wait_all(points, deadline),
            None => self.wait_plainly(points, deadline),
        }
    }

    /// Without a seat. What was left to this thread needs somebody else now.
    #[cold]
    fn wait_plainly<P: AsPoint>(&self, points: &[P], deadline: Deadline) -> Result<()> {
        let shared = self.shared();
        if inside::take_left_work(shared.id) {
            shared.wake_from_outside(1);
        }
        wait_all(points, deadline)
    }
}

impl Shared {
    fn take_guest_seat(&self) -> Option<usize> {
        let guests = self.settings.guests;
        let mut taken = self.guests_taken.load(Ordering::Relaxed);
        loop {
            let seat = taken.trailing_ones() as usize;
            if seat >= guests {
                return None;
            }
            // Acquire pairs with the Release in the drop of the guest before: its counters have one writer at a time.
            let with = taken | 1 << seat;
            match self.guests_taken.compare_exchange_weak(taken, with, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(seat),
                Err(found) => taken = found,
            }
        }
    }
}

impl Shared {
    fn free_guest_seat(&self, guest: usize) {
        // Release pairs with the Acquire in `take_guest_seat`.
        self.guests_taken.fetch_and(!(1 << guest), Ordering::Release);
    }
}

/// A thread that works for an executor while it waits. Stays on its thread; the seat is free again when it is dropped.
#[must_use = "a guest that does nothing only takes up a seat"]
pub struct Guest<'a> {
    shared: &'a Arc<Shared>,
    pump: Pump<'a>,
    /// Which of the guest seats it has.
    guest: usize,
    stays_on_thread: PhantomData<*const ()>,
}

impl<'a> Guest<'a> {
    /// Takes a free seat.
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        memory: impl FnOnce() -> Option<LocalMemory>,
    ) -> Option<Guest<'a>> {
        let guest = shared.take_guest_seat()?;
        let kept = lock(&shared.guest_memory[guest]).take();
        let Some(memory) = kept.or_else(memory) else {
            shared.free_guest_seat(guest);
            return None;
        };
        let pump = Pump::new(shared, shared.settings.workers + guest, memory);
        Some(Guest { shared, pump, guest, stays_on_thread: PhantomData })
    }
}

impl Guest<'_> {
    /// Schedules a process and offers that this thread looks at it in its next wait: one worker less is woken, none for
    /// a budget of 1. One such offer at a time; others are scheduled as usual.
    pub fn schedule_next(&self, process: &Arc<Process>) {
        self.pump.schedule(process, true);
    }

    /// Schedules a process and wakes as many workers as its budget says.
    pub fn schedule(&self, process: &Arc<Process>) {
        self.pump.schedule(process, false);
    }

    /// Rings for this guest; for whoever makes its condition true.
    pub fn bell(&self) -> Bell {
        Bell { shared: Arc::clone(self.shared), seat: self.pump.seat }
    }

    /// Works and sleeps until `until` holds; asked on this thread between drains. Who makes it hold has to ring the bell
    /// after that: it may be done on another thread. `false` if the deadline passes first.
    ///
    /// Drains run in the floating-point mode of workers; the mode of the thread is back when this returns.
    pub fn run_until(&self, deadline: Deadline, mut until: impl FnMut() -> bool) -> bool {
        let _float_mode = FlushedDenormals::enter();
        let mut met = until();
        while !met {
            let worked = self.pump.pass();
            met = until();
            if met {
                break;
            }
            let in_time = if worked { !has_passed(deadline) } else { self.pump.sleep(deadline, &mut until) };
            met = until();
            if !in_time {
                break;
            }
        }
        self.pump.hand_over();
        met
    }

    /// Works and sleeps until a semaphore has reached `value`. Answers like [`Semaphore::wait`].
    pub fn wait(&self, semaphore: &Arc<Semaphore>, value: u64, deadline: Deadline) -> Result<()> {
        self.wait_all(&[(semaphore, value)], deadline)
    }

    /// Works and sleeps until all points are reached. Answers like [`wait_all`].
    pub fn wait_all<P: AsPoint>(&self, points: &[P], deadline: Deadline) -> Result<()> {
        let ended = || !matches!(all_reached(points), Ok(false));
        let mut met = ended() || self.work_off(deadline, ended);
        if !met {
            // Nothing to do, so they come from elsewhere, and have to say so.
            let announce = |point| {
                let ((semaphore, value), bell) = (AsPoint::as_point(point), self.bell());
                semaphore.watch(value, move |_| bell.ring())
            };
            if points.len() <= WATCHES_INLINE {
                let mut watches = [const { None }; WATCHES_INLINE];
                watches.iter_mut().zip(points).for_each(|(watch, point)| *watch = Some(announce(point)));
                met = self.run_until(deadline, ended);
            } else {
                let _watches: Vec<_> = points.iter().map(announce).collect();
                met = self.run_until(deadline, ended);
            }
        }
        if met && all_reached(points)? {
            return Ok(());
        }
        Err(Status::new(
            Code::DeadlineExceeded,
            format!("the deadline passed before {} points were reached", points.len()),
        ))
    }

    /// Works until `until` holds or there is nothing to do. Whether it holds.
    fn work_off(&self, deadline: Deadline, until: impl Fn() -> bool) -> bool {
        let _float_mode = FlushedDenormals::enter();
        let mut met = false;
        while !met && !has_passed(deadline) && self.pump.pass() {
            met = until();
        }
        if met {
            self.pump.hand_over();
        }
        met
    }
}

fn lend_to(shared: &Arc<Shared>) -> Option<Guest<'_>> {
    if inside::executor() != 0 {
        return None;
    }
    let bytes = shared.settings.local_memory_bytes[0];
    let guest = Guest::new(shared, || LocalMemory::new(bytes).ok())?;
    inside::enter(shared.id, guest.pump.seat);
    Some(guest)
}

/// What waits on a thread that lends itself ([`Executor::lending`]) turn to.
pub(crate) struct Borrower(pub(crate) Arc<Shared>);

impl Lender for Borrower {
    fn use_until(&self, points: &[(&Semaphore, u64)]) -> bool {
        let Some(guest) = lend_to(&self.0) else { return false };
        // A failure of a point ends it too; the wait finds out which.
        guest.wait_all(points, Deadline::NEVER).is_ok() || all_reached(points).is_err()
    }

    fn before_sleep(&self) {
        if inside::executor() != self.0.id && inside::take_left_work(self.0.id) {
            self.0.wake_from_outside(1);
        }
    }
}

/// Whether all points are reached; the failure of the first one that failed.
fn all_reached<P: AsPoint>(points: &[P]) -> Result<bool> {
    let mut all = true;
    for point in points {
        let (semaphore, value) = point.as_point();
        all &= semaphore.is_reached(value)?;
    }
    Ok(all)
}

/// Whether a finite deadline has passed; reads no clock for one that never does.
fn has_passed(deadline: Deadline) -> bool {
    deadline.remaining().is_some_and(|left| left.is_zero())
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.pump.hand_over();
        *lock(&self.shared.guest_memory[self.guest]) = self.pump.memory.take();
        inside::leave();
        self.shared.free_guest_seat(self.guest);
    }
}

impl fmt::Debug for Guest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("seat", &self.pump.seat).finish_non_exhaustive()
    }
}

/// Wakes one guest so that it asks for its condition. Outlives the guest; then a ring at most wakes the next one on the
/// seat for nothing.
#[derive(Clone)]
pub struct Bell {
    shared: Arc<Shared>,
    seat: usize,
}

impl Bell {
    /// Rings. Make the condition true first.
    pub fn ring(&self) {
        self.shared.sleepers.post(self.seat);
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("seat", &self.seat).finish_non_exhaustive()
    }
}
