//! Numbers that programs pass when they record commands.

use crate::mask_text::mask;

mask! {
    /// How a command buffer will be used.
    pub struct CommandBufferMode: u32, "command buffer mode" {
        combined {}
        single {
            /// Submitted at most once.
            ONE_SHOT = 1;
            /// May execute while it is recorded. Needs ONE_SHOT and no slots.
            ALLOW_INLINE_EXECUTION = 16;
            /// Permits skipping validation; weft checks all the same.
            UNVALIDATED = 32;
            /// Permits not retaining resources; weft retains all the same.
            UNRETAINED = 64;
            /// Keep what profiles need.
            RETAIN_PROFILE_METADATA = 128;
            /// Keep what describes dispatches.
            RETAIN_DISPATCH_METADATA = 256;
        }
    }
}

mask! {
    /// Kinds of commands that may be recorded.
    pub struct CommandCategory: u32, "command category" {
        combined {
            /// Both kinds.
            ANY = 3;
        }
        single {
            /// Fills, updates, copies.
            TRANSFER = 1;
            /// Dispatches and collectives.
            DISPATCH = 2;
        }
    }
}

mask! {
    /// Stages of command execution, ends of a barrier.
    pub struct ExecutionStage: u32, "execution stage" {
        combined {}
        single {
            /// Commands are handed to the device.
            COMMAND_ISSUE = 1;
            /// Commands are read by the device.
            COMMAND_PROCESS = 2;
            /// Kernels run.
            DISPATCH = 4;
            /// Transfers run.
            TRANSFER = 8;
            /// Commands are done.
            COMMAND_RETIRE = 16;
            /// The host touches memory.
            HOST = 32;
        }
    }
}

mask! {
    /// Kinds of access, ends of a memory barrier.
    pub struct AccessScope: u32, "access scope" {
        combined {}
        single {
            /// Reads of indirect counts.
            INDIRECT_COMMAND_READ = 1 << 0;
            /// Reads of constants.
            CONSTANT_READ = 1 << 1;
            /// Reads by kernels.
            DISPATCH_READ = 1 << 2;
            /// Writes by kernels.
            DISPATCH_WRITE = 1 << 3;
            /// Reads by transfers.
            TRANSFER_READ = 1 << 4;
            /// Writes by transfers.
            TRANSFER_WRITE = 1 << 5;
            /// Reads by the host.
            HOST_READ = 1 << 6;
            /// Writes by the host.
            HOST_WRITE = 1 << 7;
            /// Any read.
            MEMORY_READ = 1 << 8;
            /// Any write.
            MEMORY_WRITE = 1 << 9;
        }
    }
}

mask! {
    /// How a dispatch gets its counts and arguments.
    pub struct DispatchFlags: u64, "dispatch flag" {
        combined {}
        single {
            /// Counts come from a buffer, read immediately before the dispatch.
            DYNAMIC_INDIRECT_PARAMETERS = 1;
            /// Counts come from a buffer that no longer changes.
            STATIC_INDIRECT_PARAMETERS = 2;
            /// Not supported on CPU.
            CUSTOM_DIRECT_ARGUMENTS = 4;
            /// Not supported on CPU.
            DYNAMIC_INDIRECT_ARGUMENTS = 8;
            /// Not supported on CPU.
            STATIC_INDIRECT_ARGUMENTS = 16;
            /// May run on the submitting thread.
            ALLOW_INLINE_EXECUTION = 32;
            /// The caller keeps resources alive until the signals fire.
            BORROW_RESOURCE_LIFETIMES = 64;
        }
    }
}

/// What a collective does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CollectiveKind {
    /// Everybody gets everything.
    AllGather = 0,
    /// Everybody gets the reduction.
    AllReduce = 1,
    /// Everybody sends a part to everybody.
    AllToAll = 2,
    /// One sends to all.
    Broadcast = 3,
    /// One gets the reduction.
    Reduce = 4,
    /// Everybody gets a part of the reduction.
    ReduceScatter = 5,
    /// To one.
    Send = 6,
    /// From one.
    Receive = 7,
    /// To one and from one.
    SendReceive = 8,
}

/// How a collective combines elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CollectiveReduction {
    /// Not at all.
    None = 0,
    /// Adds.
    Sum = 1,
    /// Multiplies.
    Product = 2,
    /// Keeps the smallest.
    Minimum = 3,
    /// Keeps the largest.
    Maximum = 4,
    /// Adds and divides.
    Average = 5,
}

/// What a collective's elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CollectiveElement {
    /// Signed 8-bit integer.
    S8 = 0,
    /// Unsigned 8-bit integer.
    U8 = 1,
    /// Signed 16-bit integer.
    S16 = 2,
    /// Unsigned 16-bit integer.
    U16 = 3,
    /// Signed 32-bit integer.
    S32 = 4,
    /// Unsigned 32-bit integer.
    U32 = 5,
    /// Signed 64-bit integer.
    S64 = 6,
    /// Unsigned 64-bit integer.
    U64 = 7,
    /// Half-precision float.
    F16 = 8,
    /// Single-precision float.
    F32 = 9,
    /// Double-precision float.
    F64 = 10,
    /// 16-bit float with the range of `f32`.
    Bf16 = 11,
}
