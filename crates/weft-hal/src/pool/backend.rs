//! What is behind the front of a pool.
//!
//! What lives here: [`PoolBackend`] and what its answers are made of. What does not: who counts, notifies and owns
//! blocks: the front does, in `mod.rs`.

use weft_sync::reuse::{Request, Requester};
use weft_sync::{Frontier, Result};

use super::WaitFrontier;

/// Why a pool refused, in terms of what could change that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Memory that is reserved now comes back, or somebody else's growth ends. The pool notifies.
    Release,
    /// Memory that would do is free but was used by work that is not known to be complete. Look again when epochs were
    /// reached ([`Pool::notify`](super::Pool::notify)); a release may help as well.
    Epoch,
    /// Nothing: all that the pool may have is free, and it is too little or tainted.
    Nothing,
}

/// The part of a slab that a reservation is.
pub(super) struct Place {
    pub base: *mut u8,
    pub offset: u64,
    pub length: u64,
    /// What the ledger knows it by.
    pub token: u64,
    pub slab: u32,
    /// A slab was taken for it, of which others may want the rest.
    pub has_grown: bool,
}

#[allow(clippy::large_enum_variant, reason = "boxing the frontier would allocate where nothing may")]
pub(super) enum Grant {
    Ready,
    Fresh,
    NeedsWait(WaitFrontier),
}

#[allow(clippy::large_enum_variant, reason = "boxing the frontier would allocate where nothing may")]
pub(super) enum Answer {
    Memory(Grant, Place),
    Exhausted { growth_required: bool, remedy: Remedy },
    OverBudget { remedy: Remedy },
}

pub(super) struct BackendStatistics {
    pub reserved_bytes: u64,
    pub live: u64,
    pub releases: u64,
    pub committed_bytes: u64,
    pub budget_bytes: u64,
    pub slabs: u64,
    pub misses: u64,
}

/// A kind of pool. Requests were checked against its capabilities.
pub(super) trait PoolBackend: Send + Sync {
    fn acquire(&self, request: &Request, requester: &Requester<'_>) -> Result<Answer>;

    /// One more holder of the bytes of a reservation.
    fn pin(&self, token: u64);

    /// What the reservation dies after when its last holder goes. Without this it goes back as it was.
    fn set_death(&self, token: u64, death: Option<&Frontier>);

    /// `set_death` and `unpin`.
    fn unpin_after(&self, token: u64, death: Option<&Frontier>) -> bool;

    /// One holder fewer; whether the reservation came back.
    fn unpin(&self, token: u64) -> bool;

    fn statistics(&self) -> BackendStatistics;

    /// Gives back idle memory that `requester` may touch; whether there was any.
    fn trim(&self, requester: &Requester<'_>) -> bool;

    /// All use of what came back is over.
    fn assume_quiet(&self);
}
