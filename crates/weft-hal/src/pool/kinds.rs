//! The kinds of pool, and what each is made of.
//!
//! What lives here: options, their checks, and the algebra of each kind: ranges of any size (two-level segregated fit),
//! blocks of one size, an arena, and one slab for each reservation. What does not: what pools have in common (`mod.rs`,
//! `slabbed.rs`).

use std::sync::Arc;

use weft_sync::reuse::{
    Acquired, Arena, BlockPool, Death, RangeOptions, RangePool, Request, Requester, Reservation, Statistics,
};
use weft_sync::{Axis, Result, bail, status};

use super::pass_through::PassThrough;
use super::slab::{SlabProperties, SlabProvider};
use super::slabbed::{Algebra, SlabShape, Slabbed};
use super::{Pool, PoolCapabilities};
use crate::memory::HOST_ALIGNMENT;

/// Entries of a death frontier that a free range can keep.
pub const RANGE_DEATH_ENTRIES: usize = 8;
/// Entries of a death frontier that a block can keep.
pub const BLOCK_DEATH_ENTRIES: usize = 4;
/// Entries of the death frontier of an arena's batch.
pub const ARENA_DEATH_ENTRIES: usize = 16;
/// Most blocks of a fixed-block pool.
pub const BLOCKS_MAX: u32 = 4096;
/// Most slabs of a pool that grows: reservations name theirs with 16 bits.
pub const SLABS_MAX: u32 = u16::MAX as u32;

/// Smallest granularity of ranges.
const GRANULARITY_MIN: u64 = 16;

/// Tells whether an epoch of an axis was reached. Looks, never waits, and calls nothing of a pool.
pub type EpochQuery = dyn Fn(Axis, u64) -> bool + Send + Sync;

/// What every pool is made of: slabs, and somebody to ask about epochs.
pub struct PoolSource {
    pub(super) slabs: Arc<dyn SlabProvider>,
    pub(super) is_reached: Option<Box<EpochQuery>>,
}

impl PoolSource {
    /// Slabs from `slabs`; only requesters know which epochs were reached.
    pub fn new(slabs: Arc<dyn SlabProvider>) -> PoolSource {
        PoolSource { slabs, is_reached: None }
    }

    /// Also asks `is_reached`, a tracker usually, before memory counts as in use.
    #[must_use]
    pub fn with_epoch_query(
        mut self,
        is_reached: impl Fn(Axis, u64) -> bool + Send + Sync + 'static,
    ) -> PoolSource {
        self.is_reached = Some(Box::new(is_reached));
        self
    }
}

/// What a pool of ranges is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsfOptions {
    /// Bytes of one slab, rounded down to the granularity. Larger requests are OUT_OF_RANGE.
    pub slab_bytes: u64,
    /// Lengths and offsets are multiples of this power of two, at least 16.
    pub granularity: u64,
    /// Of slabs, and the largest that can be asked for; a power of two.
    pub alignment_max: u64,
    /// Most slabs, up to [`SLABS_MAX`].
    pub slabs_max: u32,
    /// Most bytes of slabs.
    pub budget_bytes: u64,
}

impl Default for TlsfOptions {
    /// Slabs of 64 MiB without a limit, in multiples of 64 bytes.
    fn default() -> TlsfOptions {
        TlsfOptions {
            slab_bytes: 64 << 20,
            granularity: HOST_ALIGNMENT as u64,
            alignment_max: 4096,
            slabs_max: SLABS_MAX,
            budget_bytes: u64::MAX,
        }
    }
}

/// What a pool of blocks is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedBlockOptions {
    /// Bytes of each block; more than 0. Blocks are aligned as far as their length is.
    pub block_bytes: u64,
    /// How many, 1 to [`BLOCKS_MAX`].
    pub block_count: u32,
}

/// Ranges.
impl Pool {
    /// A pool that cuts ranges of any size out of slabs, joins them with their neighbours when they come back, and takes
    /// another slab rather than have somebody wait: it never answers that a wait is needed.
    pub fn tlsf(source: PoolSource, options: &TlsfOptions) -> Result<Arc<Pool>> {
        let TlsfOptions { slab_bytes, granularity, alignment_max, slabs_max, budget_bytes } = *options;
        if !granularity.is_power_of_two() || granularity < GRANULARITY_MIN {
            bail!(
                InvalidArgument,
                "a granularity of {granularity}; it should be a power of two from {GRANULARITY_MIN} on"
            );
        }
        if slab_bytes < granularity {
            bail!(
                InvalidArgument,
                "slabs of {slab_bytes} bytes are less than the granularity, {granularity}"
            );
        }
        if slabs_max > SLABS_MAX {
            bail!(InvalidArgument, "{slabs_max} slabs; there are at most {SLABS_MAX}");
        }
        let properties = source.slabs.properties();
        check_alignment(alignment_max, &properties)?;
        let slab_bytes = slab_bytes - slab_bytes % granularity;
        let algebra = RangePool::new(RangeOptions { granularity, slab_bytes, slabs_max, budget: u64::MAX })?;
        let shape = SlabShape {
            bytes: slab_bytes,
            alignment: alignment_max,
            granularity,
            count_max: u64::from(slabs_max),
        };
        let backend = Slabbed::<RangePool<RANGE_DEATH_ENTRIES>, RANGE_DEATH_ENTRIES>::growing(
            algebra,
            shape,
            budget_bytes,
            Arc::clone(&source.slabs),
        );
        // A slab may be smaller than its alignment, which no part of it then has beyond the first byte.
        let alignment_max = alignment_max.min(prev_power_of_two(slab_bytes));
        let capabilities = capabilities(&properties, [0, slab_bytes], alignment_max);
        Ok(Pool::over(source, capabilities, Box::new(backend)))
    }

    /// A pool of blocks of one size, in one slab that is taken now. A block is given to who may use it at once, or else,
    /// if asked, to who can wait for it.
    pub fn fixed_block(source: PoolSource, options: &FixedBlockOptions) -> Result<Arc<Pool>> {
        let FixedBlockOptions { block_bytes, block_count } = *options;
        if block_bytes == 0 {
            bail!(InvalidArgument, "blocks of 0 bytes");
        }
        if block_count == 0 || block_count > BLOCKS_MAX {
            bail!(InvalidArgument, "{block_count} blocks; there can be 1 to {BLOCKS_MAX}");
        }
        let bytes = block_bytes.checked_mul(u64::from(block_count)).ok_or_else(|| {
            status!(
                InvalidArgument,
                "{block_count} blocks of {block_bytes} bytes are more than can be counted"
            )
        })?;
        let algebra = BlockPool::<BLOCK_DEATH_ENTRIES>::new(block_count, block_bytes)?;
        let properties = source.slabs.properties();
        let alignment = (1 << block_bytes.trailing_zeros()).min(TlsfOptions::default().alignment_max);
        let alignment = alignment.min(properties.alignment_max);
        let shape = SlabShape { bytes, alignment, granularity: block_bytes, count_max: 1 };
        let backend = Slabbed::<_, BLOCK_DEATH_ENTRIES>::fixed(algebra, shape, Arc::clone(&source.slabs))?;
        let capabilities = capabilities(&properties, [block_bytes, block_bytes], alignment);
        Ok(Pool::over(source, capabilities, Box::new(backend)))
    }

    /// A pool that gives out one slab, taken now, from its front, and starts again when everything has come back.
    pub fn arena(source: PoolSource, bytes: u64) -> Result<Arc<Pool>> {
        if bytes == 0 {
            bail!(InvalidArgument, "an arena of 0 bytes");
        }
        let properties = source.slabs.properties();
        let alignment = TlsfOptions::default().alignment_max.min(properties.alignment_max);
        let shape = SlabShape { bytes, alignment, granularity: 1, count_max: 1 };
        let algebra = Arena::<ARENA_DEATH_ENTRIES>::new(bytes);
        let backend = Slabbed::<_, ARENA_DEATH_ENTRIES>::fixed(algebra, shape, Arc::clone(&source.slabs))?;
        let capabilities = capabilities(&properties, [0, bytes], alignment);
        Ok(Pool::over(source, capabilities, Box::new(backend)))
    }

    /// A pool that takes a slab for each reservation and gives it back with it, up to `budget_bytes` at a time.
    pub fn pass_through(source: PoolSource, budget_bytes: u64) -> Arc<Pool> {
        let properties = source.slabs.properties();
        let capabilities = capabilities(&properties, [0, 0], properties.alignment_max);
        let backend = PassThrough::new(budget_bytes, Arc::clone(&source.slabs));
        Pool::over(source, capabilities, Box::new(backend))
    }
}

fn check_alignment(alignment: u64, properties: &SlabProperties) -> Result<()> {
    if !alignment.is_power_of_two() || alignment > properties.alignment_max {
        bail!(
            InvalidArgument,
            "slabs aligned to {alignment}; it should be a power of two up to {}",
            properties.alignment_max
        );
    }
    Ok(())
}

fn prev_power_of_two(value: u64) -> u64 {
    1 << value.ilog2()
}

fn capabilities(
    properties: &SlabProperties,
    [size_min, size_max]: [u64; 2],
    alignment_max: u64,
) -> PoolCapabilities {
    let SlabProperties { memory_type, usage, .. } = *properties;
    PoolCapabilities { memory_type, usage, size_min, size_max, alignment_max }
}

/// What only pools that grow can do.
#[cold]
fn keeps_its_slab() -> Result<u32> {
    bail!(Internal, "a pool of one slab was asked to grow")
}

impl<const DEATH: usize> Algebra<DEATH> for RangePool<DEATH> {
    fn acquire(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<DEATH>> {
        RangePool::acquire(self, &Request { can_wait: false, can_grow: false, ..*request }, requester)
    }

    fn release(&mut self, reservation: Reservation, death: Death<DEATH>) -> Result<()> {
        self.release_dead(reservation, death)
    }

    fn restore(&mut self, reservation: Reservation) -> Result<()> {
        RangePool::restore(self, reservation)
    }

    fn assume_quiet(&mut self) {
        RangePool::assume_quiet(self);
    }

    fn statistics(&self) -> Statistics {
        RangePool::statistics(self)
    }

    fn add_slab(&mut self) -> Result<u32> {
        RangePool::add_slab(self)
    }

    fn remove_idle_slabs(&mut self, requester: &Requester<'_>, each: &mut dyn FnMut(u32)) {
        RangePool::remove_idle_slabs(self, requester, each);
    }
}

macro_rules! one_slab {
    ($algebra:ident) => {
        impl<const DEATH: usize> Algebra<DEATH> for $algebra<DEATH> {
            fn acquire(&mut self, request: &Request, requester: &Requester<'_>) -> Result<Acquired<DEATH>> {
                $algebra::acquire(self, request, requester)
            }

            fn release(&mut self, reservation: Reservation, death: Death<DEATH>) -> Result<()> {
                self.release_dead(reservation, death)
            }

            fn restore(&mut self, reservation: Reservation) -> Result<()> {
                $algebra::restore(self, reservation)
            }

            fn assume_quiet(&mut self) {
                $algebra::assume_quiet(self);
            }

            fn statistics(&self) -> Statistics {
                $algebra::statistics(self)
            }

            fn add_slab(&mut self) -> Result<u32> {
                keeps_its_slab()
            }

            fn remove_idle_slabs(&mut self, _requester: &Requester<'_>, _each: &mut dyn FnMut(u32)) {}
        }
    };
}

one_slab!(BlockPool);
one_slab!(Arena);
