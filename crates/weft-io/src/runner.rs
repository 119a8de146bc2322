//! A thread that polls a proactor until it is told to stop.
//!
//! What lives here: [`Runner`], [`RunnerOptions`], [`VisitedPoller`]. What does not: several of them (`pool.rs`), what a
//! poll does (`proactor/poll.rs`).
//!
//! 1. **The poller never leaves the thread**, for a ring belongs to the thread that enters it: what it has handed over is
//!    cancelled by the kernel when that thread ends. So a runner that has stopped keeps its thread, asleep, and everything
//!    that is under way stays so, until it polls again ([`Runner::resume`], [`Runner::visit`]) or goes away.
//! 2. **Polls go on** after `OK` and `DEADLINE_EXCEEDED`. Any other status stops the thread; it is kept, and told once.
//!    A callback that panics is such a status.
//! 3. **What others want of the thread** are flags and a queue; whoever leaves something there wakes the poll. The thread
//!    looks between polls, and before it sleeps. The queue may be looked at from any thread, so a visit is never lost: the
//!    thread empties it, or drops it when it goes.
//! 4. **The thread keeps the poller that it began with**: what it asks of others, and they of it, goes through the handle of
//!    that one. So whoever prepares or visits gets a [`VisitedPoller`], in whose place no other can be put.
//! 5. The end: the poller is dropped on its thread, so everything is called back there; then the thread is joined.

use crate::describe::short_name;
use crate::handle::Handle;
use crate::notification::{Notification, WAKE_ALL};
use crate::proactor::{Poller, Proactor, attempt, discard};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;
use weft_sync::atomic::{AtomicBool, AtomicU32, Mutex, Ordering, lock};
use weft_sync::{Code, Deadline, Result, Status, WhileDoing, bail, status};

/// Done on the thread before its first poll.
type Preparation = Box<dyn FnOnce(&mut VisitedPoller<'_>) -> Result<()> + Send>;
type ErrorCallback = Box<dyn FnOnce(Status) + Send>;
type Visit = Box<dyn FnOnce(&mut Poller) + Send>;

/// How a [`Runner`] runs.
pub struct RunnerOptions {
    /// The longest that one poll may take; `None` leaves it to whatever happens first.
    pub poll_limit: Option<Duration>,
    /// The name of the thread; empty takes that of the proactor. The system may show less of it.
    pub name: String,
    /// The processors that the thread may use, as the system numbers them; empty leaves it where it is.
    pub processors: Vec<u32>,
    /// Called on the thread before the first poll: to register what only the poll thread can. A failure is that of
    /// [`Runner::start`].
    pub prepare: Option<Preparation>,
    /// Called on the thread, once, when a poll fails.
    pub on_error: Option<ErrorCallback>,
}

impl RunnerOptions {
    /// Polls of any length, the proactor's name, any processor.
    pub fn new() -> RunnerOptions {
        RunnerOptions {
            poll_limit: None,
            name: String::new(),
            processors: Vec::new(),
            prepare: None,
            on_error: None,
        }
    }
}

impl Default for RunnerOptions {
    fn default() -> RunnerOptions {
        RunnerOptions::new()
    }
}

impl fmt::Debug for RunnerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerOptions")
            .field("poll_limit", &self.poll_limit)
            .field("name", &self.name)
            .field("processors", &self.processors)
            .finish_non_exhaustive()
    }
}

/// The poller of a [`Runner`], as those see it who come to its thread: to poll, and to register what only that thread can.
/// What can be asked of a poller without changing it is that poller's.
///
/// It stays the runner's:
///
/// ```compile_fail,E0308
/// use weft_io::{Config, Runner, RunnerOptions, open_null};
/// let runner = Runner::start(open_null(&Config::new()), RunnerOptions::new()).unwrap();
/// runner.visit(|poller| *poller = open_null(&Config::new()).into_poller().unwrap());
/// ```
///
/// ```compile_fail,E0594
/// use weft_io::{Config, Runner, RunnerOptions, open_null};
/// let runner = Runner::start(open_null(&Config::new()), RunnerOptions::new()).unwrap();
/// runner.visit(|poller| **poller = open_null(&Config::new()).into_poller().unwrap());
/// ```
pub struct VisitedPoller<'a>(&'a mut Poller);

impl VisitedPoller<'_> {
    /// See [`Poller::poll`].
    pub fn poll(&mut self, deadline: Deadline) -> Result<usize> {
        self.0.poll(deadline)
    }

    /// See [`Poller::block_on`].
    pub fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output> {
        self.0.block_on(future)
    }

    /// See [`Poller::on_message`].
    pub fn on_message(&mut self, callback: impl FnMut(u64) + 'static) {
        self.0.on_message(callback);
    }
}

impl Deref for VisitedPoller<'_> {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        self.0
    }
}

impl fmt::Debug for VisitedPoller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Somebody asks the thread to stop polling.
const STOP: u32 = 1;
/// Somebody visits.
const VISIT: u32 = 2;
/// The runner goes away.
const LEAVE: u32 = 4;

/// What the thread and everybody else share.
struct Desk {
    flags: AtomicU32,
    visits: Mutex<VecDeque<Visit>>,
    /// Whether the thread polls. Written by the thread, and by whoever resumes it.
    is_polling: AtomicBool,
    /// Told when `flags` or `is_polling` has changed.
    changed: Notification,
    status: Mutex<Option<Status>>,
}

/// A thread that polls one proactor. Every method may be called from any thread.
///
/// ```
/// use weft_io::{Config, Operation, Runner, RunnerOptions, open_null, ops::Nop};
/// use weft_sync::Deadline;
/// let runner = Runner::start(open_null(&Config::new()), RunnerOptions::new())?;
/// let (sender, receiver) = std::sync::mpsc::channel();
/// let nop = Operation::new(Nop).on_done(move |done| sender.send(done.result).unwrap());
/// runner.handle().submit(nop).expect("there is room");
/// receiver.recv().expect("it is called back on the thread")?;
/// runner.request_stop();
/// runner.join(Deadline::NEVER)?;
/// # weft_sync::Result::Ok(())
/// ```
///
/// Dropped, it stops, ends what is under way with `CANCELLED`, and joins the thread.
pub struct Runner {
    handle: Handle,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
    id: ThreadId,
}

impl Runner {
    /// Starts a thread that polls `proactor`. If the system gives no thread, no such processors or no ring, or the
    /// preparation fails, the proactor ends, and so does what was submitted to it.
    pub fn start(proactor: Proactor, options: RunnerOptions) -> Result<Runner> {
        let handle = proactor.handle().clone();
        let desk = Arc::new(Desk {
            flags: AtomicU32::new(0),
            visits: Mutex::new(VecDeque::new()),
            is_polling: AtomicBool::new(true),
            changed: Notification::new(),
            status: Mutex::new(None),
        });
        let name = match options.name.as_str() {
            "" => handle.describe().name.clone(),
            name => short_name(name),
        };
        let (sender, receiver) = mpsc::sync_channel(1);
        let shared = Arc::clone(&desk);
        let run = move || {
            let started = begin(proactor, options);
            match started {
                Ok((poller, life)) => {
                    let _ = sender.send(Ok(()));
                    live(poller, life, &shared);
                }
                Err(why) => {
                    let _ = sender.send(Err(why));
                }
            }
        };
        let thread = thread::Builder::new()
            .name(name)
            .spawn(run)
            .map_err(|error| status!(ResourceExhausted, "no thread for a proactor: {error}"))?;
        let id = thread.thread().id();
        // A thread that is gone without a word has panicked in the preparation.
        let started = receiver.recv().unwrap_or_else(|_| Err(panicked("the preparation")));
        let runner = Runner { handle, desk, thread: Some(thread), id };
        started.while_doing(|| "starting the thread of a proactor")?;
        Ok(runner)
    }

    /// What every thread may use of the proactor.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Asks the thread to stop polling after the poll under way. Callbacks may ask, too. Of no effect on one that was
    /// asked before.
    ///
    /// What is under way is neither cancelled nor waited for: it ends when somebody polls again.
    pub fn request_stop(&self) {
        self.ask(STOP);
    }

    /// Waits until the thread has stopped polling, asked or by an error. `DEADLINE_EXCEEDED`: it has not, and may be
    /// waited for again. `FAILED_PRECONDITION` on the thread itself.
    pub fn join(&self, deadline: Deadline) -> Result<()> {
        self.refuse_own_thread("wait for")?;
        loop {
            let observation = self.desk.changed.observe();
            if self.is_stopped() {
                return Ok(());
            }
            if !observation.wait(deadline) && !self.is_stopped() {
                bail!(DeadlineExceeded, "the thread of a proactor still polls");
            }
        }
    }

    /// Whether the thread polls no more.
    pub fn is_stopped(&self) -> bool {
        // Pairs with the Release in `live`: what callbacks did is visible to whoever sees the stop.
        !self.desk.is_polling.load(Ordering::Acquire)
    }

    /// Why the thread has stopped, if it was not asked; once.
    pub fn consume_status(&self) -> Option<Status> {
        lock(&self.desk.status).take()
    }

    /// Lets a thread that has stopped poll again. `FAILED_PRECONDITION`: it has not stopped.
    pub fn resume(&self) -> Result<()> {
        if !self.is_stopped() {
            bail!(FailedPrecondition, "a thread that polls cannot be resumed");
        }
        self.desk.flags.fetch_and(!STOP, Ordering::AcqRel);
        self.desk.is_polling.store(true, Ordering::Release);
        self.desk.changed.signal(WAKE_ALL);
        Ok(())
    }

    /// Runs `body` on the thread, with its poller, between two polls or while it has stopped; waits for its end.
    ///
    /// `FAILED_PRECONDITION` on the thread itself; `INTERNAL`: `body` panicked.
    ///
    /// ```
    /// use weft_io::{Config, Runner, RunnerOptions, open_null};
    /// let runner = Runner::start(open_null(&Config::new()), RunnerOptions::new())?;
    /// runner.visit(|poller| poller.on_message(|payload| println!("{payload}")))?;
    /// runner.handle().send_message(5)?;
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn visit<R: Send + 'static>(
        &self,
        body: impl FnOnce(&mut VisitedPoller<'_>) -> R + Send + 'static,
    ) -> Result<R> {
        self.refuse_own_thread("visit")?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let visit = move |poller: &mut Poller| {
            let outcome = attempt(|| body(&mut VisitedPoller(poller)));
            let _ = sender.send(outcome.ok_or_else(|| panicked("a visit")));
        };
        lock(&self.desk.visits).push_back(Box::new(visit));
        self.ask(VISIT);
        receiver.recv().unwrap_or_else(|_| bail!(Aborted, "the thread of the proactor is gone"))
    }

    fn refuse_own_thread(&self, what: &str) -> Result<()> {
        if thread::current().id() == self.id {
            bail!(FailedPrecondition, "the thread of a proactor cannot {what} itself");
        }
        Ok(())
    }

    fn ask(&self, what: u32) {
        // Release pairs with the Acquire in the loop: the visit is visible to whoever sees the flag.
        if self.desk.flags.fetch_or(what, Ordering::AcqRel) & what != what {
            self.handle.wake();
            self.desk.changed.signal(WAKE_ALL);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.ask(STOP | LEAVE);
        let Some(thread) = self.thread.take() else { return };
        if thread::current().id() != self.id {
            // A panic was reported as a status, or by `start`.
            thread.join().unwrap_or_else(discard);
        }
        // Else a callback has dropped it: the thread ends by itself after this poll.
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner({:?}, {})", self.handle, if self.is_stopped() { "stopped" } else { "polling" })
    }
}

/// What of the options is for the loop.
struct Life {
    poll_limit: Option<Duration>,
    on_error: Option<ErrorCallback>,
}

fn begin(proactor: Proactor, options: RunnerOptions) -> Result<(Poller, Life)> {
    restrict(&options.processors)?;
    let mut poller = proactor.into_poller()?;
    if let Some(prepare) = options.prepare {
        prepare(&mut VisitedPoller(&mut poller))?;
    }
    Ok((poller, Life { poll_limit: options.poll_limit, on_error: options.on_error }))
}

/// The thread, until its runner is gone.
fn live(mut poller: Poller, mut life: Life, desk: &Desk) {
    loop {
        if let Err(why) = poll_until_asked(&mut poller, &life, desk) {
            if let Some(tell) = life.on_error.take() {
                // The status is kept whatever the callback does.
                let told = why.clone();
                attempt(|| tell(told));
            }
            *lock(&desk.status) = Some(why);
        }
        desk.is_polling.store(false, Ordering::Release);
        desk.changed.signal(WAKE_ALL);
        if sleep_until_resumed(&mut poller, desk) == LEAVE {
            break;
        }
    }
    drop(poller);
    // Whoever visits now finds out that nobody is at home.
    lock(&desk.visits).clear();
}

/// Rule 2.
fn poll_until_asked(poller: &mut Poller, life: &Life, desk: &Desk) -> Result<()> {
    loop {
        let flags = desk.flags.load(Ordering::Acquire);
        if flags & VISIT != 0 {
            receive(poller, desk);
        }
        if flags & STOP != 0 {
            return Ok(());
        }
        let deadline = life.poll_limit.map_or(Deadline::NEVER, Deadline::after);
        let polled = attempt(|| poller.poll(deadline));
        match polled.unwrap_or_else(|| Err(panicked("a callback"))) {
            Ok(_) => {}
            Err(status) if status.code() == Code::DeadlineExceeded => {}
            Err(status) => return Err(status),
        }
    }
}

/// Rule 1. Returns `LEAVE`, or zero when it was resumed.
fn sleep_until_resumed(poller: &mut Poller, desk: &Desk) -> u32 {
    loop {
        let observation = desk.changed.observe();
        let flags = desk.flags.load(Ordering::Acquire);
        if flags & VISIT != 0 {
            drop(observation);
            receive(poller, desk);
            continue;
        }
        if flags & LEAVE != 0 {
            return LEAVE;
        }
        if desk.is_polling.load(Ordering::Acquire) {
            return 0;
        }
        observation.wait(Deadline::NEVER);
    }
}

fn receive(poller: &mut Poller, desk: &Desk) {
    // Before the look: a visit that comes after it sets the flag again.
    desk.flags.fetch_and(!VISIT, Ordering::AcqRel);
    loop {
        // Not held over the visit.
        let Some(visit) = lock(&desk.visits).pop_front() else { return };
        visit(poller);
    }
}

fn panicked(who: &str) -> Status {
    status!(Internal, "{who} panicked on the thread of a proactor")
}

/// Keeps the calling thread to these processors; to any, if there are none.
fn restrict(processors: &[u32]) -> Result<()> {
    if processors.is_empty() {
        return Ok(());
    }
    cfg_select! {
        target_os = "linux" => {
            use rustix::thread::{CpuSet, sched_setaffinity};
            let mut set = CpuSet::new();
            for &processor in processors {
                if processor as usize >= CpuSet::MAX_CPU {
                    bail!(InvalidArgument, "processor {processor}: the system counts to {}", CpuSet::MAX_CPU);
                }
                set.set(processor as usize);
            }
            sched_setaffinity(None, &set)
                .map_err(|errno| crate::errno::failure(errno, &format!("keeping a thread to processors {processors:?}")))
        }
        _ => { bail!(Unavailable, "threads are not kept to processors on this system") }
    }
}
