//! Which pool a request goes to.
//!
//! What lives here: [`PoolSet`] and the set that devices use by default.

use std::sync::Arc;

use weft_sync::{Result, status};

use super::{Pool, PoolSource, TlsfOptions};
use crate::memory::BufferParams;

/// Pools in the order in which they are asked.
///
/// ```
/// use std::sync::Arc;
/// use weft_hal::pool::{HostSlabs, PoolSet, PoolSource};
/// use weft_hal::BufferParams;
/// # let device = weft_hal::open_null_device();
/// let slabs = HostSlabs::new(Arc::clone(device.allocator().backend()));
/// let pools = PoolSet::standard(|| PoolSource::new(slabs.clone()))?;
/// let params = device.allocator().adjusted(&BufferParams::device_local())?;
/// let (small, large) = (pools.select(&params, 100)?, pools.select(&params, 100 << 20)?);
/// assert_eq!((small.capabilities().size_max, large.capabilities().size_max), (64 << 20, 0));
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug, Default)]
pub struct PoolSet {
    /// Highest priority first; among equals in the order in which they came.
    pools: Vec<(i32, Arc<Pool>)>,
}

impl PoolSet {
    /// Priority of ranges in the standard set.
    pub const PRIORITY_RANGES: i32 = 10;
    /// Priority of what is too large for the others.
    pub const PRIORITY_PASS_THROUGH: i32 = 0;

    /// A set without pools.
    pub fn new() -> PoolSet {
        PoolSet::default()
    }

    /// Ranges in slabs of 64 MiB, and slabs of their own for what does not fit.
    pub fn standard(source: impl Fn() -> PoolSource) -> Result<PoolSet> {
        let mut pools = PoolSet::new();
        pools.add(PoolSet::PRIORITY_RANGES, Pool::tlsf(source(), &TlsfOptions::default())?);
        pools.add(PoolSet::PRIORITY_PASS_THROUGH, Pool::pass_through(source(), u64::MAX));
        Ok(pools)
    }

    /// Adds a pool behind those of higher or equal priority.
    pub fn add(&mut self, priority: i32, pool: Arc<Pool>) {
        let place = self.pools.partition_point(|(other, _)| *other >= priority);
        self.pools.insert(place, (priority, pool));
    }

    /// The first pool that can serve the request; `params` are completed and adjusted. NOT_FOUND if none can.
    pub fn select(&self, params: &BufferParams, size: u64) -> Result<&Arc<Pool>> {
        let fit = self.pools.iter().find(|(_, pool)| pool.capabilities().fit(params, size));
        fit.map(|(_, pool)| pool).ok_or_else(|| {
            status!(
                NotFound,
                "none of {} pools has {size} bytes of {} for {}",
                self.pools.len(),
                params.memory_type,
                params.usage
            )
        })
    }

    /// All pools, in the order in which they are asked.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.iter().map(|(_, pool)| pool)
    }

    /// Trims every pool.
    pub fn trim(&self) {
        self.pools().for_each(|pool| pool.trim());
    }
}
