//! How work is spread over threads: recordings in flight, workers side by side, who may hold up whom.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use weft_hal::{
    CommandBuffer, CommandBufferMode, Device, Dispatch, DispatchFlags, ExecuteFlags, ExecutionStage, Fence,
    HostCallEnd, HostCallFlags, Operand, QueueAffinity, Region, Submission,
};
use weft_sync::{Code, Point};

use crate::case::Caps;
use crate::hal::gate::Gate;
use crate::hal::host_call::host_call;
use crate::subject::{NOW, Subject, bytes_of, eventually, fails_with, point, region, semaphore, whole};

const ASYNC_WORK: Caps = Caps::ASYNC.union(Caps::WORK);
/// The plain device, which is there to be compared with, has neither pools nor manners.
const ASYNC_POOLS: Caps = ASYNC_WORK.union(Caps::POOLS);

crate::cases! { $ SCHEDULING for_each_scheduling_case {
    a_hundred_recordings_are_held_and_all_run: ASYNC_WORK;
    rapid_recordings_complete_once: ASYNC_WORK;
    signals_start_the_next_recording: Caps::WORK;
    workgroups_run_side_by_side: ASYNC_WORK.union(Caps::PARALLEL);
    workers_are_told_apart: Caps::WORK;
    local_memory_is_not_shared: Caps::WORK;
    regions_of_any_width_follow_each_other: Caps::WORK;
    transfers_do_not_depend_on_their_size: Caps::WORK;
    failures_are_told_when_all_have_left: ASYNC_WORK.union(Caps::PARALLEL);
    queues_do_not_stall_each_other: ASYNC_WORK.union(Caps::QUEUES);
    old_work_gets_its_turn: ASYNC_WORK;
    threads_submit_at_the_same_time: Caps::WORK;
    waiting_threads_may_submit_too: Caps::WORK;
    inline_dispatches_are_for_one_worker: Caps::WORK;
    callbacks_that_panic_keep_nobody_waiting: ASYNC_POOLS;
} }

const REUSABLE: CommandBufferMode = CommandBufferMode::empty();

fn run_recording(subject: &Subject, commands: &CommandBuffer, at: &Submission<'_>) {
    subject.device.queue_execute(at, Some(commands), None, ExecuteFlags::empty()).expect("it is accepted");
}

/// [hal 140] the first one stops in its kernel, so that the others have to be kept.
fn a_hundred_recordings_are_held_and_all_run(subject: &Subject) {
    let gate = Gate::closed();
    let (constants, buffer) = ([gate.number()], subject.buffer(400));
    let all: Vec<Point> = (0..101).map(|_| point(&semaphore(0), 1)).collect();
    let stop = subject.dispatch("visit", [1; 3], &constants, &[]);
    subject.device.queue_dispatch(&Submission { signal: &all[100..], ..NOW }, &stop).unwrap();
    gate.until_inside(1);
    let recordings: Vec<_> = (0..100)
        .map(|index| {
            let commands = subject.commands(CommandBufferMode::ONE_SHOT, 0);
            commands.fill(&Operand::direct(&buffer, index * 4, 4), index, 4).unwrap();
            commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
            let visit = subject.dispatch("visit", [1; 3], &constants, &[]);
            commands.dispatch(&visit).unwrap();
            commands.end().unwrap();
            commands
        })
        .collect();
    for (commands, signal) in recordings.iter().zip(all.chunks(1)) {
        run_recording(subject, commands, &Submission { signal, ..NOW });
    }
    assert_eq!(all[100].semaphore.query().unwrap(), 0);
    gate.open();
    subject.reaches(&all);
    assert!(subject.read_words(&buffer).into_iter().eq(0..100));
    assert_eq!(gate.visits().len(), 101);
}

/// [hal 142] by two threads, each with a timeline of its own; each number is counted up exactly so often.
fn rapid_recordings_complete_once(subject: &Subject) {
    const ROUNDS: u64 = if cfg!(tsan) { 5_000 } else { 50_000 };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let counter = subject.buffer(4);
                let commands = subject.commands(REUSABLE, 0);
                let operands = [whole(&counter)];
                commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
                commands.end().unwrap();
                let timeline = semaphore(0);
                let mut wait = [point(&timeline, 0)];
                let mut signal = [point(&timeline, 1)];
                for round in 0..ROUNDS {
                    wait[0].value = round;
                    signal[0].value = round + 1;
                    run_recording(subject, &commands, &Submission { wait: &wait, signal: &signal, ..NOW });
                    if round % 1000 == 999 {
                        subject.reaches(&signal);
                    }
                }
                subject.reaches(&signal);
                assert_eq!(subject.read_words(&counter), [ROUNDS as u32]);
            });
        }
    });
}

/// Submits a recording once more each time it is done.
struct Again {
    device: Weak<Device>,
    commands: Arc<CommandBuffer>,
    left: AtomicU64,
    end: Arc<Fence>,
}

impl Again {
    fn submit(self: &Arc<Self>) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.end.signal().expect("it ends once");
            return;
        }
        let device = self.device.upgrade().expect("the device outlives its work");
        let next = semaphore(0);
        let this = Arc::clone(self);
        // The callback owns the next step, and the semaphore owns the callback until it is reached.
        drop(next.on_reached(1, move |outcome| match outcome {
            Ok(()) => this.submit(),
            Err(status) => this.end.fail(status),
        }));
        let signal = [point(&next, 1)];
        let at = Submission { signal: &signal, ..NOW };
        let submitted = device.queue_execute(&at, Some(&self.commands), None, ExecuteFlags::empty());
        submitted.expect("it is accepted");
    }
}

/// [hal 145] from the callback, while the device is still busy with the end of the one before.
fn signals_start_the_next_recording(subject: &Subject) {
    let lanes: Vec<_> = (0..3)
        .map(|_| {
            let counter = subject.buffer(4);
            let commands = subject.commands(REUSABLE, 0);
            let operands = [whole(&counter)];
            commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
            commands.end().unwrap();
            let device = Arc::downgrade(&subject.device);
            let again = Again { device, commands, left: AtomicU64::new(500), end: Fence::create() };
            (counter, Arc::new(again))
        })
        .collect();
    lanes.iter().for_each(|(_, again)| again.submit());
    for (counter, again) in &lanes {
        subject.passes(&again.end);
        assert_eq!(subject.read_words(counter), [500]);
    }
}

/// [hal 141] at least two at once: from some point on none of them can leave before the second has come.
fn workgroups_run_side_by_side(subject: &Subject) {
    let gate = Gate::closed_after(8);
    let constants = [gate.number()];
    let fence = Fence::create();
    let visit = subject.dispatch("visit", [256, 1, 1], &constants, &[]);
    subject.device.queue_dispatch(&Submission::between(None, Some(&fence)), &visit).unwrap();
    gate.until_inside(2);
    assert!(!fence.query().unwrap());
    gate.open();
    subject.passes(&fence);
    let visits = gate.visits();
    let workgroups: BTreeSet<u32> = visits.iter().map(|visit| visit.workgroup).collect();
    assert_eq!((visits.len(), workgroups.len()), (256, 256), "each workgroup runs once");
    assert!(gate.inside_max() <= subject.workers, "{} at once", gate.inside_max());
    assert!(!gate.is_ambiguous(), "two threads had one number at the same time");
}

/// [hal 141] [hal 160] a worker's number belongs to one thread at a time, and all numbers are small.
fn workers_are_told_apart(subject: &Subject) {
    for _ in 0..10 {
        let gate = Gate::opened();
        let constants = [gate.number()];
        let visit = subject.dispatch("visit", [50, 4, 1], &constants, &[]);
        subject.run_once(|commands| commands.dispatch(&visit)).unwrap();
        let visits = gate.visits();
        assert_eq!(visits.len(), 200);
        assert!(visits.iter().all(|visit| visit.processor < subject.workers), "{visits:?}");
        assert!(!gate.is_ambiguous(), "two threads had one number at the same time");
    }
}

/// [hal 139] [hal 141]
fn local_memory_is_not_shared(subject: &Subject) {
    let out = subject.buffer(4 * 500);
    let operands = [whole(&out)];
    let dispatch = subject.dispatch("keep_local", [500, 1, 1], &[], &operands);
    subject.run(|at| subject.device.queue_dispatch(at, &dispatch)).unwrap();
    assert!(subject.read_words(&out).into_iter().all(|word| word == 1));
}

/// [hal 97] [hal 141] wide, narrow and empty grids; each one uses what all the ones before it wrote.
fn regions_of_any_width_follow_each_other(subject: &Subject) {
    let widths = [1_u32, 64, 1, 0, 7, 200, 3, 0, 0, 31, 1, 128];
    let buffer = subject.buffer(4 * 200);
    let gate = Gate::opened();
    let constants = [gate.number(), 1];
    let operands = [whole(&buffer)];
    let commands = subject.commands(REUSABLE, 0);
    for _ in 0..8 {
        for width in widths {
            let grid = [width, 1, 1];
            commands.dispatch(&subject.dispatch("visit_and_write", grid, &constants, &operands)).unwrap();
            commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
        }
    }
    commands.end().unwrap();
    for _ in 0..3 {
        subject.execute(&commands, None).unwrap();
    }
    let expected = (0..200).map(|index| 24 * widths.iter().filter(|&&width| width > index).count() as u32);
    assert!(subject.read_words(&buffer).into_iter().eq(expected));
    // No grid began before the one before it had ended.
    let mut visits = gate.visits().into_iter();
    for _ in 0..24 {
        for width in widths {
            let seen: BTreeSet<u32> =
                visits.by_ref().take(width as usize).map(|visit| visit.workgroup).collect();
            assert!(seen.into_iter().eq(0..width), "a grid of {width}");
        }
    }
}

/// [hal 147] the same bytes below, at and above the sizes at which devices choose other ways.
fn transfers_do_not_depend_on_their_size(subject: &Subject) {
    let around = |size: u64| [size - 1, size, size + 1];
    let sizes = [2, 64 << 10, 128 << 10, 256 << 10].into_iter().flat_map(around);
    let total = (256 << 10) + 64;
    let content: Vec<u8> = (0..total).map(|index| (index % 251) as u8).collect();
    let source = subject.buffer_with(&content);
    for length in sizes {
        let target = subject.buffer(total);
        subject.run(|at| subject.device.queue_fill(at, &region(&target, 3, length), 0xEE, 1)).unwrap();
        let bytes = bytes_of(&target);
        let end = 3 + length as usize;
        assert!(bytes[3..end].iter().all(|&byte| byte == 0xEE), "{length}");
        assert!(bytes[..3].iter().chain(&bytes[end..]).all(|&byte| byte == 0), "{length}");
        let (from, to) = (region(&source, 7, length), region(&target, 5, length));
        subject.run(|at| subject.device.queue_copy(at, &from, &to)).unwrap();
        let bytes = bytes_of(&target);
        assert_eq!(bytes[5..5 + length as usize], content[7..7 + length as usize]);
        assert_eq!(bytes[..3], [0; 3]);
        assert!(bytes[5 + length as usize..].iter().all(|&byte| byte == 0), "{length}");
    }
}

/// [hal 148] so that whoever hears of it may free what the kernels used.
fn failures_are_told_when_all_have_left(subject: &Subject) {
    let out = subject.buffer(256 * 4);
    // One thread waits at the gate; the second one that comes fails.
    let gate = Arc::new(Gate::closed_after(8));
    let constants = [gate.number()];
    let operands = [whole(&out)];
    let signal = [point(&semaphore(0), 1)];
    let inside = Arc::new(AtomicU64::new(u64::MAX));
    let (note, watched) = (Arc::clone(&inside), Arc::clone(&gate));
    drop(signal[0].semaphore.on_reached(1, move |outcome| {
        assert!(outcome.is_err());
        note.store(u64::from(watched.inside()), Ordering::SeqCst);
    }));
    let commands = subject.commands(CommandBufferMode::ONE_SHOT, 0);
    commands.dispatch(&subject.dispatch("visit_and_fail", [256, 1, 1], &constants, &operands)).unwrap();
    commands.end().unwrap();
    run_recording(subject, &commands, &Submission { signal: &signal, ..NOW });
    gate.until_refused();
    std::thread::sleep(std::time::Duration::from_millis(10));
    assert_eq!(inside.load(Ordering::SeqCst), u64::MAX, "told while a kernel still runs");
    gate.open();
    subject.fails(Ok(()), &signal, Code::Internal);
    eventually("the callback ran", || inside.load(Ordering::SeqCst) == 0);
    let status = signal[0].semaphore.query().unwrap_err();
    assert!(status.message().contains("somebody is here already"), "{status}");
    // The same workers go on.
    let visit = subject.dispatch("visit", [8, 1, 1], &constants, &[]);
    subject.run(|at| subject.device.queue_dispatch(at, &visit)).unwrap();
}

/// [hal 149] all threads of one queue are stopped in kernels, and the other one works.
fn queues_do_not_stall_each_other(subject: &Subject) {
    let gate = Gate::closed();
    let constants = [gate.number()];
    let (busy, free) = (QueueAffinity(1), QueueAffinity(2));
    let fence = Fence::create();
    let at = Submission::between(None, Some(&fence)).on(busy);
    let visit = subject.dispatch("visit", [64, 1, 1], &constants, &[]);
    subject.device.queue_dispatch(&at, &visit).unwrap();
    gate.until_inside(1);
    let counter = subject.buffer(4);
    let operands = [whole(&counter)];
    let add_one = subject.dispatch("add_one", [1; 3], &[], &operands);
    for round in 1..=50 {
        subject.run(|at| subject.device.queue_dispatch(&at.on(free), &add_one)).unwrap();
        assert_eq!(subject.read_words(&counter), [round]);
    }
    let transient = subject.run(|at| subject.alloca(&at.on(free), 64)).unwrap();
    subject.run(|at| subject.device.queue_fill(&at.on(free), &Region::whole(&transient), 1, 1)).unwrap();
    assert!(!fence.query().unwrap());
    gate.open();
    subject.passes(&fence);
}

/// Host calls that submit themselves again until told to stop.
struct Stream {
    device: Weak<Device>,
    calls: AtomicU64,
    /// How many were submitted, and of those that were called the one submitted last.
    submitted: AtomicU64,
    latest: AtomicU64,
    is_over: AtomicBool,
    running: AtomicU64,
}

impl Stream {
    fn submit(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let number = self.submitted.fetch_add(1, Ordering::Relaxed);
        let call = host_call(HostCallFlags::empty(), move |_| {
            this.calls.fetch_add(1, Ordering::Relaxed);
            this.latest.fetch_max(number, Ordering::Relaxed);
            if this.is_over.load(Ordering::Relaxed) {
                this.running.fetch_sub(1, Ordering::Relaxed);
            } else {
                this.submit();
            }
            Ok(HostCallEnd::Done)
        });
        // If the case has failed, the device goes while the stream flows, and the stream with it.
        if let Some(device) = self.device.upgrade() {
            device.queue_host_call(&NOW.on(QueueAffinity(1)), call).expect("it is accepted");
        }
    }
}

/// [hal 150] the queue is never empty, and what came before still comes to its turn.
fn old_work_gets_its_turn(subject: &Subject) {
    let stream = Arc::new(Stream {
        device: Arc::downgrade(&subject.device),
        calls: AtomicU64::new(0),
        submitted: AtomicU64::new(0),
        latest: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        running: AtomicU64::new(8),
    });
    (0..8).for_each(|_| stream.submit());
    eventually("the stream flows", || stream.calls.load(Ordering::Relaxed) > 100);
    let buffer = subject.buffer(4);
    let operands = [whole(&buffer)];
    let add_one = subject.dispatch("add_one", [1; 3], &[], &operands);
    for _ in 0..20 {
        let seen = Arc::new(Mutex::new(None));
        let (note, count) = (Arc::clone(&seen), Arc::clone(&stream));
        let probe = host_call(HostCallFlags::empty(), move |_| {
            *note.lock().unwrap() = Some(count.latest.load(Ordering::Relaxed));
            Ok(HostCallEnd::Done)
        });
        let signal = [point(&semaphore(0), 1)];
        let at = Submission { signal: &signal, ..NOW }.on(QueueAffinity(1));
        subject.device.queue_host_call(&at, probe).unwrap();
        let submitted = stream.submitted.load(Ordering::Relaxed);
        signal[0].semaphore.wait(1, crate::subject::soon()).unwrap();
        let ran = seen.lock().unwrap().expect("it ran before its signal");
        // What was submitted later than it and called earlier. One worker takes them as they come. Of several one may
        // have taken the call and lost its processor; even so a stack would never get there.
        let overtakers_max = if subject.workers == 1 { 8 } else { 200_000 };
        assert!(ran.saturating_sub(submitted) <= overtakers_max, "{} others went first", ran - submitted);
        subject.run(|at| subject.device.queue_dispatch(&at.on(QueueAffinity(1)), &add_one)).unwrap();
    }
    stream.is_over.store(true, Ordering::Relaxed);
    eventually("the stream ends", || stream.running.load(Ordering::Relaxed) == 0);
    assert_eq!(subject.read_words(&buffer), [20]);
}

/// [hal 141] submissions of all kinds from four threads, to whichever queue.
fn threads_submit_at_the_same_time(subject: &Subject) {
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            scope.spawn(move || {
                let (a, b) = (subject.buffer(256), subject.buffer(256));
                let operands = [whole(&b)];
                for round in 0..40 {
                    let queue = QueueAffinity(1 << (round % subject.device.queue_count()));
                    let device = &subject.device;
                    let value = thread * 1000 + round;
                    subject
                        .run(|at| device.queue_fill(&at.on(queue), &Region::whole(&a), value.into(), 4))
                        .unwrap();
                    let transient = subject.run(|at| subject.alloca(&at.on(queue), 256)).unwrap();
                    let (from, middle, to) =
                        (Region::whole(&a), Region::whole(&transient), Region::whole(&b));
                    subject.run(|at| device.queue_copy(at, &from, &middle)).unwrap();
                    subject.run(|at| device.queue_copy(&at.on(queue), &middle, &to)).unwrap();
                    subject.run(|at| subject.dealloca(at, &transient)).unwrap();
                    subject
                        .run_once(|commands| {
                            commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands))
                        })
                        .unwrap();
                    assert_eq!(subject.read_words(&b), [value + 1; 64]);
                }
                let constants = [0];
                let failing = subject.dispatch("fail_at", [1; 3], &constants, &operands);
                fails_with(subject.run(|at| subject.device.queue_dispatch(at, &failing)), Code::Internal);
            });
        }
    });
}

/// More threads wait than the device has workers; each is woken by its own signal.
fn waiting_threads_may_submit_too(subject: &Subject) {
    let turn = semaphore(0);
    std::thread::scope(|scope| {
        for thread in 0..12_u64 {
            let turn = &turn;
            scope.spawn(move || {
                for round in 0..10 {
                    let own = round * 12 + thread;
                    subject.reaches(&[point(turn, own)]);
                    let (wait, signal) = ([point(turn, own)], [point(turn, own + 1)]);
                    let at = Submission { wait: &wait, signal: &signal, ..NOW };
                    subject.device.queue_barrier(&at).unwrap();
                    subject.reaches(&signal);
                }
            });
        }
    });
    assert_eq!(turn.query().unwrap(), 120);
}

/// A callback of a semaphore that panics, on whatever thread of the device, is its owner's business: the other signals
/// are told, and the device goes on and ends.
fn callbacks_that_panic_keep_nobody_waiting(subject: &Subject) {
    let doomed = subject.separate();
    let buffer = doomed.buffer(4000);
    let operands = [whole(&buffer)];
    for kind in 0..6 {
        let (gate, bad, good) = (semaphore(0), semaphore(0), semaphore(0));
        // As `panic!` does, without the report of the hook.
        bad.on_reached(1, |_| std::panic::resume_unwind(Box::new("a mistake, made on purpose")));
        let (wait, signal) = ([point(&gate, 1)], [point(&bad, 1), point(&good, 1)]);
        let at = Submission { wait: &wait, signal: &signal, ..NOW };
        let device = &doomed.device;
        let dispatch = |workgroups: u32| doomed.dispatch("count_each", [workgroups, 1, 1], &[], &operands);
        match kind {
            0 => device.queue_barrier(&at).unwrap(),
            1 => device.queue_dispatch(&at, &dispatch(1)).unwrap(),
            2 => device.queue_dispatch(&at, &dispatch(1000)).unwrap(),
            3 => device.queue_fill(&at, &Region::whole(&buffer), 1, 4).unwrap(),
            4 => {
                let failing = host_call(HostCallFlags::empty(), |_| weft_sync::bail!(Internal, "it fails"));
                device.queue_host_call(&at, failing).unwrap();
            }
            _ => {
                let call = host_call(HostCallFlags::empty(), |_| Ok(HostCallEnd::Done));
                device.queue_host_call(&at, call).unwrap();
            }
        }
        gate.signal(1).unwrap();
        let outcome = good.wait(1, crate::subject::soon());
        assert_eq!(outcome.is_ok(), kind != 4, "kind {kind}: {outcome:?}");
    }
    doomed.device.wait_idle(crate::subject::soon()).unwrap();
}

/// [hal 110]
fn inline_dispatches_are_for_one_worker(subject: &Subject) {
    let gate = Gate::closed_after(64);
    let constants = [gate.number()];
    let visit = subject.dispatch("visit", [64, 1, 1], &constants, &[]);
    let visit = Dispatch { flags: DispatchFlags::ALLOW_INLINE_EXECUTION, ..visit };
    subject.run(|at| subject.device.queue_dispatch(at, &visit)).unwrap();
    assert_eq!((gate.visits().len(), gate.inside_max()), (64, 1));
}
