//! Memory that a proactor knows beforehand, and pools of buffers in it.
//!
//! | file             | what lives there                                                            |
//! |------------------|-----------------------------------------------------------------------------|
//! | `mapping.rs`     | memory from the system; unsafe                                              |
//! | `slab.rs`        | [`Slab`]: memory for buffers of one size, of which no proactor knows; unsafe |
//! | `region.rs`      | [`Region`]: one registration of it with one proactor                        |
//! | `registry.rs`    | how a proactor learns of it                                                 |
//! | `slots.rs`       | which slots of a table are free                                             |
//! | `pool.rs`        | [`BufferPool`]: who has which buffer                                        |
//! | `lease.rs`       | [`Lease`]: one buffer in one pair of hands; unsafe                          |
//! | `run.rs`         | what one answer to a receive has brought                                    |
//! | `shared_pool.rs` | [`SharedPool`]: a list of free buffers that several processes share; unsafe |
//! | `dmabuf.rs`      | memory of devices; unsafe                                                   |
//!
//! Which buffers of a pool are free: `free_list.rs`, beside this folder; when one that was used up piece by piece is:
//! `parts.rs`.
//!
//! 1. Memory belongs to somebody at every moment: to the slab that nobody takes buffers of, to the pool, to a lease, to an
//!    operation that has the lease, or to the kernel, which gives it back with a completion.
//! 2. What names memory keeps it: lease → pool → region → slab. So nothing is freed, and nothing deregistered, under an
//!    operation, whatever the caller drops.

#[cfg(target_os = "linux")]
mod dmabuf;
mod lease;
mod mapping;
mod pool;
mod region;
mod registry;
mod run;
#[cfg(target_os = "linux")]
mod shared_pool;
mod slab;
#[cfg(target_os = "linux")]
mod slots;

#[cfg(target_os = "linux")]
pub(crate) use dmabuf::Device;
#[cfg(target_os = "linux")]
pub use dmabuf::RegionSpan;
pub use lease::Lease;
pub(crate) use mapping::Mapping;
pub use mapping::Pages;
pub use pool::BufferPool;
pub use region::{Access, Consumption, Region, RegionKind, RegionOptions};
pub(crate) use registry::Registry;
#[cfg(target_os = "linux")]
pub(crate) use run::Filled;
pub(crate) use run::Run;
#[cfg(target_os = "linux")]
pub use shared_pool::{SharedLease, SharedPool, SharedPoolParts};
pub use slab::{Slab, SlabOptions};
#[cfg(target_os = "linux")]
pub(crate) use slots::Slots;
