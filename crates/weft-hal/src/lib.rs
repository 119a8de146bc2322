//! The device contract: buffers, commands, queues, executables, and the validation in front of every device.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.

mod allocator;
mod backing;
mod buffer;
mod buffer_view;
mod command;
mod device;
mod driver;
mod element;
mod event;
mod executable;
mod fence;
mod file;
mod host_block;
mod mapping;
mod mask_text;
mod memory;
mod minifloat;
mod null;
mod number_format;
mod queue;
mod shape;
pub mod text;
pub mod validate;

pub use allocator::{
    Allocator, AllocatorBackend, AllocatorWrapper, CachingLimits, ImportRefused, MemoryHeap, Side,
    SideStatistics, Statistics, StatisticsCounters,
};
pub use buffer::{Buffer, BufferMetadata, BufferRange, DeviceId, Overlap, Pinned, Placement};
pub use buffer_view::BufferView;
pub use command::{
    AccessScope, BINDINGS_MAX, BindingEntry, CollectiveElement, CollectiveKind, CollectiveReduction,
    CommandBuffer, CommandBufferMode, CommandBufferParams, CommandCategory, CommandRecorder, Dispatch,
    DispatchFlags, ExecutionStage, Operand, OwnedPlace, Place, Recording, Region, WorkgroupCount,
};
pub use device::{Device, DeviceBackend, matches_pattern};
pub use driver::{DEFAULT_DEVICE_ID, DeviceFactory, DeviceInfo, Driver, DriverRegistry};
pub use element::{ElementClass, ElementType, Encoding};
pub use event::{Channel, Event};
pub use executable::{
    BindingInfo, CachingMode, Executable, ExecutableBackend, ExecutableParams, FunctionFlags, FunctionId,
    FunctionInfo, FunctionParameter, ParameterKind,
};
pub use fence::{FENCE_POINTS_MAX, Fence, FenceBuilder, all_reached, fail_all, query_code, signal_all};
pub use file::{File, PositionalFile, io_status};
pub use host_block::{BlockHome, BlockKeeper, HostBlock, RawBlock};
pub use mapping::{Mapping, fill_bytes};
pub use memory::{
    BufferCompatibility, BufferParams, BufferUsage, ExternalKind, HOST_ALIGNMENT, MappingMode, MemoryAccess,
    MemoryType, PlacementFlags, QUEUES_MAX, QueueAffinity, UPDATE_BYTES_MAX, WHOLE_BUFFER,
};
pub use minifloat::MiniFloat;
pub use null::{NULL, open_null_device};
pub use number_format::{NumberFormat, Signedness};
pub use queue::{
    Alloca, AllocaFlags, DeallocaFlags, ExecuteFlags, HostCall, HostCallContext, HostCallEnd, HostCallFlags,
    Submission,
};
pub use shape::Shape;
pub use validate::Pattern;
