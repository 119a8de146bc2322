//! Numbers that programs pass and file formats contain: each constant has the value of the specification.

use weft_hal::{
    AccessScope, AllocaFlags, BufferCompatibility, BufferParams, BufferUsage, CachingMode, CollectiveElement,
    CollectiveKind, CollectiveReduction, CommandBufferMode, CommandCategory, DeallocaFlags, DispatchFlags,
    ExecuteFlags, ExecutionStage, ExternalKind, FunctionFlags, FunctionId, HOST_ALIGNMENT, HostCallFlags,
    MappingMode, MemoryAccess, MemoryType, ParameterKind, PlacementFlags, QueueAffinity, UPDATE_BYTES_MAX,
    WHOLE_BUFFER, matches_pattern,
};
use weft_sync::Code;

/// [hal 1]
#[test]
fn masks_have_their_numbers() {
    let memory = [
        (MemoryType::OPTIMAL, 1),
        (MemoryType::HOST_VISIBLE, 2),
        (MemoryType::HOST_COHERENT, 4),
        (MemoryType::HOST_CACHED, 8),
        (MemoryType::HOST_LOCAL, 70),
        (MemoryType::DEVICE_VISIBLE, 16),
        (MemoryType::DEVICE_LOCAL, 48),
        (MemoryType::OPTIMAL_FOR_HOST, 71),
        (MemoryType::OPTIMAL_FOR_DEVICE, 49),
    ];
    assert!(memory.iter().all(|(mask, bits)| mask.bits() == *bits));
    let access = [
        (MemoryAccess::READ, 1),
        (MemoryAccess::WRITE, 2),
        (MemoryAccess::DISCARD, 4),
        (MemoryAccess::DISCARD_WRITE, 6),
        (MemoryAccess::MAY_ALIAS, 8),
        (MemoryAccess::UNALIGNED, 16),
        (MemoryAccess::ANY, 32),
        (MemoryAccess::ALL, 7),
    ];
    assert!(access.iter().all(|(mask, bits)| mask.bits() == *bits));
    let usage = [
        (BufferUsage::TRANSFER_SOURCE, 1),
        (BufferUsage::TRANSFER_TARGET, 2),
        (BufferUsage::TRANSFER, 3),
        (BufferUsage::DISPATCH_INDIRECT_PARAMETERS, 1 << 8),
        (BufferUsage::DISPATCH_UNIFORM_READ, 1 << 9),
        (BufferUsage::DISPATCH_STORAGE_READ, 1 << 10),
        (BufferUsage::DISPATCH_STORAGE_WRITE, 1 << 11),
        (BufferUsage::DISPATCH_STORAGE, 0xC00),
        (BufferUsage::DISPATCH_IMAGE_READ, 1 << 12),
        (BufferUsage::DISPATCH_IMAGE_WRITE, 1 << 13),
        (BufferUsage::DISPATCH_IMAGE, 0x3000),
        (BufferUsage::DISPATCH, 0x3F00),
        (BufferUsage::SHARING_EXPORT, 1 << 16),
        (BufferUsage::SHARING_REPLICATE, 1 << 17),
        (BufferUsage::SHARING_CONCURRENT, 1 << 18),
        (BufferUsage::SHARING_IMMUTABLE, 1 << 19),
        (BufferUsage::MAPPING_SCOPED, 1 << 24),
        (BufferUsage::MAPPING_PERSISTENT, 1 << 25),
        (BufferUsage::MAPPING_OPTIONAL, 1 << 26),
        (BufferUsage::MAPPING_ACCESS_RANDOM, 1 << 27),
        (BufferUsage::MAPPING_ACCESS_SEQUENTIAL_WRITE, 1 << 28),
        (BufferUsage::MAPPING, 0x0900_0000),
        (BufferUsage::DEFAULT, 0xC03),
    ];
    assert!(usage.iter().all(|(mask, bits)| mask.bits() == *bits));
    let compatibility = [
        (BufferCompatibility::ALLOCATABLE, 1),
        (BufferCompatibility::IMPORTABLE, 2),
        (BufferCompatibility::EXPORTABLE, 4),
        (BufferCompatibility::QUEUE_TRANSFER, 1 << 10),
        (BufferCompatibility::QUEUE_DISPATCH, 1 << 11),
        (BufferCompatibility::LOW_PERFORMANCE, 1 << 20),
    ];
    assert!(compatibility.iter().all(|(mask, bits)| mask.bits() == *bits));
    assert_eq!((PlacementFlags::ASYNCHRONOUS.bits(), PlacementFlags::INDETERMINATE_LIFETIME.bits()), (1, 2));
}

/// [hal 1]
#[test]
fn command_flags_have_their_numbers() {
    let modes = [
        (CommandBufferMode::ONE_SHOT, 1),
        (CommandBufferMode::ALLOW_INLINE_EXECUTION, 16),
        (CommandBufferMode::UNVALIDATED, 32),
        (CommandBufferMode::UNRETAINED, 64),
        (CommandBufferMode::RETAIN_PROFILE_METADATA, 128),
        (CommandBufferMode::RETAIN_DISPATCH_METADATA, 256),
    ];
    assert!(modes.iter().all(|(mask, bits)| mask.bits() == *bits));
    let stages = [
        (ExecutionStage::COMMAND_ISSUE, 1),
        (ExecutionStage::COMMAND_PROCESS, 2),
        (ExecutionStage::DISPATCH, 4),
        (ExecutionStage::TRANSFER, 8),
        (ExecutionStage::COMMAND_RETIRE, 16),
        (ExecutionStage::HOST, 32),
    ];
    assert!(stages.iter().all(|(mask, bits)| mask.bits() == *bits));
    let scopes = [
        AccessScope::INDIRECT_COMMAND_READ,
        AccessScope::CONSTANT_READ,
        AccessScope::DISPATCH_READ,
        AccessScope::DISPATCH_WRITE,
        AccessScope::TRANSFER_READ,
        AccessScope::TRANSFER_WRITE,
        AccessScope::HOST_READ,
        AccessScope::HOST_WRITE,
        AccessScope::MEMORY_READ,
        AccessScope::MEMORY_WRITE,
    ];
    assert!(scopes.iter().enumerate().all(|(bit, mask)| mask.bits() == 1 << bit));
    let dispatch = [
        DispatchFlags::DYNAMIC_INDIRECT_PARAMETERS,
        DispatchFlags::STATIC_INDIRECT_PARAMETERS,
        DispatchFlags::CUSTOM_DIRECT_ARGUMENTS,
        DispatchFlags::DYNAMIC_INDIRECT_ARGUMENTS,
        DispatchFlags::STATIC_INDIRECT_ARGUMENTS,
        DispatchFlags::ALLOW_INLINE_EXECUTION,
        DispatchFlags::BORROW_RESOURCE_LIFETIMES,
    ];
    assert!(dispatch.iter().enumerate().all(|(bit, mask)| mask.bits() == 1 << bit));
    assert_eq!(
        [CommandCategory::TRANSFER, CommandCategory::DISPATCH, CommandCategory::ANY].map(|c| c.bits()),
        [1, 2, 3]
    );
    let alloca = [AllocaFlags::INDETERMINATE_LIFETIME, AllocaFlags::ALLOW_POOL_WAIT_FRONTIER];
    assert_eq!(alloca.map(|flag| flag.bits()), [1, 2]);
    assert_eq!(DeallocaFlags::PREFER_ORIGIN.bits(), 1);
    let host = [HostCallFlags::NON_BLOCKING, HostCallFlags::WAIT_ACTIVE, HostCallFlags::RELAXED];
    assert_eq!(host.map(|flag| flag.bits()), [1, 2, 4]);
    assert_eq!(ExecuteFlags::BORROW_BINDING_TABLE_LIFETIME.bits(), 1);
}

/// [hal 1]
#[test]
fn enumerations_have_their_numbers() {
    let caching = [
        CachingMode::ALIAS_PROVIDED_DATA,
        CachingMode::ALLOW_PERSISTENT_CACHING,
        CachingMode::ALLOW_OPTIMIZATION,
        CachingMode::ENABLE_DEBUGGING,
        CachingMode::ENABLE_COVERAGE,
        CachingMode::ENABLE_PROFILING,
        CachingMode::DISABLE_VERIFICATION,
    ];
    assert!(caching.iter().enumerate().all(|(bit, mask)| mask.bits() == 1 << bit));
    assert_eq!(
        [FunctionFlags::SEQUENTIAL, FunctionFlags::WORKGROUP_SIZE_DYNAMIC].map(|flag| flag.bits()),
        [1, 2]
    );
    assert_eq!((MappingMode::Scoped as u8, MappingMode::Persistent as u8), (1, 2));
    let external = [
        ExternalKind::None,
        ExternalKind::HostAllocation,
        ExternalKind::DeviceAllocation,
        ExternalKind::OpaqueFd,
        ExternalKind::OpaqueWin32,
    ];
    assert_eq!(external.map(|kind| kind as u8), [0, 1, 2, 3, 4]);
    let parameters = [ParameterKind::Constant, ParameterKind::Binding, ParameterKind::BufferPointer];
    assert_eq!(parameters.map(|kind| kind as u8), [0, 1, 2]);
    assert_eq!((CollectiveKind::AllGather as u8, CollectiveKind::SendReceive as u8), (0, 8));
    assert_eq!((CollectiveReduction::None as u8, CollectiveReduction::Average as u8), (0, 5));
    assert_eq!((CollectiveElement::S8 as u8, CollectiveElement::Bf16 as u8), (0, 11));
    assert_eq!((WHOLE_BUFFER, FunctionId::INVALID.0, QueueAffinity::ANY.0), (u64::MAX, u64::MAX, u64::MAX));
    assert_eq!((UPDATE_BYTES_MAX, HOST_ALIGNMENT), (64 << 10, 64));
}

/// [hal 1]
#[test]
fn mask_text_round_trips() {
    for bits in [0, 1, 3, 0xC03, 0x3F00, 0x0B00_0C03, 0x0900_0000, 1 << 5, u32::MAX, 0x8000_0001] {
        let mask = BufferUsage::from_bits_retain(bits);
        assert_eq!(mask.to_string().parse::<BufferUsage>().unwrap(), mask, "{mask}");
    }
    for bits in 0..=255 {
        let mask = MemoryType::from_bits_retain(bits);
        assert_eq!(mask.to_string().parse::<MemoryType>().unwrap(), mask, "{mask}");
    }
    let text = |bits| BufferUsage::from_bits_retain(bits).to_string();
    assert_eq!(text(0), "NONE");
    assert_eq!(text(0xC03), "DEFAULT");
    assert_eq!(text(0xC01), "DISPATCH_STORAGE|TRANSFER_SOURCE");
    assert_eq!(text(0x8000_0001), "TRANSFER_SOURCE|0x80000000");
    assert_eq!(MemoryType::from_bits_retain(50).to_string(), "DEVICE_LOCAL|HOST_VISIBLE");
    assert_eq!("".parse::<MemoryAccess>().unwrap(), MemoryAccess::empty());
    assert_eq!(" READ | WRITE ".parse::<MemoryAccess>().unwrap().bits(), 3);
    for wrong in ["READS", "READ|", "|", "0x", "0xZ", "0x10000", "read"] {
        assert_eq!(wrong.parse::<MemoryAccess>().unwrap_err().code(), Code::InvalidArgument, "{wrong}");
    }
}

/// [hal 6]
#[test]
fn zeroed_parameters_mean_defaults() {
    let zeroed = BufferParams { affinity: QueueAffinity(0), ..BufferParams::default() };
    let completed = zeroed.completed();
    assert_eq!(completed.usage, BufferUsage::DEFAULT);
    assert_eq!(completed.access, MemoryAccess::ALL);
    assert_eq!(completed.memory_type, MemoryType::OPTIMAL);
    assert_eq!(completed.affinity, QueueAffinity::ANY);
}

/// [hal 124]
#[test]
fn affinities_pick_the_lowest_queue_that_exists() {
    assert_eq!(QueueAffinity::ANY.select(4).unwrap(), 0);
    assert_eq!(QueueAffinity(0).select(4).unwrap(), 0);
    assert_eq!(QueueAffinity(0b1100).select(4).unwrap(), 2);
    assert_eq!(QueueAffinity(1 << 63).select(64).unwrap(), 63);
    assert_eq!(QueueAffinity(0b1_0000).select(4).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(QueueAffinity(0b1_0000).folded(4), QueueAffinity(1));
    assert_eq!(QueueAffinity(0b11_0010).folded(4), QueueAffinity(0b10));
}

/// [hal 134] [hal-module 45]
#[test]
fn patterns_match_identifiers() {
    for pattern in
        ["local-sync", "local*", "*", "local-syn?", "*sync", "l*-*c", "**", "loc*al-sync", "?????-????"]
    {
        assert!(matches_pattern(pattern, "local-sync"), "{pattern}");
    }
    for pattern in ["", "local", "cuda*", "local-sync?", "?", "*task", "l*x*c"] {
        assert!(!matches_pattern(pattern, "local-sync"), "{pattern}");
    }
    assert!(matches_pattern("", "") && matches_pattern("*", "") && !matches_pattern("?", ""));
}
