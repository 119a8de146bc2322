//! Allocators, buffers, mappings, host transfers, buffer views.

#![allow(unsafe_code, reason = "imports raw memory, which is what the cases are about")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft_hal::{
    AllocatorWrapper, Buffer, BufferCompatibility, BufferParams, BufferUsage, BufferView, ElementType,
    Encoding, ExternalKind, MappingMode, MemoryAccess, MemoryType, Shape, WHOLE_BUFFER,
};
use weft_sync::Code;

use crate::case::Caps;
use crate::subject::{Subject, bytes_of, fails_with};

crate::cases! { $ BUFFER for_each_buffer_case {
    compatibility_is_reported_and_completed: Caps::NONE;
    allocation_gives_what_was_asked: Caps::NONE;
    oversized_allocations_are_refused: Caps::NONE;
    heaps_need_room: Caps::NONE;
    zeroed_parameters_are_completed: Caps::NONE;
    import_returns_its_owner_once: Caps::NONE;
    import_needs_alignment_or_consent: Caps::NONE;
    statistics_balance_across_threads: Caps::NONE;
    statistics_name_the_side: Caps::NONE;
    freed_memory_is_used_again: Caps::REUSE;
    caching_reuses_exact_sizes: Caps::WRAPPERS;
    caching_honours_limits: Caps::WRAPPERS;
    caching_text_is_checked: Caps::WRAPPERS;
    debug_wrapper_marks_fresh_memory: Caps::WRAPPERS;
    subspans_flatten: Caps::NONE;
    subspans_keep_the_allocation: Caps::NONE;
    references_normalize: Caps::NONE;
    overflowing_ranges_are_refused: Caps::NONE;
    mapping_checks_access_and_usage: Caps::NONE;
    persistent_mapping_needs_permission: Caps::NONE;
    failed_maps_retain_nothing: Caps::NONE;
    host_transfers_touch_their_range_only: Caps::NONE;
    host_transfers_refuse_bad_ranges: Caps::NONE;
    preserve_and_discard_count_owners: Caps::NONE;
    parts_have_owners_of_their_own: Caps::NONE;
    views_compute_sizes_and_offsets: Caps::NONE;
    views_reshape: Caps::NONE;
    views_keep_any_type_number: Caps::NONE;
} }

fn usage_free_params(memory_type: MemoryType) -> BufferParams {
    BufferParams { memory_type, ..BufferParams::default() }
}

/// [hal 2]
fn compatibility_is_reported_and_completed(subject: &Subject) {
    let mut params = BufferParams {
        usage: BufferUsage::TRANSFER,
        memory_type: MemoryType::OPTIMAL_FOR_DEVICE | MemoryType::HOST_LOCAL,
        ..BufferParams::default()
    };
    let answer = subject.device.allocator().query_compatibility(&mut params, 0).unwrap();
    assert!(answer.contains(BufferCompatibility::ALLOCATABLE | BufferCompatibility::IMPORTABLE));
    assert!(answer.contains(BufferCompatibility::QUEUE_TRANSFER));
    assert!(!answer.contains(BufferCompatibility::QUEUE_DISPATCH));
    assert!(!params.memory_type.contains(MemoryType::OPTIMAL));
    assert_eq!(params.access, MemoryAccess::ALL);

    let mut transient = BufferParams::device_local();
    subject.device.allocator().query_compatibility(&mut transient, 16).unwrap();
    assert_eq!((transient.memory_type.bits(), transient.usage.bits()), (50, 0x0B00_0C03));
}

/// [hal 3] [hal-module 8]
fn allocation_gives_what_was_asked(subject: &Subject) {
    for size in [0, 1, 63, 64, 65, 4096, 5_000_000] {
        let buffer = subject.device.allocator().allocate(&BufferParams::device_local(), size).unwrap();
        assert_eq!((buffer.byte_length(), buffer.byte_offset(), buffer.allocation_size()), (size, 0, size));
        assert!(buffer.memory_type().contains(MemoryType::DEVICE_LOCAL));
        assert!(buffer.usage().contains(BufferUsage::DEFAULT));
        assert_eq!(buffer.pin().unwrap().base().addr() % 64, 0);
    }
    let odd = BufferParams { alignment_min: 48, ..BufferParams::device_local() };
    fails_with(subject.device.allocator().allocate(&odd, 16), Code::InvalidArgument);
}

/// [hal 4] [hal-module 8]
fn oversized_allocations_are_refused(subject: &Subject) {
    let allocator = subject.device.allocator();
    for size in [u64::MAX, u64::MAX - 63, 1 << 63, i64::MAX as u64, 1 << 62] {
        fails_with(allocator.allocate(&BufferParams::device_local(), size), Code::ResourceExhausted);
        let flags = weft_hal::AllocaFlags::empty();
        let params = BufferParams::device_local();
        fails_with(
            subject.run(|at| subject.device.queue_alloca(at, &params, size, flags)),
            Code::ResourceExhausted,
        );
    }
}

/// [hal 5]
fn heaps_need_room(subject: &Subject) {
    let status = subject.device.allocator().query_heaps(0).unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(status.message().contains('1'), "{status}");
    let heaps = subject.device.allocator().query_heaps(1).unwrap();
    assert_eq!(heaps[0].alignment_min, 64);
    assert!(heaps[0].memory_type.contains(MemoryType::DEVICE_LOCAL | MemoryType::HOST_VISIBLE));
}

/// [hal 6] [hal-module 8]
fn zeroed_parameters_are_completed(subject: &Subject) {
    let flags = weft_hal::AllocaFlags::empty();
    let params = BufferParams { affinity: weft_hal::QueueAffinity(0), ..BufferParams::default() };
    let buffers = [
        subject.device.allocator().allocate(&params, 16).unwrap(),
        subject.run(|at| subject.device.queue_alloca(at, &params, 16, flags)).unwrap(),
    ];
    for buffer in buffers {
        assert!(buffer.usage().contains(BufferUsage::DEFAULT));
        assert_eq!(buffer.access(), MemoryAccess::ALL);
        assert!(!buffer.memory_type().contains(MemoryType::OPTIMAL));
        buffer.fill(0, 16, &[7]).unwrap();
        subject.run(|at| subject.device.queue_fill(at, &weft_hal::Region::whole(&buffer), 1, 1)).unwrap();
    }
}

/// Counts how often it is dropped.
struct Owner(Arc<AtomicUsize>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[repr(align(64))]
struct Aligned([u8; 256]);

/// Imports static memory; the owner counts its own end.
fn import(
    subject: &Subject,
    params: &BufferParams,
    offset: usize,
    dropped: &Arc<AtomicUsize>,
) -> Result<Arc<Buffer>, weft_hal::ImportRefused> {
    static MEMORY: Aligned = Aligned([5; 256]);
    let base = std::ptr::NonNull::from(&MEMORY.0[offset..]).cast();
    let owner = Box::new(Owner(Arc::clone(dropped)));
    // SAFETY: static memory stays for ever, and all cases ask for READ only; the range ends inside it.
    unsafe { subject.device.allocator().import_host(params, base, 256 - offset, Some(owner)) }
}

/// [hal 7]
fn import_returns_its_owner_once(subject: &Subject) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let params = BufferParams { access: MemoryAccess::READ, ..BufferParams::device_local() };
    let buffer = import(subject, &params, 0, &dropped).unwrap();
    assert_eq!(bytes_of(&buffer), [5; 256]);
    fails_with(buffer.write(0, &[1]), Code::PermissionDenied);
    let part = buffer.subspan(64, 64).unwrap();
    drop(buffer);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(part);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);

    let refused = import(subject, &params, 1, &dropped).unwrap_err();
    assert_eq!(dropped.load(Ordering::Relaxed), 1, "a refused import leaves the owner to the caller");
    drop(refused);
    assert_eq!(dropped.load(Ordering::Relaxed), 2);

    // Without an owner, and the same memory twice.
    let bytes: Arc<[u8]> = vec![9; 100].into();
    let unaligned = BufferParams { access: MemoryAccess::UNALIGNED, ..params };
    for _ in 0..2 {
        // SAFETY: no kernel is given the buffer.
        let buffer =
            unsafe { subject.device.allocator().import_shared(&unaligned, Arc::clone(&bytes)) }.unwrap();
        assert_eq!(bytes_of(&buffer), [9; 100]);
    }
    assert_eq!(Arc::strong_count(&bytes), 1);
}

/// [hal 8]
fn import_needs_alignment_or_consent(subject: &Subject) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let strict = BufferParams { access: MemoryAccess::READ, ..BufferParams::device_local() };
    let refused = import(subject, &strict, 16, &dropped).unwrap_err();
    assert_eq!(refused.status.code(), Code::OutOfRange);
    let lenient = BufferParams { access: MemoryAccess::READ | MemoryAccess::UNALIGNED, ..strict };
    let buffer = import(subject, &lenient, 16, &dropped).unwrap();
    assert_eq!(bytes_of(&buffer).len(), 240);
    for kind in [ExternalKind::DeviceAllocation, ExternalKind::OpaqueFd, ExternalKind::OpaqueWin32] {
        fails_with(subject.device.allocator().import_external(kind), Code::Unavailable);
        fails_with(subject.device.allocator().export_host(&buffer, kind), Code::Unavailable);
    }
    let exported = subject.device.allocator().export_host(&buffer, ExternalKind::HostAllocation).unwrap();
    assert_eq!(exported.base(), buffer.pin().unwrap().base());
}

/// [hal 9]
fn statistics_balance_across_threads(subject: &Subject) {
    let before = subject.device.allocator().statistics();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..100 {
                    let size = 1 + thread * 1000 + round * 77;
                    let buffer = subject.buffer(size);
                    drop(buffer.subspan(0, 1).unwrap());
                }
            });
        }
    });
    let after = subject.device.allocator().statistics();
    assert_eq!(after.device.live(), before.device.live());
    assert_eq!(after.device.allocated - before.device.allocated, after.device.freed - before.device.freed);
    let total: u64 = (0..4).flat_map(|t| (0..100).map(move |r| 1 + t * 1000 + r * 77)).sum();
    assert_eq!(after.device.allocated - before.device.allocated, total);
    assert!(after.device.peak >= before.device.peak.max(1 + 3 * 1000 + 99 * 77));
}

/// [hal 9] device-local memory and the rest are counted apart.
fn statistics_name_the_side(subject: &Subject) {
    let allocator = subject.device.allocator();
    let host = allocator.allocate(&usage_free_params(MemoryType::HOST_LOCAL), 48).unwrap();
    let device = allocator.allocate(&usage_free_params(MemoryType::DEVICE_LOCAL), 112).unwrap();
    drop((host, device));
    let text = allocator.statistics().to_string();
    let expected = "  HOST_LOCAL:           48B peak /           48B allocated /           48B freed /            0B live\n\
                    DEVICE_LOCAL:          112B peak /          112B allocated /          112B freed /            0B live\n";
    assert_eq!(text, expected);
}

fn address(buffer: &Buffer) -> usize {
    buffer.pin().unwrap().base().addr()
}

fn freed_memory_is_used_again(subject: &Subject) {
    let params = BufferParams::device_local();
    let allocate = |size| subject.device.allocator().allocate(&params, size).unwrap();
    let first = allocate(8 << 20);
    let at = address(&first);
    first.fill(0, WHOLE_BUFFER, &[1]).unwrap();
    drop(first);
    let second = allocate(8 << 20);
    assert_eq!(address(&second), at);
    drop(second);
    subject.device.trim();
    assert_eq!(bytes_of(&allocate(8 << 20))[..64], [0; 64], "fresh memory is zeroed");
}

/// [hal 10]
fn caching_reuses_exact_sizes(subject: &Subject) {
    let device = subject.open(&["caching"]);
    let params = BufferParams::device_local();
    let allocate = |params: &BufferParams, size| device.allocator().allocate(params, size).unwrap();
    let (first, other) = (allocate(&params, 1000), allocate(&params, 1000));
    let at = address(&first);
    drop(first);
    assert_eq!(device.allocator().statistics().device.live(), 2000, "kept blocks stay allocated");
    let smaller = allocate(&params, 999);
    assert_ne!(address(&smaller), at, "only exact sizes are reused");
    let again = allocate(&params, 1000);
    assert_eq!(address(&again), at);
    // The last one freed comes first.
    let other_at = address(&other);
    drop(again);
    drop(other);
    assert_eq!(address(&allocate(&params, 1000)), other_at);
    // Exported buffers pass by.
    let live = device.allocator().statistics().device.live();
    let exported = BufferParams { usage: BufferUsage::DEFAULT | BufferUsage::SHARING_EXPORT, ..params };
    drop(allocate(&exported, 1000));
    assert_eq!(device.allocator().statistics().device.live(), live);
    drop(smaller);
    device.trim();
    assert_eq!(device.allocator().statistics().device.live(), 0);
}

/// [hal 10]
fn caching_honours_limits(subject: &Subject) {
    let device = subject.open(&["caching:*=4096;8192;3"]);
    let params = BufferParams::device_local();
    let live_after = |sizes: &[u64]| {
        let buffers: Vec<_> =
            sizes.iter().map(|&size| device.allocator().allocate(&params, size).unwrap()).collect();
        drop(buffers);
        let live = device.allocator().statistics().device.live();
        device.trim();
        live
    };
    assert_eq!(live_after(&[5000]), 0, "above the size limit");
    assert_eq!(live_after(&[4096, 4096, 4096]), 8192, "above the capacity");
    assert_eq!(live_after(&[10, 10, 10, 10]), 30, "above the count");
    // A pool for a heap by name.
    let device = subject.open(&["caching:DEVICE_LOCAL;TRANSFER=*;*;1"]);
    drop(device.allocator().allocate(&params, 100).unwrap());
    assert_eq!(device.allocator().statistics().device.live(), 0, "the usage does not cover dispatch");
}

/// [hal 10]
fn caching_text_is_checked(_subject: &Subject) {
    for text in
        ["caching", "caching:", "caching:*=1;2;3", "caching:*=1mib;*;*,DEVICE_LOCAL=*;2gib;7", "debug"]
    {
        let wrapper = AllocatorWrapper::parse(text).unwrap();
        wrapper.apply(Arc::new(weft_cpu::HostMemory::new())).unwrap();
    }
    for text in
        ["", "foo", "caching:*", "caching:*=1;2", "caching:*=1;2;3;4", "caching:*=a;b;c", "caching:NO=1;2;3"]
    {
        fails_with(AllocatorWrapper::parse(text), Code::InvalidArgument);
    }
    let many = format!("caching:{}", vec!["*=1;2;3"; 17].join(","));
    fails_with(AllocatorWrapper::parse(&many), Code::OutOfRange);
    let absent = AllocatorWrapper::parse("caching:0x1000=1;2;3").unwrap();
    fails_with(absent.apply(Arc::new(weft_cpu::HostMemory::new())).map(drop), Code::InvalidArgument);
}

/// [hal 11]
fn debug_wrapper_marks_fresh_memory(subject: &Subject) {
    let device = subject.open(&["debug", "caching"]);
    let params = BufferParams::device_local();
    let buffer = device.allocator().allocate(&params, 100).unwrap();
    assert_eq!(bytes_of(&buffer), [0xCD; 100]);
    let transient =
        subject.run(|at| device.queue_alloca(at, &params, 50, weft_hal::AllocaFlags::empty())).unwrap();
    assert_eq!(bytes_of(&transient), [0xCD; 50]);
}

/// [hal 12] [hal-module 12]
fn subspans_flatten(subject: &Subject) {
    let buffer = subject.buffer(1024);
    let outer = buffer.subspan(128, 512).unwrap();
    let inner = outer.subspan(32, WHOLE_BUFFER).unwrap();
    assert_eq!((inner.byte_offset(), inner.byte_length()), (160, 480));
    assert!(std::ptr::eq(inner.allocated_buffer(), &*buffer));
    assert!(Arc::ptr_eq(&buffer.subspan(0, 1024).unwrap(), &buffer));
    assert!(Arc::ptr_eq(&outer.subspan(0, WHOLE_BUFFER).unwrap(), &outer));
    assert_eq!(buffer.subspan(1024, 0).unwrap().byte_length(), 0);
    assert_eq!(outer.subspan(512, WHOLE_BUFFER).unwrap().byte_length(), 0);
    for (offset, length) in [(1025, 0), (0, 1025), (1000, 25), (1025, WHOLE_BUFFER)] {
        fails_with(buffer.subspan(offset, length), Code::OutOfRange);
    }
    fails_with(outer.subspan(500, 13), Code::OutOfRange);
}

/// [hal-module 12]
fn subspans_keep_the_allocation(subject: &Subject) {
    let part = subject.buffer(4096).subspan(64, 64).unwrap();
    assert_eq!(subject.device.allocator().statistics().device.live(), 4096);
    part.write(0, &[3; 64]).unwrap();
    assert_eq!(bytes_of(&part), [3; 64]);
    drop(part);
    assert_eq!(subject.device.allocator().statistics().device.live(), 0);
}

/// [hal 13]
fn references_normalize(subject: &Subject) {
    let buffer = subject.buffer(1024);
    let part = buffer.subspan(128, 512).unwrap();
    let range = part.normalize(32, WHOLE_BUFFER).unwrap();
    assert!(std::ptr::eq(range.buffer, &*buffer));
    assert_eq!((range.offset, range.length), (160, 480));
    let range = weft_hal::BindingEntry { buffer: Some(&part), offset: 32, length: 8 }.check(0).unwrap();
    assert_eq!((range.offset, range.length), (160, 8));
    match weft_hal::Operand::slot(3, 7, WHOLE_BUFFER).place().unwrap() {
        weft_hal::Place::Slot { slot, offset, length } => {
            assert_eq!((slot, offset, length), (3, 7, WHOLE_BUFFER))
        }
        weft_hal::Place::Direct(range) => panic!("a slot became {range:?}"),
    }
}

/// [hal 14]
fn overflowing_ranges_are_refused(subject: &Subject) {
    let device = &subject.device;
    let buffer = subject.buffer(64);
    let region = |offset, length| weft_hal::Region { buffer: &buffer, offset, length };
    let far = u64::MAX - 3;
    fails_with(buffer.subspan(far, 8), Code::OutOfRange);
    fails_with(buffer.normalize(8, far), Code::OutOfRange);
    fails_with(buffer.read(far, &mut [0; 8]), Code::OutOfRange);
    fails_with(buffer.write(far, &[0; 8]), Code::OutOfRange);
    fails_with(buffer.fill(far - 4, 8, &[0]), Code::OutOfRange);
    fails_with(buffer.map(MappingMode::Scoped, MemoryAccess::READ, far, 8), Code::OutOfRange);
    fails_with(buffer.copy_from(far, &buffer, 0, 8), Code::OutOfRange);
    fails_with(subject.run(|at| device.queue_fill(at, &region(far, 8), 0, 1)), Code::OutOfRange);
    fails_with(subject.run(|at| device.queue_update(at, &[0; 8], &buffer, far)), Code::OutOfRange);
    fails_with(subject.run(|at| device.queue_copy(at, &region(far, 8), &region(0, 8))), Code::OutOfRange);
    fails_with(subject.run(|at| device.queue_copy(at, &region(0, 8), &region(far, 8))), Code::OutOfRange);
    let commands = subject.commands(weft_hal::CommandBufferMode::empty(), 1);
    let direct = weft_hal::Operand::direct(&buffer, far, 8);
    let slot = weft_hal::Operand::slot(0, far, 8);
    fails_with(commands.fill(&direct, 0, 1), Code::OutOfRange);
    fails_with(commands.fill(&slot, 0, 1), Code::OutOfRange);
    fails_with(commands.update(&[0; 8], &direct), Code::OutOfRange);
    fails_with(commands.copy(&slot, &direct), Code::OutOfRange);
}

/// [hal 15]
fn mapping_checks_access_and_usage(subject: &Subject) {
    let buffer = subject.buffer(256);
    let map =
        |buffer: &Buffer, access, offset, length| buffer.map(MappingMode::Scoped, access, offset, length);
    let mapping = map(&buffer, MemoryAccess::READ, 16, 32).unwrap();
    assert_eq!((mapping.length(), mapping.base().addr()), (32, address(&buffer) + 16));
    assert_eq!(map(&buffer, MemoryAccess::DISCARD_WRITE, 200, WHOLE_BUFFER).unwrap().length(), 56);
    let (part, length) = mapping.subspan(8, WHOLE_BUFFER).unwrap();
    assert_eq!((part.addr(), length), (address(&buffer) + 24, 24));
    fails_with(mapping.subspan(8, 25), Code::OutOfRange);
    fails_with(map(&buffer, MemoryAccess::empty(), 0, 1), Code::InvalidArgument);
    fails_with(map(&buffer, MemoryAccess::DISCARD, 0, 1), Code::InvalidArgument);
    fails_with(map(&buffer, MemoryAccess::READ, 256, 1), Code::OutOfRange);

    let read_only = BufferParams { access: MemoryAccess::READ, ..BufferParams::device_local() };
    let read_only = subject.device.allocator().allocate(&read_only, 64).unwrap();
    fails_with(map(&read_only, MemoryAccess::WRITE, 0, 1), Code::PermissionDenied);
    let any = map(&read_only, MemoryAccess::ANY, 0, WHOLE_BUFFER).unwrap();
    assert!(!any.access().contains(MemoryAccess::WRITE));
    fails_with(read_only.fill(0, 1, &[0]), Code::PermissionDenied);
}

/// [hal 16]
fn persistent_mapping_needs_permission(subject: &Subject) {
    let buffer = subject.buffer(64);
    let mapping = buffer.map(MappingMode::Persistent, MemoryAccess::READ, 0, WHOLE_BUFFER).unwrap();
    assert_eq!(mapping.length(), 64);
    let metadata = weft_hal::BufferMetadata { usage: BufferUsage::DEFAULT, ..*buffer.metadata() };
    let block = || weft_hal::HostBlock::from_heap(64, 64).unwrap();
    let unmappable = Buffer::resident(metadata, 64, block());
    let map = |buffer: &Buffer, mode| buffer.map(mode, MemoryAccess::READ, 0, 1);
    fails_with(map(&unmappable, MappingMode::Persistent), Code::PermissionDenied);
    fails_with(map(&unmappable, MappingMode::Scoped), Code::PermissionDenied);
    let metadata = weft_hal::BufferMetadata { memory_type: MemoryType::DEVICE_LOCAL, ..*buffer.metadata() };
    let invisible = Buffer::resident(metadata, 64, block());
    fails_with(map(&invisible, MappingMode::Persistent), Code::PermissionDenied);
}

/// [hal 17]
fn failed_maps_retain_nothing(subject: &Subject) {
    let buffer = subject.buffer(64);
    for (access, offset) in
        [(MemoryAccess::empty(), 0), (MemoryAccess::READ, 65), (MemoryAccess::MAY_ALIAS, 0)]
    {
        assert!(buffer.map(MappingMode::Scoped, access, offset, 0).is_err());
    }
    assert_eq!(Arc::strong_count(&buffer), 1);
    let mapping = buffer.map(MappingMode::Scoped, MemoryAccess::READ, 0, 64).unwrap();
    assert_eq!(Arc::strong_count(&buffer), 2);
    mapping.invalidate(0, WHOLE_BUFFER).unwrap();
    fails_with(mapping.flush(0, 1), Code::PermissionDenied);
    fails_with(mapping.invalidate(60, 5), Code::OutOfRange);
    drop(mapping);
    let mapping = buffer.map(MappingMode::Scoped, MemoryAccess::WRITE, 0, 64).unwrap();
    mapping.flush(0, 64).unwrap();
    fails_with(mapping.invalidate(0, 1), Code::PermissionDenied);
    drop(mapping);
    assert_eq!(Arc::strong_count(&buffer), 1);
}

/// [hal 18]
fn host_transfers_touch_their_range_only(subject: &Subject) {
    let buffer = subject.buffer(32);
    for (pattern, expected) in [(&[1_u8][..], [1; 4]), (&[1, 2], [1, 2, 1, 2]), (&[1, 2, 3, 4], [1, 2, 3, 4])]
    {
        buffer.fill(0, WHOLE_BUFFER, &[9]).unwrap();
        buffer.fill(8, 16, pattern).unwrap();
        let bytes = bytes_of(&buffer);
        assert_eq!((bytes[..8].to_vec(), bytes[24..].to_vec()), (vec![9; 8], vec![9; 8]));
        assert!(bytes[8..24].chunks(4).all(|chunk| chunk == expected));
    }
    let part = buffer.subspan(8, 16).unwrap();
    part.zero(4, 4).unwrap();
    part.write(8, &[7, 8]).unwrap();
    assert_eq!(buffer.read_to_vec(10, 9).unwrap(), [3, 4, 0, 0, 0, 0, 7, 8, 3]);
    let target = subject.buffer(32);
    target.copy_from(1, &part, 8, 2).unwrap();
    target.copy_from(30, &part, 8, WHOLE_BUFFER).unwrap_err();
    assert_eq!(target.read_to_vec(0, 4).unwrap(), [0, 7, 8, 0]);
    // Nothing is nothing, even at the end.
    buffer.fill(32, 0, &[1]).unwrap();
    buffer.write(32, &[]).unwrap();
    buffer.read(32, &mut []).unwrap();
    target.copy_from(0, &buffer, 32, 0).unwrap();
}

/// [hal 19]
fn host_transfers_refuse_bad_ranges(subject: &Subject) {
    let buffer = subject.buffer(32);
    for pattern in [&[][..], &[1, 2, 3], &[1; 5], &[1; 8]] {
        fails_with(buffer.fill(0, 8, pattern), Code::InvalidArgument);
    }
    for (offset, length) in [(1, 4), (2, 4), (0, 6)] {
        fails_with(buffer.fill(offset, length, &[1, 2, 3, 4]), Code::InvalidArgument);
    }
    fails_with(buffer.copy_from(4, &buffer, 0, 8), Code::InvalidArgument);
    fails_with(buffer.copy_from(0, &buffer, 4, 8), Code::InvalidArgument);
    fails_with(buffer.copy_from(0, &buffer, 0, 8), Code::InvalidArgument);
    let part = buffer.subspan(4, 8).unwrap();
    fails_with(part.copy_from(0, &buffer, 0, 8), Code::InvalidArgument);
    buffer.copy_from(8, &buffer, 0, 8).unwrap();
}

/// [hal 20] [hal-module 14]
fn preserve_and_discard_count_owners(subject: &Subject) {
    let buffer = subject.buffer(64);
    let part = buffer.subspan(0, 8).unwrap();
    assert!(buffer.is_terminal() && part.is_terminal());
    part.preserve();
    assert!(!buffer.is_terminal());
    assert!(!buffer.discard());
    for _ in 0..63 {
        buffer.preserve();
    }
    let last = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..16 {
                    last.fetch_add(usize::from(buffer.discard()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(last.load(Ordering::Relaxed), 1);
    assert!(!buffer.is_terminal());
    assert!(!buffer.discard(), "below zero nobody is the last one");
}

/// [hal 20] As if each were an allocation: also where it is a subspan, and whatever the rest of the buffer has.
fn parts_have_owners_of_their_own(subject: &Subject) {
    let buffer = subject.buffer(64);
    let (one, other) = (buffer.part(0, 16).unwrap(), buffer.part(16, WHOLE_BUFFER).unwrap());
    assert_eq!((other.byte_offset(), other.byte_length()), (16, 48));
    fails_with(buffer.part(60, 5), Code::OutOfRange);
    let within = other.subspan(8, 16).unwrap().subspan(4, 4).unwrap();
    assert_eq!((within.byte_offset(), within.byte_length()), (28, 4));
    within.preserve();
    assert!(one.is_terminal() && buffer.is_terminal() && !other.is_terminal() && !within.is_terminal());
    assert!(one.discard() && !other.discard() && other.is_terminal() && within.discard());
    assert!(
        !one.is_terminal()
            && !other.is_terminal()
            && buffer.is_terminal()
            && buffer.subspan(0, 8).unwrap().is_terminal()
    );
    assert!(one.same_allocation(&other) && within.same_allocation(&buffer));
    buffer.write(28, &[1, 2, 3, 4]).unwrap();
    drop((buffer, one, other));
    assert_eq!(bytes_of(&within), [1, 2, 3, 4], "it keeps the memory");
}

fn view(
    buffer: &Arc<Buffer>,
    shape: &[u64],
    element_type: ElementType,
) -> weft_sync::Result<Arc<BufferView>> {
    BufferView::new(Arc::clone(buffer), Shape::new(shape)?, element_type, Encoding::DENSE_ROW_MAJOR)
}

/// [hal 62] [hal-module 15, 17]
fn views_compute_sizes_and_offsets(subject: &Subject) {
    let buffer = subject.buffer(96);
    assert_eq!(view(&buffer, &[7], ElementType::I4).unwrap().byte_length(), 4);
    assert_eq!(view(&buffer, &[], ElementType::F64).unwrap().byte_length(), 8);
    assert_eq!(view(&buffer, &[0, 5], ElementType::F32).unwrap().byte_length(), 0);
    fails_with(view(&buffer, &[25], ElementType::F32), Code::OutOfRange);
    fails_with(view(&buffer, &[u64::MAX, 2], ElementType::I8), Code::OutOfRange);
    fails_with(view(&buffer, &[u64::MAX / 2], ElementType::F64), Code::OutOfRange);
    assert!(view(&buffer, &[1; 128], ElementType::F32).is_ok());
    assert!(view(&buffer, &[1; 129], ElementType::F32).is_err());

    let cube = view(&buffer, &[2, 3, 4], ElementType::F32).unwrap();
    assert_eq!(cube.byte_offset(&[1, 2, 3]).unwrap(), 92);
    assert_eq!(cube.byte_range(&[1, 0, 0], &[1, 3, 4]).unwrap(), (48, 48));
    assert_eq!(cube.byte_range(&[0, 1, 0], &[1, 1, 4]).unwrap(), (16, 16));
    assert_eq!(cube.byte_range(&[0, 1, 0], &[1, 0, 4]).unwrap().1, 0);
    fails_with(cube.byte_offset(&[1, 2]), Code::InvalidArgument);
    fails_with(cube.byte_offset(&[1, 3, 0]), Code::OutOfRange);
    fails_with(cube.byte_range(&[0, 0, 0], &[2, 1, 4]), Code::Unimplemented);
    fails_with(cube.byte_range(&[0, 0, 2], &[1, 1, 3]), Code::OutOfRange);
    fails_with(cube.byte_range(&[0, 0], &[1, 1]), Code::InvalidArgument);
    let packed = view(&buffer, &[8], ElementType::I4).unwrap();
    fails_with(packed.byte_offset(&[1]), Code::InvalidArgument);

    let range =
        BufferView::of_range(&buffer, 32, 16, Shape::new(&[4]).unwrap(), ElementType::F32, Encoding::OPAQUE);
    let range = range.unwrap();
    assert_eq!((range.buffer().byte_offset(), range.buffer().byte_length()), (32, 16));
    assert_eq!((range.shape().rank(), range.shape().dim(0), range.shape().dim(1)), (1, Some(4), None));
    fails_with(range.byte_offset(&[1]), Code::Unimplemented);
}

/// [hal 63]
fn views_reshape(subject: &Subject) {
    // The pool rounds 24 bytes up; the view hands out exactly what is in it.
    let buffer = subject.buffer(24);
    let flat = view(&buffer, &[2, 3], ElementType::F32).unwrap();
    assert_eq!(flat.read_to_vec().unwrap().len(), 24);
    let turned = flat.reshaped(Shape::new(&[3, 2]).unwrap()).unwrap();
    assert_eq!(turned.shape().dims(), [3, 2]);
    for wrong in [&[6][..], &[2, 4], &[2, 3, 1]] {
        fails_with(flat.reshaped(Shape::new(wrong).unwrap()), Code::InvalidArgument);
    }
}

/// [hal-module 15]
fn views_keep_any_type_number(subject: &Subject) {
    let buffer = subject.buffer(64);
    let (odd_type, odd_encoding) = (ElementType::from_raw(0x7700_0008), Encoding::from_raw(0xABCD));
    let view = BufferView::new(buffer, Shape::new(&[3]).unwrap(), odd_type, odd_encoding).unwrap();
    assert_eq!((view.element_type(), view.encoding(), view.byte_length()), (odd_type, odd_encoding, 3));
}
