//! Transfers on queues: fills, updates, copies.

use std::sync::Arc;

use weft_hal::{
    Buffer, BufferParams, BufferUsage, MemoryAccess, MemoryType, Region, Submission, WHOLE_BUFFER,
};
use weft_sync::{Code, Point, Semaphore};

use crate::case::Caps;
use crate::subject::{NOW, Subject, bytes_of, fails_with, point, region, semaphore, soon};

crate::cases! { $ TRANSFER for_each_transfer_case {
    fills_repeat_patterns: Caps::WORK;
    fills_refuse_bad_patterns: Caps::NONE;
    updates_of_any_length: Caps::WORK;
    updates_capture_their_source: Caps::WORK;
    copies_move_ranges: Caps::WORK;
    copies_refuse_overlap: Caps::NONE;
    transfers_check_permissions: Caps::NONE;
    bursts_of_copies: Caps::WORK;
    transfers_chain: Caps::WORK;
} }

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
        subject
            .run(|at| subject.device.queue_fill(at, &region(&buffer, offset, length), bits, size))
            .unwrap();
        let after = bytes_of(&buffer);
        let end = if length == WHOLE_BUFFER { after.len() } else { (offset + length) as usize };
        let pattern = &bits.to_le_bytes()[..size as usize];
        assert!(after[offset as usize..end].chunks(pattern.len()).all(|chunk| chunk == pattern));
        assert_eq!(before[..offset as usize], after[..offset as usize]);
        assert_eq!(before[end..], after[end..]);
    }
    // Length 0 is a barrier, wherever it points.
    subject.run(|at| subject.device.queue_fill(at, &region(&buffer, 1 << 40, 0), 0, 4)).unwrap();
}

/// [hal 107] [hal-module 33]
fn fills_refuse_bad_patterns(subject: &Subject) {
    let buffer = subject.buffer(64);
    let fill = |offset, length, size| {
        subject.run(|at| subject.device.queue_fill(at, &region(&buffer, offset, length), 0, size))
    };
    for size in [0, 3, 5, 8, 16] {
        fails_with(fill(0, 64, size), Code::InvalidArgument);
    }
    for (offset, length, size) in [(1, 2, 2), (0, 3, 2), (2, 4, 4), (0, 6, 4)] {
        fails_with(fill(offset, length, size), Code::InvalidArgument);
    }
    let odd = subject.buffer(7);
    fails_with(
        subject.run(|at| subject.device.queue_fill(at, &Region::whole(&odd), 0, 2)),
        Code::InvalidArgument,
    );
    fails_with(fill(60, 8, 4), Code::OutOfRange);
}

/// [hal 107]
fn updates_of_any_length(subject: &Subject) {
    for (length, offset) in [(1, 0), (2 * 65536 + 37, 13), (1 << 20, 1)] {
        let source: Vec<u8> = (0..length).map(|index| (index % 253) as u8).collect();
        let buffer = subject.buffer(length as u64 + 64);
        subject.run(|at| subject.device.queue_update(at, &source, &buffer, offset)).unwrap();
        let bytes = bytes_of(&buffer);
        let (start, end) = (offset as usize, offset as usize + length);
        assert_eq!(bytes[start..end], source);
        assert!(bytes[..start].iter().chain(&bytes[end..]).all(|&byte| byte == 0));
    }
    fails_with(
        subject.run(|at| subject.device.queue_update(at, &[0; 9], &subject.buffer(8), 0)),
        Code::OutOfRange,
    );
}

/// [hal 107]
fn updates_capture_their_source(subject: &Subject) {
    let buffer = subject.buffer(4);
    let mut source = vec![1, 2, 3, 4];
    subject.run(|at| subject.device.queue_update(at, &source, &buffer, 0)).unwrap();
    source.fill(9);
    drop(source);
    assert_eq!(bytes_of(&buffer), [1, 2, 3, 4]);
}

/// [hal 107] [hal-module 33]
fn copies_move_ranges(subject: &Subject) {
    let content: Vec<u8> = (0..256 << 10).map(|index| (index % 241) as u8).collect();
    let source = subject.buffer_with(&content);
    let target = subject.buffer(256 << 10);
    subject
        .run(|at| subject.device.queue_copy(at, &Region::whole(&source), &Region::whole(&target)))
        .unwrap();
    assert_eq!(bytes_of(&target), content);
    // Within one buffer, touching; from a subspan; "to the end" names the source's end.
    subject
        .run(|at| subject.device.queue_copy(at, &region(&source, 0, 10), &region(&source, 10, 10)))
        .unwrap();
    assert_eq!(source.read_to_vec(8, 4).unwrap(), [8, 9, 0, 1]);
    let tail = source.subspan(256 * 1024 - 7, 7).unwrap();
    subject
        .run(|at| subject.device.queue_copy(at, &Region::whole(&tail), &region(&target, 3, WHOLE_BUFFER)))
        .unwrap();
    assert_eq!(target.read_to_vec(0, 12).unwrap()[..3], content[..3]);
    assert_eq!(target.read_to_vec(3, 7).unwrap(), content[256 * 1024 - 7..]);
    assert_eq!(target.read_to_vec(10, 2).unwrap(), content[10..12]);
    subject
        .run(|at| subject.device.queue_copy(at, &region(&source, 1 << 40, 0), &region(&source, 1 << 40, 0)))
        .unwrap();
}

/// [hal 107] [hal-module 33]
fn copies_refuse_overlap(subject: &Subject) {
    let buffer = subject.buffer(64);
    let part = buffer.subspan(16, 32).unwrap();
    let copy = |source: &Region<'_>, target: &Region<'_>| {
        subject.run(|at| subject.device.queue_copy(at, source, target))
    };
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
        fails_with(subject.run(|at| subject.device.queue_fill(at, &bad, 0, 1)), Code::PermissionDenied);
        fails_with(
            subject.run(|at| subject.device.queue_update(at, &[1], bad.buffer, 0)),
            Code::PermissionDenied,
        );
        fails_with(subject.run(|at| subject.device.queue_copy(at, &good, &bad)), Code::PermissionDenied);
    }
    for bad in [&host_only, &no_transfer] {
        let copied =
            subject.run(|at| subject.device.queue_copy(at, &Region::whole(bad), &Region::whole(&good)));
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
            timeline.wait(burst + 1, soon()).unwrap();
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
    subject.reaches(&points[4]);
    assert_eq!(bytes_of(&b), [1, 1, 1, 1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
}
