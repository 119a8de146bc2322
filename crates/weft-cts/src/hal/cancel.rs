//! Submissions that a token cancels before they have begun, and what that leaves alone. What runs already is in
//! `cancel_running.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use weft_hal::pool::{FixedBlockOptions, HostSlabs, Pool, PoolSource, PoolStatistics};
use weft_hal::{
    AllocaFlags, Buffer, BufferParams, CommandBufferMode, ExecuteFlags, File, HostCallEnd, HostCallFlags,
    MemoryAccess, Region, Submission,
};
use weft_sync::{CancelToken, Code, Deadline, Point, Result, Semaphore};

use crate::case::Caps;
use crate::hal::file::{counting, native_file};
use crate::hal::host_call::host_call;
use crate::subject::{NOW, Subject, bytes_of, eventually, fails_with, point, region, semaphore, soon, whole};

const ASYNC_WORK: Caps = Caps::ASYNC.union(Caps::WORK);

crate::cases! { $ CANCEL for_each_cancel_case {
    cancelled_before_it_is_submitted: Caps::NONE;
    cancelled_while_it_waits: Caps::NONE;
    what_was_over_stays_so: Caps::WORK;
    memory_of_cancelled_calls_goes_back: Caps::NONE;
    cancelled_deallocas_give_back_to_their_pool: Caps::POOLS;
    parked_allocations_are_cancelled: Caps::POOLS;
    chains_of_cancelled_operations_end: ASYNC_WORK;
    cancelled_heads_fail_their_chain: ASYNC_WORK;
    a_token_is_shared_and_reaches_nobody_else: ASYNC_WORK;
    cancelling_races_with_every_stage: Caps::WORK;
    others_go_on_beside_cancelled_calls: Caps::WORK;
    ready_operations_are_cancelled: ASYNC_WORK;
} }

fn fresh(count: usize) -> Vec<[Point; 1]> {
    (0..count).map(|_| [point(&semaphore(0), 1)]).collect()
}

fn cancelled_token() -> CancelToken {
    let token = CancelToken::new();
    token.cancel();
    token
}

/// What one operation of each kind works on, and whether the function was called.
struct Kinds {
    buffer: Arc<Buffer>,
    transient: Arc<Buffer>,
    file: Arc<File>,
    calls: Arc<AtomicU32>,
}

/// Kinds of operations in [`Kinds::submit`].
const KINDS: usize = 10;

impl Kinds {
    fn new(subject: &Subject) -> Kinds {
        let access = MemoryAccess::READ.union(MemoryAccess::WRITE);
        Kinds {
            buffer: subject.buffer(64),
            transient: subject.run(|at| subject.alloca(at, 4096)).unwrap(),
            file: Arc::new(File::from_std(access, native_file(&counting(64)))),
            calls: Arc::default(),
        }
    }

    /// One operation. The last kind is an allocation; the one before it a deallocation.
    fn submit(&self, subject: &Subject, kind: usize, at: &Submission<'_>) -> Result<Option<Arc<Buffer>>> {
        let (device, buffer) = (&subject.device, &self.buffer);
        let operands = [whole(buffer)];
        match kind {
            0 => device.queue_fill(at, &Region::whole(buffer), 1, 1)?,
            1 => device.queue_update(at, &[1; 64], buffer, 0)?,
            2 => device.queue_copy(at, &region(&self.transient, 0, 8), &region(buffer, 0, 8))?,
            3 => device.queue_barrier(at)?,
            4 => {
                let calls = Arc::clone(&self.calls);
                let call = host_call(HostCallFlags::empty(), move |_| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    Ok(HostCallEnd::Done)
                });
                device.queue_host_call(at, call)?;
            }
            5 => device.queue_dispatch(at, &subject.dispatch("add_one", [1; 3], &[], &operands))?,
            6 => {
                let commands = subject.commands(CommandBufferMode::ONE_SHOT, 0);
                commands.fill(&whole(buffer), 1, 1)?;
                commands.end()?;
                device.queue_execute(at, Some(&commands), None, ExecuteFlags::empty())?;
            }
            7 => {
                device.queue_read(at, &self.file, 0, &Region::whole(buffer))?;
            }
            8 => subject.dealloca(at, &self.transient)?,
            9 => return subject.alloca(at, 4096).map(Some),
            _ => unreachable!("there are {KINDS} kinds"),
        }
        Ok(None)
    }

    /// No operation had an effect, but that the memory has gone.
    fn are_untouched(&self) {
        assert_eq!(bytes_of(&self.buffer), [0; 64]);
        assert_eq!(self.calls.load(Ordering::Relaxed), 0, "the function was called");
        assert!(!self.transient.is_committed(), "its memory goes back");
    }
}

/// Nothing begins. Calls succeed, as they do after a wait that has failed.
fn cancelled_before_it_is_submitted(subject: &Subject) {
    let (kinds, signals, token) = (Kinds::new(subject), fresh(KINDS), cancelled_token());
    for (kind, signal) in signals.iter().enumerate() {
        let at = Submission { signal, ..NOW }.cancelled_by(Some(&token));
        let made = kinds.submit(subject, kind, &at).unwrap();
        fails_with(signal[0].semaphore.wait(1, soon()), Code::Cancelled);
        assert!(made.is_none_or(|buffer| !buffer.is_committed()));
    }
    token.wait_idle(soon()).unwrap();
    kinds.are_untouched();
    // Mistakes are found all the same, and nobody is told.
    let signal = [point(&semaphore(0), 1)];
    let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
    fails_with(subject.device.queue_fill(&at, &region(&kinds.buffer, 60, 8), 1, 1), Code::OutOfRange);
    assert_eq!(signal[0].semaphore.query().unwrap(), 0);
}

/// On an asynchronous device nobody waits for them; on the others threads do.
fn cancelled_while_it_waits(subject: &Subject) {
    let never = [point(&semaphore(0), 1), point(&semaphore(0), 7)];
    let (kinds, signals, token) = (Kinds::new(subject), fresh(KINDS), CancelToken::new());
    thread::scope(|scope| {
        let (kinds, never) = (&kinds, &never);
        for (kind, signal) in signals.iter().enumerate() {
            let token = token.clone();
            let submit = move || {
                let at = Submission { wait: never, signal, ..NOW }.cancelled_by(Some(&token));
                kinds.submit(subject, kind, &at).map(drop).unwrap();
            };
            if subject.has.contains(Caps::ASYNC) { submit() } else { drop(scope.spawn(submit)) }
        }
        eventually("all wait", || token.work_count() == KINDS as u64);
        fails_with(token.wait_idle(Deadline::IMMEDIATE), Code::DeadlineExceeded);
        assert!(signals.iter().all(|signal| matches!(signal[0].semaphore.query(), Ok(0))));
        token.cancel();
        for signal in &signals {
            fails_with(signal[0].semaphore.wait(1, soon()), Code::Cancelled);
        }
        token.wait_idle(soon()).unwrap();
    });
    kinds.are_untouched();
    // Waits that come now find nobody.
    never.iter().for_each(|point| point.semaphore.signal(9).unwrap());
    kinds.are_untouched();
}

/// Also what follows it, once it has been reached.
fn what_was_over_stays_so(subject: &Subject) {
    let (buffer, token, signal) = (subject.buffer(64), CancelToken::new(), [point(&semaphore(0), 1)]);
    let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
    subject.device.queue_fill(&at, &Region::whole(&buffer), 7, 1).unwrap();
    subject.reaches(&signal);
    token.cancel();
    token.wait_idle(soon()).unwrap();
    assert_eq!(signal[0].semaphore.query().unwrap(), 1);
    let after = |at: &Submission<'_>| subject.device.queue_fill(at, &region(&buffer, 0, 32), 8, 1);
    subject.run_after(&signal, after).unwrap();
    assert_eq!(bytes_of(&buffer), [[8; 32], [7; 32]].concat());
}

/// A dealloca without the token stays where it is, and its buffer too.
fn memory_of_cancelled_calls_goes_back(subject: &Subject) {
    let never = [point(&semaphore(0), 1)];
    let (signals, token) = (fresh(2), CancelToken::new());
    let [mine, other] = [(); 2].map(|()| subject.run(|at| subject.alloca(at, 4096)).unwrap());
    thread::scope(|scope| {
        let submit = |buffer: Arc<Buffer>, signal, token: Option<CancelToken>| {
            let never = &never;
            let submit = move || {
                let at = Submission { wait: never, signal, ..NOW }.cancelled_by(token.as_ref());
                subject.dealloca(&at, &buffer).unwrap();
            };
            if subject.has.contains(Caps::ASYNC) { submit() } else { drop(scope.spawn(submit)) }
        };
        submit(Arc::clone(&mine), &signals[0], Some(token.clone()));
        submit(Arc::clone(&other), &signals[1], None);
        eventually("both wait", || mine.is_dealloca_queued() && other.is_dealloca_queued());
        assert!(mine.is_committed() && other.is_committed());
        token.cancel();
        fails_with(signals[0][0].semaphore.wait(1, soon()), Code::Cancelled);
        token.wait_idle(soon()).unwrap();
        assert!(!mine.is_committed() && other.is_committed());
        subject.comes_to_live_bytes(4096);
        assert_eq!(signals[1][0].semaphore.query().unwrap(), 0);
        never[0].semaphore.signal(1).unwrap();
        subject.reaches(&signals[1]);
    });
    subject.comes_to_live_bytes(0);
}

const BLOCK: u64 = 4096;

fn pool_of(subject: &Subject, block_count: u32) -> Arc<Pool> {
    let source = PoolSource::new(HostSlabs::new(Arc::clone(subject.device.allocator().backend())));
    let options = FixedBlockOptions { block_bytes: BLOCK, block_count };
    Pool::fixed_block(source, &options).expect("the options are good")
}

fn alloca_from(subject: &Subject, pool: &Arc<Pool>, at: &Submission<'_>) -> Result<Arc<Buffer>> {
    let params = BufferParams::device_local();
    let flags = AllocaFlags::ALLOW_POOL_WAIT_FRONTIER;
    subject.device.queue_alloca_from(at, Some(pool), &params, BLOCK, flags)
}

fn is_balanced(pool: &Pool) -> bool {
    let PoolStatistics { live, reserved_bytes, reservations, releases, .. } = pool.statistics();
    live == 0 && reserved_bytes == 0 && reservations == releases
}

/// And who comes next has that memory.
fn cancelled_deallocas_give_back_to_their_pool(subject: &Subject) {
    let pool = pool_of(subject, 1);
    let (token, signal) = (cancelled_token(), [point(&semaphore(0), 1)]);
    let buffer = subject.run(|at| alloca_from(subject, &pool, at)).unwrap();
    let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
    subject.dealloca(&at, &buffer).unwrap();
    fails_with(signal[0].semaphore.wait(1, soon()), Code::Cancelled);
    eventually("it came back", || is_balanced(&pool));
    let next = subject.run(|at| alloca_from(subject, &pool, at)).unwrap();
    subject.run(|at| subject.device.queue_fill(at, &Region::whole(&next), 3, 1)).unwrap();
    subject.run(|at| subject.dealloca(at, &next)).unwrap();
    eventually("it came back again", || is_balanced(&pool));
}

/// A pool whose one block is in use.
fn parked_allocations_are_cancelled(subject: &Subject) {
    let pool = pool_of(subject, 1);
    let (token, signals) = (CancelToken::new(), fresh(2));
    let held = subject.run(|at| alloca_from(subject, &pool, at)).unwrap();
    thread::scope(|scope| {
        let pool = &pool;
        let submit = |signal, cancel: Option<CancelToken>| {
            let submit = move || {
                let at = Submission { signal, ..NOW }.cancelled_by(cancel.as_ref());
                // Devices that work inside the call say what it failed with.
                let made = alloca_from(subject, pool, &at);
                if let Err(status) = &made {
                    assert_eq!(status.code(), Code::Cancelled);
                }
                made.ok()
            };
            if subject.has.contains(Caps::ASYNC) {
                submit()
            } else {
                drop(scope.spawn(submit));
                None
            }
        };
        let refused = submit(&signals[0], Some(token.clone()));
        let served = submit(&signals[1], None);
        eventually("it is parked", || token.work_count() == 1);
        thread::sleep(Duration::from_millis(2));
        token.cancel();
        fails_with(signals[0][0].semaphore.wait(1, soon()), Code::Cancelled);
        token.wait_idle(soon()).unwrap();
        assert!(refused.is_none_or(|buffer| !buffer.is_committed()));
        assert_eq!(signals[1][0].semaphore.query().unwrap(), 0, "the other one waits");
        subject.run(|at| subject.dealloca(at, &held)).unwrap();
        subject.reaches(&signals[1]);
        drop(served);
    });
    eventually("all came back", || is_balanced(&pool));
}

/// Runs `body` on a thread whose stack is small for a debug build.
fn on_a_small_stack(body: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, body).unwrap();
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

const LINKS: usize = 1_000;

/// Each link waits for the one before, on a semaphore of its own.
fn submit_chain(subject: &Subject, links: &[[Point; 1]], cancel: impl Fn(usize) -> Option<CancelToken>) {
    for index in 1..links.len() {
        let token = cancel(index);
        let (wait, signal) = (&links[index - 1], &links[index]);
        let at = Submission { wait, signal, ..NOW }.cancelled_by(token.as_ref());
        subject.device.queue_barrier(&at).unwrap();
    }
}

/// All of them carry the token.
fn chains_of_cancelled_operations_end(subject: &Subject) {
    let (links, token) = (fresh(LINKS + 1), CancelToken::new());
    submit_chain(subject, &links, |_| Some(token.clone()));
    assert_eq!(token.work_count(), LINKS as u64);
    on_a_small_stack(|| token.cancel());
    for link in &links[1..] {
        fails_with(link[0].semaphore.wait(1, soon()), Code::Cancelled);
    }
    token.wait_idle(soon()).unwrap();
    assert_eq!((token.work_count(), links[0][0].semaphore.query().unwrap()), (0, 0));
}

/// The first one carries the token; the others fail with what they waited for.
fn cancelled_heads_fail_their_chain(subject: &Subject) {
    let (links, token) = (fresh(LINKS + 1), CancelToken::new());
    submit_chain(subject, &links, |index| (index == 1).then(|| token.clone()));
    assert_eq!(token.work_count(), 1);
    on_a_small_stack(|| token.cancel());
    for link in &links[1..] {
        fails_with(link[0].semaphore.wait(1, soon()), Code::Cancelled);
    }
    token.wait_idle(soon()).unwrap();
}

/// Two calls have one token, a third one its own, a fourth none.
fn a_token_is_shared_and_reaches_nobody_else(subject: &Subject) {
    let held = [point(&semaphore(0), 1)];
    let (shared, other) = (CancelToken::new(), CancelToken::new());
    let tokens = [Some(&shared), Some(&shared), Some(&other), None];
    let (buffer, signals) = (subject.buffer(4), fresh(4));
    for (index, (token, signal)) in tokens.into_iter().zip(&signals).enumerate() {
        let at = Submission { wait: &held, signal, ..NOW }.cancelled_by(token);
        let byte = region(&buffer, index as u64, 1);
        subject.device.queue_fill(&at, &byte, 1, 1).unwrap();
    }
    shared.clone().cancel();
    shared.cancel();
    for signal in &signals[..2] {
        fails_with(signal[0].semaphore.wait(1, soon()), Code::Cancelled);
    }
    assert_eq!((shared.work_count(), other.work_count()), (0, 1));
    held[0].semaphore.signal(1).unwrap();
    subject.reaches(&[&signals[2][..], &signals[3][..]].concat());
    assert_eq!(bytes_of(&buffer), [0, 0, 1, 1]);
    other.wait_idle(soon()).unwrap();
    drop(other);
    drop(shared);
}

/// Its waits are over, and the only thread of the queue is busy with something else.
fn ready_operations_are_cancelled(subject: &Subject) {
    let gate = crate::hal::gate::Gate::closed();
    let (constants, busy) = ([gate.number()], fresh(1));
    let blocker = subject.dispatch("visit", [64, 1, 1], &constants, &[]);
    subject.device.queue_dispatch(&Submission { signal: &busy[0], ..NOW }, &blocker).unwrap();
    gate.until_inside(1);
    let (token, signals, calls) = (CancelToken::new(), fresh(20), Arc::new(AtomicU32::new(0)));
    for signal in &signals {
        let counted = Arc::clone(&calls);
        let call = host_call(HostCallFlags::empty(), move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(HostCallEnd::Done)
        });
        let at = Submission { signal, ..NOW }.cancelled_by(Some(&token));
        subject.device.queue_host_call(&at, call).unwrap();
    }
    token.cancel();
    gate.open();
    let mut done = 0;
    for signal in &signals {
        match signal[0].semaphore.wait(1, soon()) {
            Ok(()) => done += 1,
            Err(status) => assert_eq!(status.code(), Code::Cancelled),
        }
    }
    token.wait_idle(soon()).unwrap();
    assert_eq!(
        calls.load(Ordering::Relaxed),
        done,
        "called, and told that it was not, or the other way round"
    );
    subject.reaches(&busy[0]);
    assert_eq!(gate.visits().len(), 64);
    if subject.workers == 1 {
        assert_eq!(done, 0, "the only worker was in a kernel");
    }
}

/// How often a semaphore told its end, and with what.
#[derive(Default)]
struct Ends {
    reached: AtomicU32,
    cancelled: AtomicU32,
    other: AtomicU32,
}

impl Ends {
    fn listen(self: &Arc<Self>, semaphore: &Arc<Semaphore>) {
        let ends = Arc::clone(self);
        drop(semaphore.on_reached(1, move |outcome| {
            let counter = match outcome {
                Ok(()) => &ends.reached,
                Err(status) if status.code() == Code::Cancelled => &ends.cancelled,
                Err(_) => &ends.other,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }));
    }

    fn counts(&self) -> [u32; 3] {
        [&self.reached, &self.cancelled, &self.other].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// A call of six steps is cancelled at any moment by another thread: all its steps end, each once, in the order of their
/// dependencies, and nothing is left.
fn cancelling_races_with_every_stage(subject: &Subject) {
    const ROUNDS: u32 = if cfg!(tsan) { 100 } else { 300 };
    let pool = subject.has.contains(Caps::POOLS).then(|| pool_of(subject, 4));
    let result = subject.buffer(64);
    let mut ended_early = 0;
    for round in 0..ROUNDS {
        let (token, signals, ends) = (CancelToken::new(), fresh(6), Arc::new(Ends::default()));
        signals.iter().for_each(|signal| ends.listen(&signal[0].semaphore));
        thread::scope(|scope| {
            let canceller = token.clone();
            scope.spawn(move || {
                (0..round * 40).for_each(|_| std::hint::spin_loop());
                canceller.cancel();
            });
            call(subject, pool.as_ref(), &result, &signals, &token);
        });
        token.wait_idle(soon()).unwrap();
        let told: Vec<bool> = signals.iter().map(|signal| signal[0].semaphore.query().is_ok()).collect();
        assert!(
            told.is_sorted_by(|before, after| before >= after),
            "a step ended well after one that did not: {told:?}"
        );
        let [reached, cancelled, other] = ends.counts();
        assert_eq!((reached + cancelled, other), (6, 0), "round {round}");
        ended_early += u32::from(cancelled > 0);
    }
    assert!(ended_early > 0, "none was cancelled before its end");
    if let Some(pool) = pool {
        eventually("all came back", || is_balanced(&pool));
    }
    subject.comes_to_live_bytes(64);
}

/// Six steps, each after the one before: memory, a fill, a dispatch, a recording, a copy out, the memory back.
fn call(
    subject: &Subject,
    pool: Option<&Arc<Pool>>,
    result: &Buffer,
    signals: &[[Point; 1]],
    token: &CancelToken,
) {
    let at = |index: usize| {
        let wait = if index == 0 { &[] } else { &signals[index - 1][..] };
        Submission { wait, signal: &signals[index], ..NOW }.cancelled_by(Some(token))
    };
    // A device that works inside the call returns what it failed with; then there is nothing to go on with.
    let told = |outcome: Result<()>| {
        if let Err(status) = outcome {
            assert_eq!(status.code(), Code::Cancelled, "{status}");
        }
    };
    let made = match pool {
        Some(pool) => alloca_from(subject, pool, &at(0)),
        None => subject.alloca(&at(0), BLOCK),
    };
    let Ok(buffer) = made else {
        (1..6).for_each(|index| told(subject.device.queue_barrier(&at(index))));
        return;
    };
    let operands = [whole(&buffer)];
    told(subject.device.queue_fill(&at(1), &Region::whole(&buffer), 1, 4));
    told(subject.device.queue_dispatch(&at(2), &subject.dispatch("add_one", [1; 3], &[], &operands)));
    let commands = subject.commands(CommandBufferMode::ONE_SHOT, 0);
    commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
    commands.end().unwrap();
    told(subject.device.queue_execute(&at(3), Some(&commands), None, ExecuteFlags::empty()));
    told(subject.device.queue_copy(&at(4), &region(&buffer, 0, 4), &region(result, 0, 4)));
    told(subject.dealloca(&at(5), &buffer));
}

/// One thread's calls are cancelled all the time; another's, on the same queue and pool, are not, and their results are
/// right.
fn others_go_on_beside_cancelled_calls(subject: &Subject) {
    const ROUNDS: u32 = if cfg!(tsan) { 50 } else { 200 };
    let pool = subject.has.contains(Caps::POOLS).then(|| pool_of(subject, 4));
    thread::scope(|scope| {
        let pool = pool.as_ref();
        scope.spawn(move || {
            let result = subject.buffer(64);
            for round in 0..ROUNDS {
                let (token, signals) = (CancelToken::new(), fresh(6));
                let canceller = token.clone();
                let thread = thread::spawn(move || {
                    (0..round * 40).for_each(|_| std::hint::spin_loop());
                    canceller.cancel();
                });
                call(subject, pool, &result, &signals, &token);
                thread.join().unwrap();
                token.wait_idle(soon()).unwrap();
            }
        });
        scope.spawn(move || {
            let result = subject.buffer(64);
            for _ in 0..ROUNDS {
                result.zero(0, 64).unwrap();
                let (token, signals) = (CancelToken::new(), fresh(6));
                call(subject, pool, &result, &signals, &token);
                subject.reaches(&signals[5]);
                assert_eq!(subject.read_words(&result)[0], 3);
            }
        });
    });
    if let Some(pool) = pool {
        eventually("all came back", || is_balanced(&pool));
    }
    subject.comes_to_live_bytes(0);
}
