//! The device contract: buffers, commands, queues, executables, and the validation in front of every device.
//!
//! Internal to weft: no promises between versions. Start at the `weft` crate.
//!
//! ```
//! use weft_hal::{AllocaFlags, BufferParams, Fence, Region, Submission, open_null_device};
//! use weft_sync::Deadline;
//!
//! let device = open_null_device(); // `weft_cpu::open_sync_device` makes one that works
//! let (allocated, filled) = (Fence::create(), Fence::create());
//! let first = Submission::between(None, Some(&allocated));
//! let buffer = device.queue_alloca(&first, &BufferParams::device_local(), 64, AllocaFlags::empty())?;
//! let second = Submission::between(Some(&allocated), Some(&filled));
//! device.queue_fill(&second, &Region::whole(&buffer), 0xAB, 1)?;
//! filled.wait(Deadline::NEVER)?;
//! assert_eq!(device.allocator().statistics().device.live(), 64);
//! # weft_sync::Result::Ok(())
//! ```

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
pub mod group;
mod host_block;
mod mapping;
mod mask_text;
mod memory;
mod minifloat;
mod null;
mod number_format;
pub mod pool;
pub mod profile;
mod queue;
mod shape;
pub mod text;
pub mod validate;

pub use allocator::{
    Allocator, AllocatorBackend, AllocatorWrapper, CachingLimits, ImportRefused, MemoryHeap, Side,
    SideStatistics, Statistics, StatisticsCounters,
};
pub use buffer::{Buffer, BufferMetadata, BufferRange, DeviceId, Overlap, Pinned, PinnedBuffer, Placement};
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
pub use fence::{
    FENCE_POINTS_MAX, Fence, FenceBuilder, all_reached, each_point, fail_all, query_code, signal_all,
};
#[doc(hidden)]
pub use file::faults::{Fault, Faults};
#[cfg(unix)]
pub use file::transfer::{Rest, TransferEnd, Transfers, is_ending};
pub use file::{Direction, File, PositionalFile, io_status};
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
    HostFunction, Prefault, Submission,
};
pub use shape::Shape;
pub use validate::Pattern;
