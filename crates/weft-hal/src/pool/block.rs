//! Reserved memory and who owns it.
//!
//! What lives here: [`PooledBlock`], and how a pool is the home of the blocks that it lends. What does not: which memory
//! that is (`slabbed.rs`, `pass_through.rs`).

#![allow(unsafe_code, reason = "promises that reserved ranges of slabs stay valid; see `lend`")]

use std::ptr::NonNull;
use std::sync::Arc;

use weft_sync::Frontier;

use super::Pool;
use super::backend::Place;
use super::ledger::used;
use crate::host_block::{BlockHome, HostBlock, RawBlock};

/// The one owner of a reservation, which keeps its pool alive. Dropping it untouched gives it back as it was.
#[derive(Debug)]
#[must_use = "given back when dropped"]
pub struct PooledBlock {
    block: HostBlock,
    offset: u64,
    slab: u32,
}

impl PooledBlock {
    pub(super) fn new(pool: &Arc<Pool>, place: Place) -> PooledBlock {
        let Place { base, offset, length, token, slab, .. } = place;
        let base = NonNull::new(base).expect("slabs have addresses");
        // The length lies within a slab, whose addresses fit a `usize`.
        let block = lend(pool, RawBlock { base, length: length as usize, token });
        PooledBlock { block, offset, slab }
    }

    /// Where in its slab it begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that are reserved, at least as many as were asked for.
    pub fn length(&self) -> u64 {
        self.block.length() as u64
    }

    /// What the pool knows it by; never 0.
    pub fn handle(&self) -> u64 {
        self.block.raw().token
    }

    /// Number of its slab. That of a slab that is given back is used again.
    pub fn slab(&self) -> u32 {
        self.slab
    }

    /// First byte. See [`HostBlock::base`].
    pub fn base(&self) -> NonNull<u8> {
        self.block.base()
    }

    pub(super) fn is_of(&self, pool: &Arc<Pool>) -> bool {
        self.block.is_from(Arc::as_ptr(pool).cast())
    }

    /// Gives the reservation back, from something ordered after `death`; `None` if all use of it is over. A frontier that
    /// the pool cannot keep taints the memory until it is given back with one that it can.
    pub fn release(self, death: Option<&Frontier>) {
        self.block.release_after(death);
    }

    /// The memory, for a buffer that is committed with it. Its reservation goes back when it is dropped: after what
    /// [`HostBlock::set_death`] is told, else with nothing to wait for. Only for memory that may be used now.
    #[must_use]
    pub fn into_host_block(mut self) -> HostBlock {
        self.block.set_token(used(self.handle()));
        self.block
    }

    /// The same, but goes back as it was.
    pub(super) fn into_untouched(self) -> HostBlock {
        self.block
    }

    /// Another holder of the same bytes.
    pub(super) fn pinned_view(&self, pool: &Arc<Pool>) -> HostBlock {
        let raw = *self.block.raw();
        pool.backend.pin(raw.token);
        lend(pool, raw)
    }
}

/// A block over reserved memory, for which one pin is held.
fn lend(pool: &Arc<Pool>, raw: RawBlock) -> HostBlock {
    let home = Arc::clone(pool) as Arc<dyn BlockHome>;
    // SAFETY: the range lies within a slab, a block of initialised bytes that its provider promised to be valid until it
    // is dropped. The pool drops no slab of which a reservation has pins left, and is itself held by `home`; the pin
    // is taken away by `reclaim` only. Other blocks over the same bytes are views, and what those do is bound to
    // the rules in the header of `buffer.rs`.
    unsafe { HostBlock::new(raw, home) }
}

impl BlockHome for Pool {
    fn reclaim(&self, block: RawBlock) {
        if self.backend.unpin(block.token) {
            self.notify();
        }
    }

    fn reclaim_after(&self, block: RawBlock, death: Option<&Frontier>) {
        if self.backend.unpin_after(block.token, death) {
            self.notify();
        }
    }

    fn set_death(&self, block: &RawBlock, death: Option<&Frontier>) {
        self.backend.set_death(block.token, death);
    }
}
