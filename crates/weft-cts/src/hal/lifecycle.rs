//! The end of a device: whatever it is doing, it ends in bounded time, tells everybody, and gives all memory back.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use weft_hal::{
    AllocaFlags, Allocator, BufferParams, CommandBufferMode, Device, Dispatch, DispatchFlags, ExecuteFlags,
    ExecutionStage, File, HostCallEnd, HostCallFlags, MemoryAccess, PositionalFile, Region, Submission,
};
use weft_sync::{Code, Point, Status};

use crate::case::Caps;
use crate::hal::gate::Gate;
use crate::hal::host_call::host_call;
use crate::subject::{Chain, NOW, Subject, bytes_of, eventually, fails_with, point, semaphore, soon, whole};

const ASYNC_WORK: Caps = Caps::ASYNC.union(Caps::WORK);
/// The plain device, which is there to be compared with, has no pools, and runs what it has begun to its end.
const ASYNC_POOLS: Caps = ASYNC_WORK.union(Caps::POOLS);

crate::cases! { $ LIFECYCLE for_each_lifecycle_case {
    idle_devices_end: Caps::WORK;
    ends_with_waits_that_never_come: ASYNC_WORK;
    ends_with_ready_operations: ASYNC_WORK;
    ends_with_kernels_running: ASYNC_WORK;
    ends_in_the_middle_of_a_dispatch: ASYNC_POOLS;
    ends_with_recordings_queued_up: ASYNC_WORK;
    ends_with_transients_alive: ASYNC_WORK;
    ends_with_files_being_read: ASYNC_WORK;
    ends_beside_signals: ASYNC_WORK;
    ends_right_after_the_last_recording: Caps::WORK;
    answers_that_come_after_the_end: ASYNC_WORK;
    buffers_outlive_their_device: Caps::WORK;
} }

/// The end takes no longer than this plus what kernels and files take.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// Drops the last handle of the device on a thread of its own; the receiver hears when that is over.
pub(super) fn begin_end(subject: Subject) -> mpsc::Receiver<()> {
    let Subject { device, kernels, .. } = subject;
    assert_eq!(Arc::strong_count(&device), 1, "this is the last handle");
    let (ended, hears) = mpsc::channel();
    std::thread::spawn(move || {
        drop(device);
        drop(kernels);
        // Nobody listens if the case has failed meanwhile.
        let _ = ended.send(());
    });
    hears
}

#[track_caller]
pub(super) fn end(subject: Subject) {
    begin_end(subject).recv_timeout(END_PATIENCE).expect("the device ends in time");
}

/// Each point was reached or its timeline failed with CANCELLED: nobody is left waiting.
#[track_caller]
pub(super) fn all_were_told(points: &[Point]) -> (usize, usize) {
    let (mut reached, mut cancelled) = (0, 0);
    for point in points {
        match point.semaphore.query() {
            Ok(value) if value >= point.value => reached += 1,
            Ok(value) => panic!("stands at {value}, and the device is gone"),
            Err(status) => {
                assert_eq!(status.code(), Code::Cancelled, "{status}");
                cancelled += 1;
            }
        }
    }
    (reached, cancelled)
}

#[track_caller]
fn nothing_is_lent(allocator: &Allocator) {
    eventually("all memory came back", || allocator.statistics().device.live() == 0);
}

fn fresh(count: usize) -> Vec<Point> {
    (0..count).map(|_| point(&semaphore(0), 1)).collect()
}

/// [hal 143] unused, and after work.
fn idle_devices_end(subject: &Subject) {
    end(subject.separate());
    for _ in 0..20 {
        let doomed = subject.separate();
        let buffer = doomed.buffer(8);
        doomed.run(|at| doomed.device.queue_fill(at, &Region::whole(&buffer), 1, 1)).unwrap();
        drop(buffer);
        let allocator = Arc::clone(doomed.device.allocator());
        end(doomed);
        nothing_is_lent(&allocator);
    }
}

/// [hal 143] of all kinds.
fn ends_with_waits_that_never_come(subject: &Subject) {
    let doomed = subject.separate();
    let allocator = Arc::clone(doomed.device.allocator());
    let never = [point(&semaphore(0), 1), point(&semaphore(0), 5)];
    let signals = fresh(8);
    let at = |index: usize| Submission { wait: &never, signal: &signals[index..=index], ..NOW };
    let buffer = doomed.buffer(64);
    let device = &doomed.device;
    device.queue_fill(&at(0), &Region::whole(&buffer), 1, 1).unwrap();
    device.queue_update(&at(1), &[1; 64], &buffer, 0).unwrap();
    device.queue_barrier(&at(2)).unwrap();
    let transient = doomed.alloca(&at(3), 4096).unwrap();
    let committed = doomed.run(|at| doomed.alloca(at, 4096)).unwrap();
    doomed.dealloca(&at(4), &committed).unwrap();
    let held = Arc::new(());
    let mine = Arc::clone(&held);
    let call = host_call(HostCallFlags::empty(), move |_| {
        let _ = &mine;
        Ok(HostCallEnd::Done)
    });
    device.queue_host_call(&at(5), call).unwrap();
    let operands = [whole(&buffer)];
    device.queue_dispatch(&at(6), &doomed.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
    let commands = doomed.commands(CommandBufferMode::ONE_SHOT, 0);
    commands.fill(&whole(&buffer), 1, 1).unwrap();
    commands.end().unwrap();
    device.queue_execute(&at(7), Some(&commands), None, ExecuteFlags::empty()).unwrap();
    drop(commands);
    // What waits for them is told too, over any number of steps.
    let chain = Chain::new(5);
    let first = Submission { wait: &signals[..1], ..chain.step(0) };
    device.queue_barrier(&first).unwrap();
    (1..5).for_each(|step| device.queue_barrier(&chain.step(step)).unwrap());
    end(doomed);
    assert_eq!(all_were_told(&signals), (0, 8));
    assert_eq!(all_were_told(chain.end()), (0, 1));
    assert_eq!(Arc::strong_count(&held), 1, "functions that will not be called are gone");
    assert_eq!(bytes_of(&buffer), [0; 64]);
    // Signals that come now find nobody.
    never[0].semaphore.signal(9).unwrap();
    never[1].semaphore.fail(Status::new(Code::Internal, "late"));
    drop((transient, committed, buffer));
    nothing_is_lent(&allocator);
}

/// [hal 143] each of them was done or cancelled, and the bytes say which.
fn ends_with_ready_operations(subject: &Subject) {
    for _ in 0..10 {
        let doomed = subject.separate();
        let buffer = doomed.buffer(400);
        let signals = fresh(400);
        for (index, signal) in signals.chunks(1).enumerate() {
            let at = Submission { signal, ..NOW };
            let byte = crate::subject::region(&buffer, index as u64, 1);
            doomed.device.queue_fill(&at, &byte, 1, 1).unwrap();
        }
        end(doomed);
        all_were_told(&signals);
        for (signal, byte) in signals.iter().zip(bytes_of(&buffer)) {
            if signal.semaphore.query().is_ok() {
                assert_eq!(byte, 1, "signalled, and not done");
            }
        }
    }
}

/// [hal 143] the device waits for the kernel and for nothing else.
fn ends_with_kernels_running(subject: &Subject) {
    let doomed = subject.separate();
    let allocator = Arc::clone(doomed.device.allocator());
    let gate = Gate::closed();
    let constants = [gate.number(), 1];
    let buffer = doomed.buffer(64 * 4);
    let operands = [whole(&buffer)];
    let signals = fresh(2);
    let dispatch = doomed.dispatch("visit_and_write", [64, 1, 1], &constants, &operands);
    doomed.device.queue_dispatch(&Submission { signal: &signals[..1], ..NOW }, &dispatch).unwrap();
    gate.until_inside(1);
    let after = Submission { wait: &signals[..1], signal: &signals[1..], ..NOW };
    doomed.device.queue_fill(&after, &Region::whole(&buffer), 9, 4).unwrap();
    let hears = begin_end(doomed);
    let early = hears.recv_timeout(Duration::from_millis(20));
    assert!(early.is_err(), "the device was gone while a kernel of it ran");
    assert!(gate.inside() > 0);
    gate.open();
    hears.recv_timeout(END_PATIENCE).expect("the device ends once the kernel has");
    assert_eq!(gate.inside(), 0);
    all_were_told(&signals);
    if signals[0].semaphore.query().is_ok() {
        assert_eq!(gate.visits().len(), 64, "signalled, and not done");
    }
    drop(buffer);
    nothing_is_lent(&allocator);
}

/// [hal 143] a grid that would take half a minute.
fn ends_in_the_middle_of_a_dispatch(subject: &Subject) {
    const WORKGROUPS: u32 = 150_000;
    for flags in [DispatchFlags::empty(), DispatchFlags::ALLOW_INLINE_EXECUTION] {
        let doomed = subject.separate();
        let gate = Gate::closed_after(WORKGROUPS);
        let constants = [gate.number()];
        let signal = [point(&semaphore(0), 1)];
        let visit = doomed.dispatch("visit", [WORKGROUPS, 1, 1], &constants, &[]);
        let at = Submission { signal: &signal, ..NOW };
        doomed.device.queue_dispatch(&at, &Dispatch { flags, ..visit }).unwrap();
        eventually("it runs", || !gate.visits().is_empty());
        end(doomed);
        assert!(gate.visits().len() < WORKGROUPS as usize, "it ran to its end");
        fails_with(signal[0].semaphore.wait(1, soon()), Code::Cancelled);
    }
}

/// [hal 143] one runs, the others wait for it in the device.
fn ends_with_recordings_queued_up(subject: &Subject) {
    let doomed = subject.separate();
    let gate = Gate::closed();
    let constants = [gate.number()];
    let signals = fresh(50);
    let commands = doomed.commands(CommandBufferMode::empty(), 0);
    let visit = doomed.dispatch("visit", [8, 1, 1], &constants, &[]);
    commands.dispatch(&visit).unwrap();
    commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
    commands.dispatch(&visit).unwrap();
    commands.end().unwrap();
    for signal in signals.chunks(1) {
        let at = Submission { signal, ..NOW };
        doomed.device.queue_execute(&at, Some(&commands), None, ExecuteFlags::empty()).unwrap();
    }
    drop(commands);
    gate.until_inside(1);
    let hears = begin_end(doomed);
    std::thread::sleep(Duration::from_millis(5));
    gate.open();
    hears.recv_timeout(END_PATIENCE).expect("the device ends once the kernels have");
    let (reached, _) = all_were_told(&signals);
    assert!(gate.visits().len() >= 16 * reached, "signalled, and not done");
}

/// [hal 143] all memory comes back, whoever still holds a handle.
fn ends_with_transients_alive(subject: &Subject) {
    let doomed = subject.separate();
    let allocator = Arc::clone(doomed.device.allocator());
    let params = BufferParams::device_local();
    let flags = AllocaFlags::ALLOW_POOL_WAIT_FRONTIER;
    let never = [point(&semaphore(0), 1)];
    let mut buffers = Vec::new();
    let signals = fresh(40);
    for (index, signal) in signals.chunks(2).enumerate() {
        let size = 100 << (index % 10);
        let (first, last) = signal.split_at(1);
        let at = Submission { signal: first, ..NOW };
        let buffer = doomed.device.queue_alloca(&at, &params, size, flags).unwrap();
        let wait = if index % 2 == 0 { first } else { &never };
        doomed.dealloca(&Submission { wait, signal: last, ..NOW }, &buffer).unwrap();
        buffers.push(buffer);
    }
    end(doomed);
    all_were_told(&signals);
    drop(buffers);
    nothing_is_lent(&allocator);
}

/// A file whose reads take until somebody says so.
#[derive(Default)]
struct SlowFile {
    state: Mutex<(u32, bool)>,
    changed: Condvar,
}

impl SlowFile {
    fn until(&self, is_so: impl Fn(&(u32, bool)) -> bool) {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, Duration::from_secs(15), |state| !is_so(state));
        assert!(!waited.unwrap().1.timed_out(), "nobody came");
    }

    fn change(&self, change: impl FnOnce(&mut (u32, bool))) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

struct Slow(Arc<SlowFile>);

impl PositionalFile for Slow {
    fn read_at(&self, _offset: u64, target: &mut [u8]) -> io::Result<usize> {
        self.0.change(|state| state.0 += 1);
        self.0.until(|state| state.1);
        target.fill(3);
        Ok(target.len())
    }

    fn write_at(&self, _offset: u64, source: &[u8]) -> io::Result<usize> {
        Ok(source.len())
    }

    fn length(&self) -> u64 {
        1 << 20
    }
}

/// [hal 143] the buffer is not let go while the system may write to it.
fn ends_with_files_being_read(subject: &Subject) {
    let doomed = subject.separate();
    let allocator = Arc::clone(doomed.device.allocator());
    let slow = Arc::new(SlowFile::default());
    let file = Arc::new(File::from_positional(MemoryAccess::READ, Box::new(Slow(Arc::clone(&slow)))));
    let buffer = doomed.buffer(64);
    let signals = fresh(3);
    for (index, signal) in signals.chunks(1).enumerate() {
        let at = Submission { signal, ..NOW };
        // Nothing orders the reads, so each has bytes of its own.
        let part = crate::subject::region(&buffer, 16 * index as u64, 16);
        doomed.device.queue_read(&at, &file, 0, &part).unwrap();
    }
    drop(buffer);
    slow.until(|state| state.0 > 0);
    let hears = begin_end(doomed);
    std::thread::sleep(Duration::from_millis(5));
    assert!(allocator.statistics().device.live() > 0, "freed while it is read into");
    slow.change(|state| state.1 = true);
    hears.recv_timeout(END_PATIENCE).expect("the device ends once the file has");
    all_were_told(&signals);
    drop(file);
    nothing_is_lent(&allocator);
}

/// [hal 143] the waits are reached, or fail, just when the device ends.
fn ends_beside_signals(subject: &Subject) {
    for round in 0..40 {
        let doomed = subject.separate();
        let gates: Vec<_> = (0..20).map(|_| semaphore(0)).collect();
        let signals = fresh(20);
        let buffer = doomed.buffer(20);
        for (index, gate) in gates.iter().enumerate() {
            let wait = [point(gate, 1)];
            let at = Submission { wait: &wait, signal: &signals[index..=index], ..NOW };
            let byte = crate::subject::region(&buffer, index as u64, 1);
            doomed.device.queue_fill(&at, &byte, 1, 1).unwrap();
        }
        let failing = round % 4 == 3;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for gate in &gates {
                    if failing {
                        gate.fail(Status::new(Code::Cancelled, "at the same time"));
                    } else {
                        gate.signal(1).unwrap();
                    }
                }
            });
            end(doomed);
        });
        all_were_told(&signals);
        for (signal, byte) in signals.iter().zip(bytes_of(&buffer)) {
            assert!(signal.semaphore.query().is_err() || byte == 1, "signalled, and not done");
        }
    }
}

/// [hal 144] ten thousand times on all subjects together.
fn ends_right_after_the_last_recording(subject: &Subject) {
    for round in 0..if cfg!(tsan) { 20 } else { 1500 } {
        let doomed = subject.separate();
        let counter = doomed.buffer(4);
        let commands = doomed.commands(CommandBufferMode::empty(), 0);
        let operands = [whole(&counter)];
        commands.dispatch(&doomed.dispatch("count_calls", [3, 1, 1], &[], &operands)).unwrap();
        commands.end().unwrap();
        let chain = Chain::new(3);
        for step in 0..3 {
            let flags = ExecuteFlags::empty();
            doomed.device.queue_execute(&chain.step(step), Some(&commands), None, flags).unwrap();
        }
        drop(commands);
        if round % 3 > 0 {
            doomed.reaches(chain.end());
        }
        end(doomed);
        let (reached, _) = all_were_told(chain.end());
        assert!(round % 3 == 0 || reached == 1);
        assert!(reached == 0 || u32::from_le_bytes(bytes_of(&counter).try_into().unwrap()) == 9);
    }
}

/// [hal 143] [hal 121] a deferred answer belongs to whoever took it over, device or not.
fn answers_that_come_after_the_end(subject: &Subject) {
    let doomed = subject.separate();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let (keep, called) = (Arc::clone(&kept), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&called);
    let call = host_call(HostCallFlags::empty(), move |context| {
        keep.lock().unwrap().extend_from_slice(context.signal);
        count.fetch_add(1, Ordering::Relaxed);
        Ok(HostCallEnd::Deferred)
    });
    let (signal, after) = (fresh(1), fresh(1));
    doomed.device.queue_host_call(&Submission { signal: &signal, ..NOW }, call).unwrap();
    let at = Submission { wait: &signal, signal: &after, ..NOW };
    doomed.device.queue_barrier(&at).unwrap();
    eventually("the call was made", || called.load(Ordering::Relaxed) == 1);
    end(doomed);
    fails_with(after[0].semaphore.query(), Code::Cancelled);
    assert_eq!(signal[0].semaphore.query().unwrap(), 0);
    weft_hal::signal_all(&kept.lock().unwrap()).unwrap();
    signal[0].semaphore.wait(1, soon()).unwrap();
}

/// Memory and kernels are objects of their own.
fn buffers_outlive_their_device(subject: &Subject) {
    let doomed = subject.separate();
    let allocator = Arc::clone(doomed.device.allocator());
    let buffer = doomed.buffer_with(&[7; 64]);
    let transient = doomed.run(|at| doomed.alloca(at, 64)).unwrap();
    let fill = |device: &Device| {
        doomed.run(|at| device.queue_fill(at, &Region::whole(&transient), 4, 1)).unwrap();
    };
    fill(&doomed.device);
    end(doomed);
    assert_eq!(bytes_of(&buffer), [7; 64]);
    assert_eq!(bytes_of(&transient), [4; 64]);
    drop(transient);
    buffer.fill(0, 64, &[1]).unwrap();
    drop(buffer);
    nothing_is_lent(&allocator);
}
