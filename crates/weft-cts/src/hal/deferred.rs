//! Operations that are submitted before their waits are reached: what is captured, what is retained, what is known
//! already. Only for devices whose calls return before.

use std::sync::Arc;

use weft_hal::{
    AllocaFlags, BindingEntry, Buffer, BufferParams, BufferUsage, CommandBufferMode, Dispatch, DispatchFlags,
    ExecuteFlags, ExecutionStage, MappingMode, MemoryAccess, Operand, PlacementFlags, QueueAffinity, Region,
    Submission, WHOLE_BUFFER, WorkgroupCount,
};
use weft_sync::{Code, Point, Semaphore, Status};

use crate::case::Caps;
use crate::subject::{
    Chain, NOW, Subject, bytes_of, eventually, fails_with, point, region, semaphore, whole, words,
};

const REUSABLE: CommandBufferMode = CommandBufferMode::empty();
const ASYNC_WORK: Caps = Caps::ASYNC.union(Caps::WORK);

crate::cases! { $ DEFERRED for_each_deferred_case {
    transients_are_committed_after_their_waits: ASYNC_WORK;
    transients_say_what_they_are_before_they_exist: Caps::ASYNC;
    transients_that_never_come_fail_their_users: ASYNC_WORK;
    whole_pipelines_are_submitted_ahead: ASYNC_WORK;
    a_queued_dealloca_refuses_nobody_before_it: ASYNC_WORK;
    a_dealloca_whose_wait_fails_later_is_withdrawn: ASYNC_WORK;
    transients_are_recorded_before_they_exist: ASYNC_WORK;
    transients_in_tables_before_they_exist: ASYNC_WORK;
    commits_race_with_validation: ASYNC_WORK;
    sources_lists_and_tables_are_captured: ASYNC_WORK;
    what_is_used_is_retained_until_it_is_done: ASYNC_WORK;
    dispatches_wait: ASYNC_WORK;
    indirect_counts_are_read_after_the_waits: ASYNC_WORK;
    nothing_starts_before_all_waits: ASYNC_WORK;
    failures_that_come_later_fail_every_kind: ASYNC_WORK;
} }

/// A point that is not reached, and its timeline.
struct Held {
    timeline: Arc<Semaphore>,
    wait: [Point; 1],
}

impl Held {
    fn new() -> Held {
        let timeline = semaphore(0);
        let wait = [point(&timeline, 1)];
        Held { timeline, wait }
    }

    fn release(&self) {
        self.timeline.signal(1).expect("it was not released before");
    }
}

/// [hal 46]
fn transients_are_committed_after_their_waits(subject: &Subject) {
    let (held, signal) = (Held::new(), [point(&semaphore(0), 1)]);
    let at = Submission { wait: &held.wait, signal: &signal, ..NOW };
    let buffer = subject.alloca(&at, 100).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert!(!buffer.is_committed());
    assert_eq!(signal[0].semaphore.query().unwrap(), 0);
    let map = || buffer.map(MappingMode::Scoped, MemoryAccess::READ, 0, WHOLE_BUFFER).map(drop);
    fails_with(map(), Code::FailedPrecondition);
    held.release();
    subject.reaches(&signal);
    assert!(buffer.is_committed());
    map().unwrap();
    subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 3, 1)).unwrap();
    assert_eq!(bytes_of(&buffer), [3; 100]);
}

/// [hal 47]
fn transients_say_what_they_are_before_they_exist(subject: &Subject) {
    let held = Held::new();
    let buffer = subject.alloca(&Submission { wait: &held.wait, ..NOW }, 77).unwrap();
    let before = *buffer.metadata();
    assert_eq!((buffer.byte_length(), buffer.allocation_size()), (77, 77));
    assert!(before.usage.contains(BufferUsage::TRANSFER | BufferUsage::DISPATCH_STORAGE));
    assert!(before.placement.flags.contains(PlacementFlags::ASYNCHRONOUS));
    assert_eq!(before.placement.affinity.0.count_ones(), 1);
    assert_eq!(before.placement.device, subject.device.id());
    assert!(buffer.is_transient() && !buffer.is_committed());
    held.release();
    eventually("it is committed", || buffer.is_committed());
    assert_eq!(*buffer.metadata(), before);
}

/// [hal 100] [hal 116] what waits for it is told the cause; what does not wait finds nothing there.
fn transients_that_never_come_fail_their_users(subject: &Subject) {
    let (held, allocated, used) = (Held::new(), [point(&semaphore(0), 1)], [point(&semaphore(0), 1)]);
    let buffer = subject.alloca(&Submission { wait: &held.wait, signal: &allocated, ..NOW }, 64).unwrap();
    let at = Submission { wait: &allocated, signal: &used, ..NOW };
    subject.device.queue_fill(&at, &Region::whole(&buffer), 1, 1).unwrap();
    let early = subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 1, 1));
    assert!(early.is_err(), "it is not there yet");
    held.timeline.fail(Status::new(Code::Unavailable, "no more"));
    subject.fails(Ok(()), &allocated, Code::Unavailable);
    subject.fails(Ok(()), &used, Code::Unavailable);
    assert!(!buffer.is_committed());
    drop(buffer);
    subject.comes_to_live_bytes(0);
}

/// [hal 48] alloca, fill, copy, dealloca, twice interleaved, before the first wait is reached.
fn whole_pipelines_are_submitted_ahead(subject: &Subject) {
    let held = Held::new();
    let result = subject.buffer(128);
    let mut ends = Vec::new();
    let mut buffers = Vec::new();
    for lane in 0..2 {
        let chain = Chain::new(40);
        let first = Submission { wait: &held.wait, ..chain.step(0) };
        subject.device.queue_barrier(&first).unwrap();
        for round in 0..9 {
            let at = |index: usize| chain.step(1 + 4 * round + index);
            let buffer = subject.alloca(&at(0), 4096).unwrap();
            let value = (lane * 16 + round) as u64;
            subject.device.queue_fill(&at(1), &Region::whole(&buffer), value, 1).unwrap();
            let (from, to) = (region(&buffer, 4000, 64), region(&result, lane as u64 * 64, 64));
            subject.device.queue_copy(&at(2), &from, &to).unwrap();
            subject.dealloca(&at(3), &buffer).unwrap();
            fails_with(subject.dealloca(&NOW, &buffer), Code::InvalidArgument);
            buffers.push(buffer);
        }
        (37..40).for_each(|step| subject.device.queue_barrier(&chain.step(step)).unwrap());
        ends.extend_from_slice(chain.end());
    }
    assert!(buffers.iter().all(|buffer| !buffer.is_committed()));
    held.release();
    subject.reaches(&ends);
    assert_eq!(bytes_of(&result), [[8; 64], [24; 64]].concat());
    assert!(buffers.iter().all(|buffer| !buffer.is_committed()));
    subject.comes_to_live_bytes(128);
}

/// [hal 58] the host and operations before it still reach the bytes.
fn a_queued_dealloca_refuses_nobody_before_it(subject: &Subject) {
    let (held, signal) = (Held::new(), [point(&semaphore(0), 1)]);
    let buffer = subject.run(|at| subject.alloca(at, 256)).unwrap();
    subject.dealloca(&Submission { wait: &held.wait, signal: &signal, ..NOW }, &buffer).unwrap();
    assert!(buffer.is_dealloca_queued() && buffer.is_committed());
    subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 9, 1)).unwrap();
    subject.run_once(|commands| commands.fill(&Operand::direct(&buffer, 0, 8), 4, 1)).unwrap();
    let mapping = buffer.map(MappingMode::Scoped, MemoryAccess::READ, 0, 16).unwrap();
    assert_eq!(buffer.read_to_vec(0, 16).unwrap(), [[4; 8], [9; 8]].concat());
    fails_with(subject.dealloca(&NOW, &buffer), Code::InvalidArgument);
    held.release();
    subject.reaches(&signal);
    assert!(!buffer.is_committed());
    assert!(subject.device.allocator().statistics().device.live() > 0, "the mapping holds the bytes");
    drop(mapping);
    subject.comes_to_live_bytes(0);
}

/// [hal 55]
fn a_dealloca_whose_wait_fails_later_is_withdrawn(subject: &Subject) {
    let (held, signal) = (Held::new(), [point(&semaphore(0), 1)]);
    let buffer = subject.run(|at| subject.alloca(at, 64)).unwrap();
    subject.dealloca(&Submission { wait: &held.wait, signal: &signal, ..NOW }, &buffer).unwrap();
    held.timeline.fail(Status::new(Code::Aborted, "no more"));
    subject.fails(Ok(()), &signal, Code::Aborted);
    assert!(buffer.is_committed() && !buffer.is_dealloca_queued());
    subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 9, 1)).unwrap();
    assert_eq!(bytes_of(&buffer), [9; 64]);
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    subject.comes_to_live_bytes(0);
}

/// [hal 100]
fn transients_are_recorded_before_they_exist(subject: &Subject) {
    let held = Held::new();
    let (source, result) = (subject.buffer_with(&[7; 64]), subject.buffer(64));
    let chain = Chain::new(3);
    let first = Submission { wait: &held.wait, ..chain.step(0) };
    let buffer = subject.alloca(&first, 256).unwrap();
    let commands = subject.commands(REUSABLE, 1);
    let barrier = || commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
    commands.fill(&whole(&buffer), 1, 1).unwrap();
    barrier();
    commands.copy(&Operand::direct(&source, 0, 64), &Operand::direct(&buffer, 64, 64)).unwrap();
    commands.update(&[5; 4], &Operand::direct(&buffer, 128, 4)).unwrap();
    barrier();
    let operands = [Operand::direct(&buffer, 64, 64)];
    commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
    barrier();
    commands.copy(&Operand::direct(&buffer, 100, 64), &Operand::slot(0, 0, 64)).unwrap();
    commands.end().unwrap();
    let table = [BindingEntry::whole(&result)];
    subject
        .device
        .queue_execute(&chain.step(1), Some(&commands), Some(&table), ExecuteFlags::empty())
        .unwrap();
    subject.dealloca(&chain.step(2), &buffer).unwrap();
    drop(commands);
    assert!(!buffer.is_committed());
    held.release();
    subject.reaches(chain.end());
    let mut expected = [8, 7, 7, 7].repeat(7);
    expected.extend([5; 4]);
    expected.extend([1; 32]);
    assert_eq!(bytes_of(&result), expected);
}

/// [hal 100] [hal 99]
fn transients_in_tables_before_they_exist(subject: &Subject) {
    let held = Held::new();
    let commands = subject.commands(REUSABLE, 2);
    commands.fill(&Operand::slot(0, 4, 8), 6, 1).unwrap();
    commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
    commands.copy(&Operand::slot(0, 0, 16), &Operand::slot(1, 0, 16)).unwrap();
    commands.end().unwrap();
    let result = subject.buffer(16);
    let chain = Chain::new(3);
    let first = Submission { wait: &held.wait, ..chain.step(0) };
    let buffer = subject.alloca(&first, 100).unwrap();
    {
        let table = vec![
            BindingEntry { buffer: Some(&buffer), offset: 32, length: 16 },
            BindingEntry::whole(&result),
        ];
        let execute = |table: &[BindingEntry<'_>]| {
            let flags = ExecuteFlags::empty();
            subject.device.queue_execute(&chain.step(1), Some(&commands), Some(table), flags)
        };
        // Bounds are known before the memory is.
        fails_with(
            execute(&[BindingEntry { buffer: Some(&buffer), offset: 90, length: 16 }, table[1]]),
            Code::OutOfRange,
        );
        execute(&table).unwrap();
    }
    subject.dealloca(&chain.step(2), &buffer).unwrap();
    drop((buffer, commands));
    held.release();
    subject.reaches(chain.end());
    assert_eq!(result.read_to_vec(4, 8).unwrap(), [6; 8]);
    subject.comes_to_live_bytes(16);
}

/// [hal 60] for a race detector: one thread validates against what another one commits.
fn commits_race_with_validation(subject: &Subject) {
    let result = subject.buffer(64);
    for _ in 0..50 {
        let held = Held::new();
        let chain = Chain::new(3);
        let first = Submission { wait: &held.wait, ..chain.step(0) };
        let buffer = subject.alloca(&first, 64).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| held.release());
            let commands = subject.commands(REUSABLE, 0);
            commands.fill(&whole(&buffer), 1, 1).unwrap();
            commands.barrier(ExecutionStage::all(), ExecutionStage::all()).unwrap();
            commands.copy(&whole(&buffer), &whole(&result)).unwrap();
            commands.end().unwrap();
            let flags = ExecuteFlags::empty();
            subject.device.queue_execute(&chain.step(1), Some(&commands), None, flags).unwrap();
            subject.dealloca(&chain.step(2), &buffer).unwrap();
        });
        subject.reaches(chain.end());
        assert_eq!(bytes_of(&result), [1; 64]);
        result.zero(0, 64).unwrap();
    }
}

/// [hal 107] [hal 99] nothing of the caller is looked at after the call has returned.
fn sources_lists_and_tables_are_captured(subject: &Subject) {
    let held = Held::new();
    let (updated, written) = (subject.buffer(200_000), subject.buffer(16));
    let done: Vec<Point> = (0..3).map(|_| point(&semaphore(0), 1)).collect();
    {
        let mut source = vec![5; 200_000];
        let (mut wait, mut signal) = (held.wait.to_vec(), vec![done[0].clone()]);
        let at = Submission { wait: &wait, signal: &signal, ..NOW };
        subject.device.queue_update(&at, &source, &updated, 0).unwrap();
        source.fill(9);
        wait.clear();
        signal.clear();
    }
    {
        let constants = vec![1, 2, 3, 4];
        let operands = vec![whole(&written)];
        let dispatch = subject.dispatch("write_constants", [1; 3], &constants, &operands);
        let at = Submission { wait: &held.wait, signal: &done[1..2], ..NOW };
        subject.device.queue_dispatch(&at, &dispatch).unwrap();
    }
    let filled = subject.buffer(16);
    {
        let commands = subject.commands(CommandBufferMode::ONE_SHOT, 1);
        commands.fill(&Operand::slot(0, 0, 16), 4, 1).unwrap();
        commands.end().unwrap();
        let mut table = vec![BindingEntry::whole(&filled)];
        let at = Submission { wait: &held.wait, signal: &done[2..], ..NOW };
        let flags = ExecuteFlags::empty();
        subject.device.queue_execute(&at, Some(&commands), Some(&table), flags).unwrap();
        table[0] = BindingEntry { buffer: None, offset: 1 << 40, length: 0 };
        drop(table);
    }
    held.release();
    subject.reaches(&done);
    assert!(bytes_of(&updated).iter().all(|&byte| byte == 5));
    assert_eq!(subject.read_words(&written), [1, 2, 3, 4]);
    assert_eq!(bytes_of(&filled), [4; 16]);
}

/// [hal 99] handles are dropped while the work waits; what they stood for goes when the work is done.
fn what_is_used_is_retained_until_it_is_done(subject: &Subject) {
    let held = Held::new();
    let (watch, signal) = {
        let buffer = subject.buffer(64);
        let part = buffer.subspan(16, 16).unwrap();
        let commands = subject.commands(REUSABLE, 1);
        commands.fill(&whole(&part), 1, 1).unwrap();
        commands.fill(&Operand::slot(0, 0, 8), 2, 1).unwrap();
        commands.end().unwrap();
        let signal = [point(&semaphore(0), 1)];
        let at = Submission { wait: &held.wait, signal: &signal, ..NOW };
        let table = [BindingEntry { buffer: Some(&buffer), offset: 0, length: 8 }];
        subject.device.queue_execute(&at, Some(&commands), Some(&table), ExecuteFlags::empty()).unwrap();
        subject.device.queue_fill(&at_later(&held), &region(&buffer, 40, 8), 3, 1).unwrap();
        (Arc::downgrade(&buffer), signal)
    };
    assert!(watch.upgrade().is_some(), "the submissions hold it");
    held.release();
    subject.reaches(&signal);
    eventually("nobody holds the buffer", || watch.upgrade().is_none());
    subject.comes_to_live_bytes(0);
}

fn at_later(held: &Held) -> Submission<'_> {
    Submission { wait: &held.wait, ..NOW }
}

/// [hal 110]
fn dispatches_wait(subject: &Subject) {
    let output = subject.buffer(4);
    let operands = [whole(&output)];
    let good = subject.dispatch("count_calls", [5, 2, 1], &[], &operands);
    let nothing = subject.dispatch("count_calls", [0, 2, 1], &[], &operands);
    let borrowing = Dispatch { flags: DispatchFlags::BORROW_RESOURCE_LIFETIMES, ..good };
    let inline = Dispatch { flags: DispatchFlags::ALLOW_INLINE_EXECUTION, ..good };
    for (dispatch, calls) in [(good, 10), (nothing, 0), (borrowing, 10), (inline, 10)] {
        output.zero(0, 4).unwrap();
        let (held, signal) = (Held::new(), [point(&semaphore(0), 1)]);
        let at = Submission { wait: &held.wait, signal: &signal, ..NOW };
        subject.device.queue_dispatch(&at, &dispatch).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(signal[0].semaphore.query().unwrap(), 0);
        assert_eq!(subject.read_words(&output), [0]);
        held.release();
        subject.reaches(&signal);
        assert_eq!(subject.read_words(&output), [calls]);
    }
}

/// [hal 111] [hal 92] also those that are static: they no longer change once the waits are over.
fn indirect_counts_are_read_after_the_waits(subject: &Subject) {
    let (counts, output) = (subject.buffer(64), subject.buffer(4));
    let operands = [whole(&output)];
    let part = counts.subspan(16, 40).unwrap();
    let source = Operand::direct(&part, 4, WHOLE_BUFFER);
    for workgroup_count in [WorkgroupCount::IndirectStatic(source), WorkgroupCount::IndirectDynamic(source)] {
        counts.write(0, &words(&[1000; 16])).unwrap();
        output.zero(0, 4).unwrap();
        let held = Held::new();
        let chain = Chain::new(2);
        let first = Submission { wait: &held.wait, ..chain.step(0) };
        subject.device.queue_update(&first, &words(&[2, 3, 4]), &counts, 20).unwrap();
        let dispatch =
            Dispatch { workgroup_count, ..subject.dispatch("count_calls", [0; 3], &[], &operands) };
        subject.device.queue_dispatch(&chain.step(1), &dispatch).unwrap();
        held.release();
        subject.reaches(chain.end());
        assert_eq!(subject.read_words(&output), [24]);
    }
}

/// [hal 112]
fn nothing_starts_before_all_waits(subject: &Subject) {
    let gates: Vec<_> = (0..5).map(|_| semaphore(0)).collect();
    let wait: Vec<Point> = gates.iter().zip(1..).map(|(gate, value)| point(gate, value)).collect();
    let signal = [point(&semaphore(0), 1), point(&semaphore(3), 8)];
    let buffer = subject.buffer(16);
    let at = Submission { wait: &wait, signal: &signal, ..NOW };
    subject.device.queue_fill(&at, &Region::whole(&buffer), 1, 1).unwrap();
    for index in [2, 0, 4, 1] {
        // First short of the value, then beyond it.
        if index > 0 {
            gates[index].signal(index as u64).unwrap();
        }
        gates[index].signal(10).unwrap();
        assert_eq!(signal[0].semaphore.query().unwrap(), 0);
    }
    std::thread::sleep(std::time::Duration::from_millis(2));
    assert_eq!(bytes_of(&buffer), [0; 16], "one wait is left");
    assert_eq!((signal[0].semaphore.query().unwrap(), signal[1].semaphore.query().unwrap()), (0, 3));
    gates[3].signal(4).unwrap();
    subject.reaches(&signal);
    assert_eq!(bytes_of(&buffer), [1; 16]);
}

/// [hal 116] [hal 117] every kind of operation; nothing is done, the cause is kept, the queue goes on.
fn failures_that_come_later_fail_every_kind(subject: &Subject) {
    let (held, buffer, other) = (Held::new(), subject.buffer(64), subject.buffer(64));
    let commands = subject.commands(REUSABLE, 0);
    commands.fill(&whole(&buffer), 1, 1).unwrap();
    commands.end().unwrap();
    let operands = [whole(&buffer)];
    let dispatch = subject.dispatch("add_one", [1; 3], &[], &operands);
    type Operation<'a> = &'a dyn Fn(&Submission<'_>) -> weft_sync::Result<()>;
    let operations: [Operation<'_>; 7] = [
        &|at| subject.device.queue_fill(at, &Region::whole(&buffer), 1, 1),
        &|at| subject.device.queue_update(at, &[1; 64], &buffer, 0),
        &|at| subject.device.queue_copy(at, &Region::whole(&other), &Region::whole(&buffer)),
        &|at| subject.device.queue_execute(at, Some(&commands), None, ExecuteFlags::empty()),
        &|at| subject.device.queue_dispatch(at, &dispatch),
        &|at| subject.device.queue_barrier(at),
        &|at| {
            let params = BufferParams::device_local();
            let flags = AllocaFlags::empty();
            subject.device.queue_alloca(&at.on(QueueAffinity::ANY), &params, 8, flags).map(hold_uncommitted)
        },
    ];
    let mut signals = Vec::new();
    for operation in operations {
        let signal = [point(&semaphore(0), 1), point(&semaphore(0), 9)];
        operation(&Submission { wait: &held.wait, signal: &signal, ..NOW }).unwrap();
        signals.extend(signal);
    }
    held.timeline.fail(Status::new(Code::DataLoss, "the tape is gone"));
    subject.fails(Ok(()), &signals, Code::DataLoss);
    for point in &signals {
        let status = point.semaphore.query().unwrap_err();
        assert!(status.message().contains("the tape is gone"), "{status}");
    }
    assert_eq!(bytes_of(&buffer), [0; 64]);
    subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 1, 1)).unwrap();
}

fn hold_uncommitted(buffer: Arc<Buffer>) {
    assert!(!buffer.is_committed());
}
