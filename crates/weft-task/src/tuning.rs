//! Numbers that shape the executor, each with its reason. What a user may choose is in `options.rs`.

/// Most workers of one executor.
pub const WORKERS_MAX: usize = 1024;

/// Most threads that may lend themselves to one executor at the same time.
pub const GUESTS_MAX: usize = 64;

/// Compute slots. A scan reads one line a slot, so more of them cost every idle worker a few nanoseconds each; what
/// does not fit waits in the overflow list. Under the model checker one slot shows every overflow.
#[cfg(not(loom))]
pub(crate) const SLOTS: usize = 16;
#[cfg(loom)]
pub(crate) const SLOTS: usize = 1;

/// Drains of one entry into a slot while no other slot is occupied. Entering and leaving cost three read-modify-writes
/// on shared lines; spread over this many drains they vanish. Under the model checker each drain is a visit.
#[cfg(not(loom))]
pub(crate) const DRAINS_ALONE_MAX: u32 = 64;
#[cfg(loom)]
pub(crate) const DRAINS_ALONE_MAX: u32 = 1;

/// Drains of one entry into a slot while others wait for their turn.
pub(crate) const DRAINS_SHARED_MAX: u32 = 4;

/// Drains of one immediate process before it goes to the end of the list, so that one that never rests starves nobody.
pub(crate) const DRAINS_IMMEDIATE_MAX: u32 = 256;

/// Immediate processes that a worker runs before it looks at the slots again.
pub(crate) const IMMEDIATES_PER_SCAN: u32 = 8;

/// Sleepers that a thread wakes itself; the woken ones wake the rest. A wake is a system call of a microsecond or more,
/// and the thread that schedules has other things to do.
#[cfg(not(loom))]
pub(crate) const POSTS_MAX: u32 = 4;
#[cfg(loom)]
pub(crate) const POSTS_MAX: u32 = 1;

/// Worker stacks are at least this large, whatever is asked for.
pub(crate) const STACK_BYTES_MIN: usize = 32 * 1024;

/// How long retained workers look for a new region together, counted from the first of them.
pub(crate) const WARM_SPIN_NS: u64 = 10_000;
