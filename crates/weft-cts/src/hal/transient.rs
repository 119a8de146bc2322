//! Queue-allocated buffers: metadata, commit, dealloca, memory that runs short.

#![allow(unsafe_code, reason = "looks at bytes that outlive their deallocation")]

use std::time::Duration;

use weft_hal::{
    AllocaFlags, Buffer, BufferParams, DeallocaFlags, Fence, MappingMode, MemoryAccess, PlacementFlags,
    QueueAffinity, Region, Submission, WHOLE_BUFFER,
};
use weft_sync::{CancelToken, Code, Point};

use crate::case::Caps;
use crate::subject::{
    NOW, Subject, bytes_of, eventually, failed, fails_with, point, region, semaphore, soon, whole,
};

crate::cases! { $ TRANSIENT for_each_transient_case {
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
    short_memory_fails_the_allocation_only: Caps::WRAPPERS;
    memory_made_present_keeps_its_bytes: Caps::WORK;
    memory_is_made_present_in_order: Caps::WORK;
    making_memory_present_is_cancelled: Caps::NONE;
} }

/// [hal 46] [hal-module 31]
fn transients_are_usable_after_their_signal(subject: &Subject) {
    let fence = Fence::create();
    let buffer = subject.alloca(&Submission::between(None, Some(&fence)), 100).unwrap();
    subject.passes(&fence);
    assert!(buffer.is_committed());
    subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 0xAB, 1)).unwrap();
    assert_eq!(bytes_of(&buffer), [0xAB; 100]);
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
}

/// [hal 47] [hal-module 31]
fn transient_metadata_is_final_at_once(subject: &Subject) {
    let buffer = subject.run(|at| subject.alloca(&at.on(QueueAffinity(0)), 77)).unwrap();
    let before = *buffer.metadata();
    assert_eq!((buffer.byte_length(), buffer.allocation_size()), (77, 77));
    assert_eq!((before.memory_type.bits(), before.usage.bits()), (50, 0x0B00_0C03));
    assert_eq!(before.access, MemoryAccess::ALL);
    assert!(before.placement.flags.contains(PlacementFlags::ASYNCHRONOUS));
    assert_eq!(before.placement.affinity.0.count_ones(), 1);
    assert_eq!(before.placement.device, subject.device.id());
    let view = buffer.subspan(16, 32).unwrap();
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    assert_eq!((*buffer.metadata(), *view.metadata()), (before, before));
    assert_eq!(subject.run(|at| subject.alloca(at, 0)).unwrap().byte_length(), 0);
}

/// [hal 48] [hal-module 34]
fn transients_chain_without_host_waits(subject: &Subject) {
    let result = subject.buffer(32 * 100);
    let timeline = semaphore(0);
    let points: Vec<[Point; 1]> = (0..=128).map(|value| [point(&timeline, value)]).collect();
    let step = |index: usize| Submission { wait: &points[index], signal: &points[index + 1], ..NOW };
    for round in 0..32 {
        let buffer = subject.alloca(&step(4 * round), 1000).unwrap();
        let part = region(&buffer, 0, 500);
        subject.device.queue_fill(&step(4 * round + 1), &part, round as u64 + 1, 1).unwrap();
        let (from, to) = (region(&buffer, 400, 100), region(&result, round as u64 * 100, 100));
        subject.device.queue_copy(&step(4 * round + 2), &from, &to).unwrap();
        subject.dealloca(&step(4 * round + 3), &buffer).unwrap();
    }
    subject.reaches(&points[128]);
    assert!(bytes_of(&result).iter().enumerate().all(|(at, &byte)| usize::from(byte) == at / 100 + 1));
    subject.comes_to_live_bytes(3200);
}

/// [hal-module 31]
fn alloca_checks_its_arguments(subject: &Subject) {
    let params = BufferParams::device_local();
    for known in [0, 1, 2, 3] {
        subject
            .run(|at| subject.device.queue_alloca(at, &params, 16, AllocaFlags::from_bits_retain(known)))
            .unwrap();
    }
    let unknown = AllocaFlags::from_bits_retain(4);
    fails_with(
        subject.run(|at| subject.device.queue_alloca(at, &params, 16, unknown)),
        Code::InvalidArgument,
    );
    let odd = BufferParams { alignment_min: 3, ..params };
    fails_with(
        subject.run(|at| subject.device.queue_alloca(at, &odd, 16, AllocaFlags::empty())),
        Code::InvalidArgument,
    );
}

/// [hal 55]
fn dealloca_after_a_failed_wait_leaves_the_buffer(subject: &Subject) {
    let buffer = subject.run(|at| subject.alloca(at, 64)).unwrap();
    let (wait, signal) = ([point(&failed(Code::Aborted), 1)], [point(&semaphore(0), 1)]);
    subject.dealloca(&Submission { wait: &wait, signal: &signal, ..NOW }, &buffer).unwrap();
    subject.fails(Ok(()), &signal, Code::Aborted);
    assert!(!buffer.is_dealloca_queued(), "withdrawn before anybody is told");
    buffer.fill(0, 64, &[1]).unwrap();
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    assert!(buffer.is_dealloca_queued() && !buffer.is_committed());
}

/// [hal 56] [hal-module 32]
fn deallocated_buffers_are_refused(subject: &Subject) {
    let buffer = subject.run(|at| subject.alloca(at, 64)).unwrap();
    let part = buffer.subspan(0, 32).unwrap();
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    subject.comes_to_live_bytes(0);
    fails_with(subject.run(|at| subject.dealloca(at, &buffer)), Code::InvalidArgument);
    fails_with(subject.run(|at| subject.dealloca(at, &part)), Code::InvalidArgument);
    fails_with(buffer.read(0, &mut [0]), Code::FailedPrecondition);
    fails_with(part.write(0, &[0]), Code::FailedPrecondition);
    if subject.has.contains(Caps::WORK) {
        let signal = [point(&semaphore(0), 1)];
        let submission = Submission { signal: &signal, ..NOW };
        let used = subject.device.queue_fill(&submission, &Region::whole(&buffer), 0, 1);
        subject.fails(used, &signal, Code::FailedPrecondition);
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
    subject.dealloca(&Submission::between(None, Some(&fence)), &plain).unwrap();
    subject.passes(&fence);
    plain.fill(0, 64, &[1]).unwrap();
    let params = BufferParams::device_local();
    let indeterminate = AllocaFlags::INDETERMINATE_LIFETIME;
    let lasting = subject.run(|at| subject.device.queue_alloca(at, &params, 64, indeterminate)).unwrap();
    subject.run(|at| subject.dealloca(at, &lasting)).unwrap();
    subject.run(|at| subject.dealloca(at, &lasting)).unwrap();
    assert!(lasting.is_committed());
    // Back where it came from, whatever the affinity says.
    let buffer = subject.run(|at| subject.alloca(at, 64)).unwrap();
    let origin = DeallocaFlags::PREFER_ORIGIN;
    subject.run(|at| subject.device.queue_dealloca(&at.on(QueueAffinity(0)), &buffer, origin)).unwrap();
    assert!(!buffer.is_committed());
}

/// [hal 58] [hal-module 31]
fn transients_map_only_while_committed(subject: &Subject) {
    let wait = [point(&failed(Code::Aborted), 1)];
    let uncommitted = subject.alloca(&Submission { wait: &wait, ..NOW }, 64).unwrap();
    let map = |buffer: &Buffer| buffer.map(MappingMode::Scoped, MemoryAccess::READ, 0, WHOLE_BUFFER);
    fails_with(map(&uncommitted), Code::FailedPrecondition);
    fails_with(uncommitted.subspan(8, 8).unwrap().read(0, &mut [0]), Code::FailedPrecondition);
    let buffer = subject.run(|at| subject.alloca(at, 64)).unwrap();
    assert_eq!(map(&buffer).unwrap().length(), 64);
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    fails_with(map(&buffer), Code::FailedPrecondition);
}

/// [hal 58]
fn a_mapping_outlives_the_dealloca(subject: &Subject) {
    let buffer = subject.run(|at| subject.alloca(at, 4096)).unwrap();
    buffer.fill(0, WHOLE_BUFFER, &[5]).unwrap();
    let mapping = buffer.map(MappingMode::Scoped, MemoryAccess::READ, 0, WHOLE_BUFFER).unwrap();
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
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
    subject.comes_to_live_bytes(0);
}

/// [hal 59]
fn dropped_transients_return_their_memory(subject: &Subject) {
    let statistics = || subject.device.allocator().statistics().device;
    let buffer = subject.run(|at| subject.alloca(at, 640)).unwrap();
    let part = buffer.subspan(0, 64).unwrap();
    drop(buffer);
    assert_eq!(statistics().live(), 640);
    drop(part);
    let buffer = subject.run(|at| subject.alloca(at, 64)).unwrap();
    subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
    drop(buffer);
    subject.comes_to_live_bytes(0);
    assert_eq!(statistics().freed, 704);
}

/// [hal 61]
fn transients_without_access_bits_work(subject: &Subject) {
    let params = BufferParams { access: MemoryAccess::empty(), ..BufferParams::device_local() };
    let buffer = subject.run(|at| subject.device.queue_alloca(at, &params, 8, AllocaFlags::empty())).unwrap();
    subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), 1, 1)).unwrap();
    assert_eq!(bytes_of(&buffer), [1; 8]);
    subject.run_once(|commands| commands.fill(&whole(&buffer), 2, 1)).unwrap();
    assert_eq!(bytes_of(&buffer), [2; 8]);
}

/// [hal 125] [hal-module 78] memory runs short at each allocation in turn.
fn short_memory_fails_the_allocation_only(subject: &Subject) {
    for blocks in 0..4 {
        let device = subject.open(&[&format!("countdown:{blocks}")]);
        let params = BufferParams::device_local();
        let mut buffers = Vec::new();
        for index in 0..4 {
            match subject.run(|at| device.queue_alloca(at, &params, 100, AllocaFlags::empty())) {
                Ok(buffer) => buffers.push(buffer),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted);
                    assert!(index >= blocks);
                }
            }
        }
        fails_with(device.allocator().allocate(&params, 8), Code::ResourceExhausted);
        assert_eq!(buffers.len(), blocks);
        let live = || device.allocator().statistics().device.live();
        assert_eq!(live(), 100 * blocks as u64);
        // What was there before still works.
        for buffer in &buffers {
            subject.run(|at| device.queue_fill(at, &Region::whole(buffer), 1, 1)).unwrap();
            subject.run(|at| device.queue_dealloca(at, buffer, DeallocaFlags::empty())).unwrap();
        }
        eventually("all blocks came back", || live() == 0);
    }
}

/// More than a device makes present at once.
const TO_FILL: u64 = (40 << 20) + 12_344;

/// [hal 46] [hal-module 31] Memory of any size, fresh or used, queued or not, whole or a part: it is made present, and holds
/// what it held.
fn memory_made_present_keeps_its_bytes(subject: &Subject) {
    let device = &subject.device;
    let prefault = |region: &Region<'_>| subject.run(|at| device.queue_prefault(at, region));
    for size in [0, 100, 5 << 20, TO_FILL, TO_FILL] {
        let buffer = subject.run(|at| subject.alloca(at, size)).unwrap();
        prefault(&Region::whole(&buffer)).unwrap();
        subject.run(|at| device.queue_fill(at, &Region::whole(&buffer), 0xA5, 1)).unwrap();
        prefault(&Region::whole(&buffer)).unwrap();
        prefault(&region(&buffer, size / 2, size / 3)).unwrap();
        assert!(bytes_of(&buffer).iter().all(|&byte| byte == 0xA5));
        let part = buffer.subspan(size / 3, size / 2).unwrap();
        prefault(&region(&part, size / 4, WHOLE_BUFFER)).unwrap();
        assert_eq!(prefault(&region(&part, 1, size)).unwrap_err().code(), Code::OutOfRange);
        subject.run(|at| subject.dealloca(at, &buffer)).unwrap();
        // Too late; devices that cannot do it do not look.
        if let Err(status) = prefault(&Region::whole(&buffer)) {
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        }
        let plain = subject.buffer(size);
        prefault(&Region::whole(&plain)).unwrap();
    }
    subject.comes_to_live_bytes(0);
}

/// [hal 48] What comes after it needs no wait of the host, and short work beside it goes on.
fn memory_is_made_present_in_order(subject: &Subject) {
    let timeline = semaphore(0);
    let points: Vec<[Point; 1]> = (0..=16).map(|value| [point(&timeline, value)]).collect();
    let step = |index: usize| Submission { wait: &points[index], signal: &points[index + 1], ..NOW };
    let beside = subject.buffer(8);
    for round in 0..4 {
        let buffer = subject.alloca(&step(4 * round), TO_FILL).unwrap();
        subject.device.queue_prefault(&step(4 * round + 1), &Region::whole(&buffer)).unwrap();
        let last = region(&buffer, TO_FILL - 4, 4);
        subject.device.queue_fill(&step(4 * round + 2), &last, round as u64 + 1, 4).unwrap();
        subject.run(|at| subject.device.queue_fill(at, &Region::whole(&beside), 7, 1)).unwrap();
        if round == 3 {
            subject.reaches(&points[15]);
            assert_eq!(buffer.read_to_vec(TO_FILL - 4, 4).unwrap(), [4, 0, 0, 0]);
        }
        subject.dealloca(&step(4 * round + 3), &buffer).unwrap();
    }
    subject.reaches(&points[16]);
    subject.comes_to_live_bytes(8);
}

/// [hal 46] Cancelled before, while it waits, or at any time after that: the signal says so, or it was too late. The memory
/// stays with its buffer, which nobody holds on to afterwards.
fn making_memory_present_is_cancelled(subject: &Subject) {
    for delay in [None, Some(0), Some(50), Some(500), Some(3000)] {
        let (token, signal) = (CancelToken::new(), [point(&semaphore(0), 1)]);
        let at = Submission { signal: &signal, ..NOW }.cancelled_by(Some(&token));
        let canceller = token.clone();
        let buffer = subject.run(|at| subject.alloca(at, TO_FILL)).unwrap();
        std::thread::scope(|scope| {
            match delay {
                None => token.cancel(),
                Some(delay) => {
                    scope.spawn(move || {
                        std::thread::sleep(Duration::from_micros(delay));
                        canceller.cancel();
                    });
                }
            }
            let submitted = subject.device.queue_prefault(&at, &Region::whole(&buffer));
            match signal[0].semaphore.wait(1, soon()) {
                Ok(()) => {
                    assert!(delay.is_some(), "it was cancelled before");
                    submitted.unwrap();
                }
                Err(status) => {
                    assert_eq!(status.code(), Code::Cancelled, "{status}");
                    if let Err(submitted) = submitted {
                        assert_eq!(submitted.code(), Code::Cancelled, "{submitted}");
                    }
                }
            }
        });
        token.wait_idle(soon()).unwrap();
        drop(buffer);
        subject.comes_to_live_bytes(0);
    }
}
