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
pub const STACK_BYTES_MIN: usize = 32 * 1024;

/// Worker stacks are at most this large: more is a slip of the pen, and the system's own bounds are no errors but panics.
pub(crate) const STACK_BYTES_MAX: usize = 1 << 30;

/// Scratch of one worker that may be asked for. What is asked for is touched, so more of it than there is memory would end
/// the program.
pub(crate) const LOCAL_MEMORY_BYTES_MAX: usize = 1 << 30;

/// Scratch of one worker that is as large as its cache: no core has a larger one of its own, whatever the system says.
pub(crate) const LOCAL_MEMORY_BYTES_USUAL_MAX: usize = 64 << 20;

/// How long retained workers look for a new region together, counted from the first of them.
pub(crate) const WARM_SPIN_NS: u64 = 10_000;
