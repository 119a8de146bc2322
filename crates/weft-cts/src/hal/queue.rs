//! Queue operations: order, transient memory, transfers, host calls, failures.

#![allow(unsafe_code, reason = "looks at bytes that outlive their deallocation")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft_hal::{
    AllocaFlags, Buffer, BufferParams, BufferUsage, DeallocaFlags, ExecuteFlags, Fence, HostCall,
    HostCallEnd, HostCallFlags, MappingMode, MemoryAccess, MemoryType, PlacementFlags, QueueAffinity, Region,
    Submission, WHOLE_BUFFER,
};
use weft_sync::{Code, Deadline, Point, Result, Semaphore, Status};

use crate::case::Caps;
use crate::subject::{Subject, bytes_of, fails_with, whole};

crate::cases! { $ QUEUE for_each_queue_case {
    transients_are_usable_after_their_signal: Caps::WORK;
    transient_metadata_is_final_at_once: Caps::NONE;
    transients_chain_without_host_waits: Caps::WORK;
    alloca_checks_its_arguments: Caps::NONE;
    dealloca_after_a_failed_wait_leaves_the_buffer: Caps::NONE;
    deallocated_buffers_are_refused: Caps::NONE;
    dealloca_of_other_buffers_is_a_barrier: Caps::NONE;
    transients_map_only_while_committed: Caps::NONE;
    a_mapping_outlives_the_dealloca: Caps::WORK;
    dropped_transients_return_their_memory: Caps::NONE;
    transients_without_access_bits_work: Caps::WORK;
    fills_repeat_patterns: Caps::WORK;
    fills_refuse_bad_patterns: Caps::NONE;
    updates_of_any_length: Caps::WORK;
    updates_capture_their_source: Caps::WORK;
    copies_move_ranges: Caps::WORK;
    copies_refuse_overlap: Caps::NONE;
    transfers_check_permissions: Caps::NONE;
    bursts_of_copies: Caps::WORK;
    transfers_chain: Caps::WORK;
    lists_may_be_empty_and_barriers_order: Caps::NONE;
    failures_travel_through_chains: Caps::NONE;
    a_failed_wait_does_no_work: Caps::WORK;
    failing_later_is_failing_before: Caps::WORK;
    the_queue_survives_failures: Caps::WORK;
    waits_are_released_by_other_threads: Caps::WORK;
    results_are_there_when_the_call_returns: Caps::WORK;
    argument_errors_leave_signals_alone: Caps::NONE;
    host_calls_get_their_arguments: Caps::NONE;
    host_calls_may_answer_later: Caps::NONE;
    host_call_errors_reach_every_signal: Caps::NONE;
    affinities_select_queues: Caps::NONE;
    flush_is_harmless: Caps::NONE;
    signals_that_are_passed_already_fail: Caps::NONE;
    queries_answer_what_programs_ask: Caps::NONE;
} }

fn semaphore(initial: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(initial))
}

fn point(semaphore: &Arc<Semaphore>, value: u64) -> Point {
    Point { semaphore: Arc::clone(semaphore), value }
}

fn region(buffer: &Buffer, offset: u64, length: u64) -> Region<'_> {
    Region { buffer, offset, length }
}

const NOW: Submission<'static> = Submission::IMMEDIATE;

fn alloca(subject: &Subject, submission: &Submission<'_>, size: u64) -> Result<Arc<Buffer>> {
    subject.device.queue_alloca(submission, &BufferParams::device_local(), size, AllocaFlags::empty())
}

fn dealloca(subject: &Subject, submission: &Submission<'_>, buffer: &Buffer) -> Result<()> {
    subject.device.queue_dealloca(submission, buffer, DeallocaFlags::empty())
}

/// [hal 46] [hal-module 31]
fn transients_are_usable_after_their_signal(subject: &Subject) {
    let fence = Fence::create();
    let buffer = alloca(subject, &Submission::between(None, Some(&fence)), 100).unwrap();
    fence.wait(Deadline::NEVER).unwrap();
    assert!(buffer.is_committed());
    subject.device.queue_fill(&NOW, &Region::whole(&buffer), 0xAB, 1).unwrap();
    assert_eq!(bytes_of(&buffer), [0xAB; 100]);
    dealloca(subject, &NOW, &buffer).unwrap();
}

/// [hal 47] [hal-module 31]
fn transient_metadata_is_final_at_once(subject: &Subject) {
    let buffer = alloca(subject, &NOW.on(QueueAffinity(0)), 77).unwrap();
    let before = *buffer.metadata();
    assert_eq!((buffer.byte_length(), buffer.allocation_size()), (77, 77));
    assert_eq!((before.memory_type.bits(), before.usage.bits()), (50, 0x0B00_0C03));
    assert_eq!(before.access, MemoryAccess::ALL);
    assert!(before.placement.flags.contains(PlacementFlags::ASYNCHRONOUS));
    assert_eq!(before.placement.affinity.0.count_ones(), 1);
    assert_eq!(before.placement.device, subject.device.id());
    let view = buffer.subspan(16, 32).unwrap();
    dealloca(subject, &NOW, &buffer).unwrap();
    assert_eq!((*buffer.metadata(), *view.metadata()), (before, before));
    assert_eq!(alloca(subject, &NOW, 0).unwrap().byte_length(), 0);
}

/// [hal 48] [hal-module 34]
fn transients_chain_without_host_waits(subject: &Subject) {
    let timeline = semaphore(0);
    let points: Vec<[Point; 1]> = (0..=96).map(|value| [point(&timeline, value)]).collect();
    let step = |index: usize| Submission { wait: &points[index], signal: &points[index + 1], ..NOW };
    for round in 0..32 {
        let buffer = alloca(subject, &step(3 * round), 1000).unwrap();
        subject.device.queue_fill(&step(3 * round + 1), &Region::whole(&buffer), round as u64, 1).unwrap();
        assert_eq!(bytes_of(&buffer), vec![round as u8; 1000]);
        dealloca(subject, &step(3 * round + 2), &buffer).unwrap();
    }
    assert_eq!(timeline.query().unwrap(), 96);
    assert_eq!(subject.device.allocator().statistics().device.live(), 0);
}

/// [hal-module 31]
fn alloca_checks_its_arguments(subject: &Subject) {
    let params = BufferParams::device_local();
    for known in [0, 1, 2, 3] {
        subject.device.queue_alloca(&NOW, &params, 16, AllocaFlags::from_bits_retain(known)).unwrap();
    }
    let unknown = AllocaFlags::from_bits_retain(4);
    fails_with(subject.device.queue_alloca(&NOW, &params, 16, unknown), Code::InvalidArgument);
    let odd = BufferParams { alignment_min: 3, ..params };
    fails_with(subject.device.queue_alloca(&NOW, &odd, 16, AllocaFlags::empty()), Code::InvalidArgument);
}

fn failed(code: Code) -> Arc<Semaphore> {
    let semaphore = semaphore(0);
    semaphore.fail(Status::new(code, "given up"));
    semaphore
}

/// [hal 55]
fn dealloca_after_a_failed_wait_leaves_the_buffer(subject: &Subject) {
    let buffer = alloca(subject, &NOW, 64).unwrap();
    let (wait, signal) = ([point(&failed(Code::Aborted), 1)], [point(&semaphore(0), 1)]);
    dealloca(subject, &Submission { wait: &wait, signal: &signal, ..NOW }, &buffer).unwrap();
    fails_with(signal[0].semaphore.query(), Code::Aborted);
    assert!(!buffer.is_dealloca_queued());
    buffer.fill(0, 64, &[1]).unwrap();
    dealloca(subject, &NOW, &buffer).unwrap();
    assert!(buffer.is_dealloca_queued() && !buffer.is_committed());
}

/// [hal 56] [hal-module 32]
fn deallocated_buffers_are_refused(subject: &Subject) {
    let buffer = alloca(subject, &NOW, 64).unwrap();
    let part = buffer.subspan(0, 32).unwrap();
    dealloca(subject, &NOW, &buffer).unwrap();
    assert_eq!(subject.device.allocator().statistics().device.live(), 0);
    fails_with(dealloca(subject, &NOW, &buffer), Code::InvalidArgument);
    fails_with(dealloca(subject, &NOW, &part), Code::InvalidArgument);
    fails_with(buffer.read(0, &mut [0]), Code::FailedPrecondition);
    fails_with(part.write(0, &[0]), Code::FailedPrecondition);
    if subject.has.contains(Caps::WORK) {
        let signal = [point(&semaphore(0), 1)];
        let submission = Submission { signal: &signal, ..NOW };
        let used = subject.device.queue_fill(&submission, &Region::whole(&buffer), 0, 1);
        fails_with(used, Code::FailedPrecondition);
        fails_with(signal[0].semaphore.query(), Code::FailedPrecondition);
        fails_with(
            subject.run_once(|commands| commands.fill(&whole(&buffer), 0, 1)),
            Code::FailedPrecondition,
        );
    }
}

/// [hal 57] [hal-module 32]
fn dealloca_of_other_buffers_is_a_barrier(subject: &Subject) {
    let plain = subject.buffer(64);
    let fence = Fence::create();
    dealloca(subject, &Submission::between(None, Some(&fence)), &plain).unwrap();
    assert!(fence.query().unwrap());
    plain.fill(0, 64, &[1]).unwrap();
    let params = BufferParams::device_local();
    let indeterminate = AllocaFlags::INDETERMINATE_LIFETIME;
    let lasting = subject.device.queue_alloca(&NOW, &params, 64, indeterminate).unwrap();
    dealloca(subject, &NOW, &lasting).unwrap();
    dealloca(subject, &NOW, &lasting).unwrap();
    assert!(lasting.is_committed());
    // Back where it came from, whatever the affinity says.
    let buffer = alloca(subject, &NOW, 64).unwrap();
    let origin = DeallocaFlags::PREFER_ORIGIN;
    subject.device.queue_dealloca(&NOW.on(QueueAffinity(0)), &buffer, origin).unwrap();
    assert!(!buffer.is_committed());
}

/// [hal 58] [hal-module 31]
fn transients_map_only_while_committed(subject: &Subject) {
    let wait = [point(&failed(Code::Aborted), 1)];
    let uncommitted = alloca(subject, &Submission { wait: &wait, ..NOW }, 64).unwrap();
    let map = |buffer: &Buffer| buffer.map(MappingMode::Scoped, MemoryAccess::READ, 0, WHOLE_BUFFER);
    fails_with(map(&uncommitted), Code::FailedPrecondition);
    fails_with(uncommitted.subspan(8, 8).unwrap().read(0, &mut [0]), Code::FailedPrecondition);
    let buffer = alloca(subject, &NOW, 64).unwrap();
    assert_eq!(map(&buffer).unwrap().length(), 64);
    dealloca(subject, &NOW, &buffer).unwrap();
    fails_with(map(&buffer), Code::FailedPrecondition);
}

/// [hal 58]
fn a_mapping_outlives_the_dealloca(subject: &Subject) {
    let buffer = alloca(subject, &NOW, 4096).unwrap();
    buffer.fill(0, WHOLE_BUFFER, &[5]).unwrap();
    let mapping = buffer.map(MappingMode::Scoped, MemoryAccess::READ, 0, WHOLE_BUFFER).unwrap();
    dealloca(subject, &NOW, &buffer).unwrap();
    assert_eq!(subject.device.allocator().statistics().device.live(), 4096);
    subject.device.trim();
    // Whoever gets fresh memory now does not get these bytes.
    let other = subject.buffer(4096);
    other.fill(0, WHOLE_BUFFER, &[6]).unwrap();
    // SAFETY: the buffer is deallocated, so nobody but this mapping can reach its bytes.
    let bytes = unsafe { mapping.bytes() };
    assert_eq!(bytes, [5; 4096]);
    drop(mapping);
    drop(other);
    assert_eq!(subject.device.allocator().statistics().device.live(), 0);
}

/// [hal 59]
fn dropped_transients_return_their_memory(subject: &Subject) {
    let statistics = || subject.device.allocator().statistics().device;
    let buffer = alloca(subject, &NOW, 640).unwrap();
    let part = buffer.subspan(0, 64).unwrap();
    drop(buffer);
    assert_eq!(statistics().live(), 640);
    drop(part);
    let buffer = alloca(subject, &NOW, 64).unwrap();
    dealloca(subject, &NOW, &buffer).unwrap();
    drop(buffer);
    assert_eq!((statistics().live(), statistics().freed), (0, 704));
}

/// [hal 61]
fn transients_without_access_bits_work(subject: &Subject) {
    let params = BufferParams { access: MemoryAccess::empty(), ..BufferParams::device_local() };
    let buffer = subject.device.queue_alloca(&NOW, &params, 8, AllocaFlags::empty()).unwrap();
    subject.device.queue_fill(&NOW, &Region::whole(&buffer), 1, 1).unwrap();
    assert_eq!(bytes_of(&buffer), [1; 8]);
    subject.run_once(|commands| commands.fill(&whole(&buffer), 2, 1)).unwrap();
    assert_eq!(bytes_of(&buffer), [2; 8]);
}

/// [hal 107] [hal-module 33]
fn fills_repeat_patterns(subject: &Subject) {
    let buffer = subject.buffer(256 << 10);
    for (offset, length, bits, size) in [
        (0, WHOLE_BUFFER, 0x0102_0304, 4),
        (2, 16, 0xBEEF, 2),
        (3, 5, 0x1F2, 1),
        (4, 8, 0xFFFF_FFFF_0000_0001, 4),
    ] {
        let before = bytes_of(&buffer);
        subject.device.queue_fill(&NOW, &region(&buffer, offset, length), bits, size).unwrap();
        let after = bytes_of(&buffer);
        let end = if length == WHOLE_BUFFER { after.len() } else { (offset + length) as usize };
        let pattern = &bits.to_le_bytes()[..size as usize];
        assert!(after[offset as usize..end].chunks(pattern.len()).all(|chunk| chunk == pattern));
        assert_eq!(before[..offset as usize], after[..offset as usize]);
        assert_eq!(before[end..], after[end..]);
    }
    // Length 0 is a barrier, wherever it points.
    subject.device.queue_fill(&NOW, &region(&buffer, 1 << 40, 0), 0, 4).unwrap();
}

/// [hal 107] [hal-module 33]
fn fills_refuse_bad_patterns(subject: &Subject) {
    let buffer = subject.buffer(64);
    let fill =
        |offset, length, size| subject.device.queue_fill(&NOW, &region(&buffer, offset, length), 0, size);
    for size in [0, 3, 5, 8, 16] {
        fails_with(fill(0, 64, size), Code::InvalidArgument);
    }
    for (offset, length, size) in [(1, 2, 2), (0, 3, 2), (2, 4, 4), (0, 6, 4)] {
        fails_with(fill(offset, length, size), Code::InvalidArgument);
    }
    let odd = subject.buffer(7);
    fails_with(subject.device.queue_fill(&NOW, &Region::whole(&odd), 0, 2), Code::InvalidArgument);
    fails_with(fill(60, 8, 4), Code::OutOfRange);
}

/// [hal 107]
fn updates_of_any_length(subject: &Subject) {
    for (length, offset) in [(1, 0), (2 * 65536 + 37, 13), (1 << 20, 1)] {
        let source: Vec<u8> = (0..length).map(|index| (index % 253) as u8).collect();
        let buffer = subject.buffer(length as u64 + 64);
        subject.device.queue_update(&NOW, &source, &buffer, offset).unwrap();
        let bytes = bytes_of(&buffer);
        let (start, end) = (offset as usize, offset as usize + length);
        assert_eq!(bytes[start..end], source);
        assert!(bytes[..start].iter().chain(&bytes[end..]).all(|&byte| byte == 0));
    }
    fails_with(subject.device.queue_update(&NOW, &[0; 9], &subject.buffer(8), 0), Code::OutOfRange);
}

/// [hal 107]
fn updates_capture_their_source(subject: &Subject) {
    let buffer = subject.buffer(4);
    let mut source = vec![1, 2, 3, 4];
    subject.device.queue_update(&NOW, &source, &buffer, 0).unwrap();
    source.fill(9);
    drop(source);
    assert_eq!(bytes_of(&buffer), [1, 2, 3, 4]);
}

/// [hal 107] [hal-module 33]
fn copies_move_ranges(subject: &Subject) {
    let content: Vec<u8> = (0..256 << 10).map(|index| (index % 241) as u8).collect();
    let source = subject.buffer_with(&content);
    let target = subject.buffer(256 << 10);
    subject.device.queue_copy(&NOW, &Region::whole(&source), &Region::whole(&target)).unwrap();
    assert_eq!(bytes_of(&target), content);
    // Within one buffer, touching; from a subspan; "to the end" names the source's end.
    subject.device.queue_copy(&NOW, &region(&source, 0, 10), &region(&source, 10, 10)).unwrap();
    assert_eq!(source.read_to_vec(8, 4).unwrap(), [8, 9, 0, 1]);
    let tail = source.subspan(256 * 1024 - 7, 7).unwrap();
    subject.device.queue_copy(&NOW, &Region::whole(&tail), &region(&target, 3, WHOLE_BUFFER)).unwrap();
    assert_eq!(target.read_to_vec(0, 12).unwrap()[..3], content[..3]);
    assert_eq!(target.read_to_vec(3, 7).unwrap(), content[256 * 1024 - 7..]);
    assert_eq!(target.read_to_vec(10, 2).unwrap(), content[10..12]);
    subject.device.queue_copy(&NOW, &region(&source, 1 << 40, 0), &region(&source, 1 << 40, 0)).unwrap();
}

/// [hal 107] [hal-module 33]
fn copies_refuse_overlap(subject: &Subject) {
    let buffer = subject.buffer(64);
    let part = buffer.subspan(16, 32).unwrap();
    let copy = |source: &Region<'_>, target: &Region<'_>| subject.device.queue_copy(&NOW, source, target);
    fails_with(copy(&region(&buffer, 0, 8), &region(&buffer, 4, 8)), Code::InvalidArgument);
    fails_with(copy(&region(&buffer, 4, 8), &region(&buffer, 0, 8)), Code::InvalidArgument);
    fails_with(copy(&region(&buffer, 0, 8), &region(&buffer, 0, 8)), Code::InvalidArgument);
    fails_with(copy(&region(&buffer, 16, 8), &region(&part, 0, 8)), Code::InvalidArgument);
    fails_with(copy(&region(&buffer, 0, 8), &region(&buffer, 16, 9)), Code::InvalidArgument);
    fails_with(
        copy(&region(&buffer, 0, 64), &region(&subject.buffer(63), 0, WHOLE_BUFFER)),
        Code::OutOfRange,
    );
    fails_with(copy(&region(&buffer, 60, 8), &region(&subject.buffer(64), 0, 8)), Code::OutOfRange);
}

/// [hal-module 33]
fn transfers_check_permissions(subject: &Subject) {
    let allocator = subject.device.allocator();
    let good = subject.buffer(8);
    let read_only = BufferParams { access: MemoryAccess::READ, ..BufferParams::device_local() };
    let read_only = allocator.allocate(&read_only, 8).unwrap();
    let host_only = BufferParams { memory_type: MemoryType::HOST_LOCAL, ..BufferParams::default() };
    let host_only = allocator.allocate(&host_only, 8).unwrap();
    let block = weft_hal::HostBlock::from_heap(8, 64).unwrap();
    let metadata = weft_hal::BufferMetadata { usage: BufferUsage::DISPATCH_STORAGE, ..*good.metadata() };
    let no_transfer = Buffer::resident(metadata, 8, block);
    for bad in [&read_only, &host_only, &no_transfer] {
        let (good, bad) = (Region::whole(&good), Region::whole(bad));
        fails_with(subject.device.queue_fill(&NOW, &bad, 0, 1), Code::PermissionDenied);
        fails_with(subject.device.queue_update(&NOW, &[1], bad.buffer, 0), Code::PermissionDenied);
        fails_with(subject.device.queue_copy(&NOW, &good, &bad), Code::PermissionDenied);
    }
    for bad in [&host_only, &no_transfer] {
        let copied = subject.device.queue_copy(&NOW, &Region::whole(bad), &Region::whole(&good));
        fails_with(copied, Code::PermissionDenied);
    }
}

/// [hal 108]
fn bursts_of_copies(subject: &Subject) {
    let content: Vec<u8> = (0..64 * 64).map(|index| (index % 250) as u8).collect();
    let source = subject.buffer_with(&content);
    for burst in 0..64_u64 {
        let target = subject.buffer(64 * 64);
        let timelines: Vec<Arc<Semaphore>> = (0..64).map(|_| semaphore(burst)).collect();
        for (index, timeline) in timelines.iter().enumerate() {
            let signal = [point(timeline, burst + 1)];
            let (from, to) = (region(&source, index as u64 * 64, 64), region(&target, index as u64 * 64, 64));
            subject.device.queue_copy(&Submission { signal: &signal, ..NOW }, &from, &to).unwrap();
        }
        for timeline in &timelines {
            timeline.wait(burst + 1, Deadline::NEVER).unwrap();
        }
        assert_eq!(bytes_of(&target), content);
    }
}

/// [hal 109] [hal-module 34]
fn transfers_chain(subject: &Subject) {
    let timeline = semaphore(0);
    let points: Vec<[Point; 1]> = (0..=4).map(|value| [point(&timeline, value)]).collect();
    let step = |index: usize| Submission { wait: &points[index], signal: &points[index + 1], ..NOW };
    let (a, b) = (subject.buffer(16), subject.buffer(16));
    subject.device.queue_update(&step(0), &[7; 16], &a, 0).unwrap();
    subject.device.queue_copy(&step(1), &Region::whole(&a), &Region::whole(&b)).unwrap();
    subject.device.queue_barrier(&step(2)).unwrap();
    subject.device.queue_fill(&step(3), &region(&b, 0, 4), 1, 1).unwrap();
    assert_eq!(timeline.query().unwrap(), 4);
    assert_eq!(bytes_of(&b), [1, 1, 1, 1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
}

/// [hal 112] [hal 123] [hal-module 33]
fn lists_may_be_empty_and_barriers_order(subject: &Subject) {
    subject.device.queue_barrier(&NOW).unwrap();
    subject.device.queue_execute(&NOW, None, None, ExecuteFlags::empty()).unwrap();
    // One semaphore several times, with rising values, and several semaphores.
    let (first, second) = (semaphore(2), semaphore(0));
    let wait = [point(&first, 1), point(&first, 2)];
    let signal = [point(&second, 1), point(&second, 5), point(&first, 3)];
    subject.device.queue_barrier(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap();
    assert_eq!((first.query().unwrap(), second.query().unwrap()), (3, 5));
}

/// [hal 116] [hal-module 33]
fn failures_travel_through_chains(subject: &Subject) {
    let first = failed(Code::Cancelled);
    let mut previous = first;
    for _ in 0..10 {
        let next = semaphore(0);
        let (wait, signal) = ([point(&previous, 1)], [point(&next, 1)]);
        subject.device.queue_barrier(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap();
        previous = next;
    }
    fails_with(previous.query(), Code::Cancelled);
    assert!(previous.query().unwrap_err().message().contains("given up"), "the cause travels along");
    let sibling = [point(&semaphore(0), 1)];
    subject.device.queue_barrier(&Submission { signal: &sibling, ..NOW }).unwrap();
    assert_eq!(sibling[0].semaphore.query().unwrap(), 1);
}

/// [hal 116] [hal 138] [hal-module 33]
fn a_failed_wait_does_no_work(subject: &Subject) {
    let buffer = subject.buffer(8);
    let wait = [point(&semaphore(1), 1), point(&failed(Code::Unavailable), 1)];
    let commands = subject.commands(weft_hal::CommandBufferMode::empty(), 0);
    commands.fill(&whole(&buffer), 1, 1).unwrap();
    commands.end().unwrap();
    let count = Arc::new(AtomicU32::new(0));
    type Operation<'a> = &'a dyn Fn(&Submission<'_>) -> Result<()>;
    let operations: [Operation<'_>; 7] = [
        &|at| subject.device.queue_fill(at, &Region::whole(&buffer), 1, 1),
        &|at| subject.device.queue_update(at, &[1; 8], &buffer, 0),
        &|at| {
            subject.device.queue_copy(
                at,
                &Region::whole(&subject.buffer_with(&[1; 8])),
                &Region::whole(&buffer),
            )
        },
        &|at| subject.device.queue_execute(at, Some(&commands), None, ExecuteFlags::empty()),
        &|at| subject.device.queue_barrier(at),
        &|at| alloca(subject, at, 8).map(|allocated| assert!(!allocated.is_committed())),
        &|at| {
            let count = Arc::clone(&count);
            subject.device.queue_host_call(
                at,
                host_call(HostCallFlags::empty(), move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(HostCallEnd::Done)
                }),
            )
        },
    ];
    for operation in operations {
        let signal = [point(&semaphore(0), 1), point(&semaphore(0), 9)];
        operation(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap();
        for point in &signal {
            fails_with(point.semaphore.query(), Code::Unavailable);
        }
    }
    assert_eq!(bytes_of(&buffer), [0; 8]);
    assert_eq!(count.load(Ordering::Relaxed), 0);
}

/// [hal 117]
fn failing_later_is_failing_before(subject: &Subject) {
    let buffer = subject.buffer(8);
    let gate = semaphore(0);
    let (wait, signal) = ([point(&gate, 1)], [point(&semaphore(0), 1)]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            gate.fail(Status::new(Code::Cancelled, "given up"));
        });
        let submission = Submission { wait: &wait, signal: &signal, ..NOW };
        subject.device.queue_fill(&submission, &Region::whole(&buffer), 1, 1).unwrap();
    });
    fails_with(signal[0].semaphore.query(), Code::Cancelled);
    assert_eq!(bytes_of(&buffer), [0; 8]);
}

/// [hal 118]
fn the_queue_survives_failures(subject: &Subject) {
    let wait = [point(&failed(Code::Internal), 1)];
    let buffer = subject.buffer(8);
    subject.device.queue_barrier(&Submission { wait: &wait, ..NOW }).unwrap();
    let gone = alloca(subject, &NOW, 8).unwrap();
    dealloca(subject, &NOW, &gone).unwrap();
    fails_with(subject.device.queue_fill(&NOW, &Region::whole(&gone), 1, 1), Code::FailedPrecondition);
    let fence = Fence::create();
    let after = Submission::between(None, Some(&fence));
    subject.device.queue_fill(&after, &Region::whole(&buffer), 3, 1).unwrap();
    assert!(fence.query().unwrap());
    assert_eq!(bytes_of(&buffer), [3; 8]);
}

/// [hal 138] [hal 112]
fn waits_are_released_by_other_threads(subject: &Subject) {
    let (one, two) = (semaphore(0), semaphore(0));
    let wait = [point(&one, 1), point(&two, 3)];
    let buffer = subject.buffer(8);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(10));
            one.signal(1).unwrap();
            std::thread::sleep(Duration::from_millis(10));
            assert_eq!(bytes_of(&buffer), [0; 8], "nothing starts before all waits");
            two.signal(3).unwrap();
        });
        subject.device.queue_fill(&Submission { wait: &wait, ..NOW }, &Region::whole(&buffer), 4, 1).unwrap();
    });
    assert_eq!(bytes_of(&buffer), [4; 8]);
}

/// [hal 137]
fn results_are_there_when_the_call_returns(subject: &Subject) {
    let threads = || std::fs::read_dir("/proc/self/task").map(|tasks| tasks.count());
    let caller = std::thread::current().id();
    let (buffer, seen) = (subject.buffer(8), Arc::new(Mutex::new(None)));
    let fence = Fence::create();
    subject.device.queue_fill(&NOW, &Region::whole(&buffer), 6, 1).unwrap();
    assert_eq!(bytes_of(&buffer), [6; 8]);
    let note = Arc::clone(&seen);
    let call = host_call(HostCallFlags::empty(), move |_| {
        *note.lock().unwrap() = Some(std::thread::current().id());
        Ok(HostCallEnd::Done)
    });
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
    assert!(fence.query().unwrap());
    assert_eq!(*seen.lock().unwrap(), Some(caller), "work runs on the caller");
    assert!(threads().is_ok() || cfg!(not(target_os = "linux")));
}

/// [hal 125] the argument half: nothing was accepted, so nobody is told.
fn argument_errors_leave_signals_alone(subject: &Subject) {
    let signal = [point(&semaphore(0), 1)];
    let at = Submission { signal: &signal, ..NOW };
    let buffer = subject.buffer(8);
    let recording = subject.commands(weft_hal::CommandBufferMode::empty(), 0);
    assert!(subject.device.queue_fill(&at, &region(&buffer, 0, 9), 0, 1).is_err());
    assert!(subject.device.queue_update(&at, &[0; 9], &buffer, 0).is_err());
    assert!(subject.device.queue_copy(&at, &Region::whole(&buffer), &Region::whole(&buffer)).is_err());
    assert!(subject.device.queue_execute(&at, Some(&recording), None, ExecuteFlags::empty()).is_err());
    let bad = BufferParams { alignment_min: 5, ..BufferParams::device_local() };
    assert!(subject.device.queue_alloca(&at, &bad, 8, AllocaFlags::empty()).is_err());
    let nothing = subject.dispatch("nothing", [1; 3], &[1], &[]);
    assert!(subject.device.queue_dispatch(&at, &nothing).is_err());
    assert_eq!(signal[0].semaphore.query().unwrap(), 0);
    assert_eq!(Arc::strong_count(&buffer), 1);
    assert_eq!(subject.device.allocator().statistics().device.live(), 8);
}

fn host_call(
    flags: HostCallFlags,
    function: impl FnOnce(&weft_hal::HostCallContext<'_>) -> Result<HostCallEnd> + Send + 'static,
) -> HostCall {
    HostCall { function: Box::new(move |context, _| function(context)), arguments: [0; 4], flags }
}

/// [hal 121]
fn host_calls_get_their_arguments(subject: &Subject) {
    let arguments = [0, 1, u64::MAX, 0x8000_0000_0000_0000];
    let seen = Arc::new(Mutex::new(Vec::new()));
    for flags in [HostCallFlags::empty(), HostCallFlags::NON_BLOCKING, HostCallFlags::WAIT_ACTIVE] {
        let fence = Fence::create();
        let (note, during, device) = (Arc::clone(&seen), Arc::clone(&fence), subject.device.id());
        let function = Box::new(move |context: &weft_hal::HostCallContext<'_>, given: [u64; 4]| {
            assert_eq!(given, arguments);
            assert_eq!(context.device, device);
            assert_eq!(context.affinity.0.count_ones(), 1);
            note.lock().unwrap().push((context.signal.len(), during.query().unwrap()));
            Ok(HostCallEnd::Done)
        });
        let call = HostCall { function, arguments, flags };
        subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
        fence.wait(Deadline::NEVER).unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), [(1, false), (0, true), (1, false)]);
}

/// [hal 121]
fn host_calls_may_answer_later(subject: &Subject) {
    let fence = Fence::create();
    let call = host_call(HostCallFlags::empty(), |context| {
        let mine = context.signal.to_vec();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            weft_hal::signal_all(&mine).unwrap();
        });
        Ok(HostCallEnd::Deferred)
    });
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
    fence.wait(Deadline::after(Duration::from_secs(10))).unwrap();
    // Or at once, from inside.
    let fence = Fence::create();
    let call = host_call(HostCallFlags::empty(), |context| {
        weft_hal::signal_all(context.signal)?;
        Ok(HostCallEnd::Deferred)
    });
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
    assert!(fence.query().unwrap());
}

/// [hal 121] [hal 122]
fn host_call_errors_reach_every_signal(subject: &Subject) {
    let wait = [point(&semaphore(1), 1)];
    let signal = [point(&semaphore(0), 1), point(&semaphore(0), 1)];
    let failing = host_call(HostCallFlags::empty(), |_| Err(Status::new(Code::DataLoss, "the host lost it")));
    let at = Submission { wait: &wait, signal: &signal, ..NOW };
    fails_with(subject.device.queue_host_call(&at, failing), Code::DataLoss);
    for point in &signal {
        fails_with(point.semaphore.query(), Code::DataLoss);
    }
    // The status is used once more, by an operation that waits for the first.
    let last = [point(&semaphore(0), 1)];
    let next = host_call(HostCallFlags::empty(), |_| Ok(HostCallEnd::Done));
    let after = Submission { wait: &signal, signal: &last, ..NOW };
    subject.device.queue_host_call(&after, next).unwrap();
    fails_with(last[0].semaphore.query(), Code::DataLoss);
    // Nobody hears about a non-blocking call.
    let fence = Fence::create();
    let ignored = host_call(HostCallFlags::NON_BLOCKING, |_| Err(Status::new(Code::Internal, "ignored")));
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), ignored).unwrap();
    assert!(fence.query().unwrap());
}

/// [hal 124] [hal-module 36]
fn affinities_select_queues(subject: &Subject) {
    let count = subject.device.queue_count();
    for affinity in [QueueAffinity::ANY, QueueAffinity(0), QueueAffinity(1), QueueAffinity(u64::MAX - 2)] {
        subject.device.queue_barrier(&NOW.on(affinity)).unwrap();
    }
    let none = QueueAffinity(!QueueAffinity::ANY.folded(count).0);
    assert!(none.0 != 0 && count < 64);
    fails_with(subject.device.queue_barrier(&NOW.on(none)), Code::InvalidArgument);
    for raw in [0, 1, 2, 1 << 63, u64::MAX, none.0] {
        subject.device.queue_barrier(&NOW.on(QueueAffinity(raw).folded(count))).unwrap();
    }
}

/// [hal 123] [hal-module 36]
fn flush_is_harmless(subject: &Subject) {
    subject.device.queue_flush(QueueAffinity::ANY).unwrap();
    subject.device.queue_flush(QueueAffinity(0)).unwrap();
}

/// A signal that cannot be given is a failure of the operation: whoever waits on the rest hears of it.
fn signals_that_are_passed_already_fail(subject: &Subject) {
    let signal = [point(&semaphore(5), 5), point(&semaphore(0), 1)];
    fails_with(subject.device.queue_barrier(&Submission { signal: &signal, ..NOW }), Code::InvalidArgument);
    fails_with(signal[1].semaphore.query(), Code::InvalidArgument);
}

/// [hal 134] [hal-module 45]
fn queries_answer_what_programs_ask(subject: &Subject) {
    let query = |category, key| subject.device.query_i64(category, key);
    let identifier = subject.device.identifier().to_owned();
    let (start, end) = (format!("{}*", &identifier[..2]), format!("?{}", &identifier[1..]));
    for pattern in ["*", &identifier, &start, &end] {
        assert_eq!(query("hal.device.id", pattern), Some(1), "{pattern}");
    }
    let longer = format!("{identifier}?");
    for pattern in ["", "cuda*", "?", &longer] {
        assert_eq!(query("hal.device.id", pattern), Some(0), "{pattern}");
    }
    assert_eq!(query("hal.device", "concurrency"), Some(i64::from(subject.device.queue_count())));
    assert_eq!(query("hal.dispatch", "concurrency"), Some(1));
    assert_eq!(query("hal.executable.format", "no-such-format"), Some(0));
    for (category, key) in [("", ""), ("hal.device", "x"), ("hal.dispatch", ""), ("no.such", "category")] {
        assert_eq!(query(category, key), None);
    }
}
