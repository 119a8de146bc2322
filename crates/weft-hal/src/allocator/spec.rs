//! Allocator wrappers as tools name them: `debug`, `caching`, `caching:heap=max_size;max_capacity;max_count,...`,
//! `countdown:blocks`, `countdown:blocks;refusals`.
//!
//! A heap key is a memory type (names joined with `|`), optionally `;usage`; `*` means the default. Limits may be `*`
//! too. More than 16 pools are OUT_OF_RANGE. A countdown refuses everything after so many blocks, or so many requests.

use std::ops::Range;
use std::sync::Arc;

use weft_sync::atomic::AtomicU64;
use weft_sync::{Result, WhileDoing, bail};

use super::caching::{Caching, CachingLimits, PoolKey};
use super::countdown::Countdown;
use super::debug::Debug;
use super::{AllocatorBackend, MemoryHeap};
use crate::memory::{BufferUsage, MemoryType};

const POOLS_MAX: usize = 16;

/// A wrapper around a device's allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocatorWrapper(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Pools as written; none written means one over all heaps.
    Caching(Vec<PoolSpec>),
    /// The numbers of the requests that are refused.
    Countdown(Range<u64>),
    Debug,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PoolSpec {
    memory_type: Option<MemoryType>,
    usage: Option<BufferUsage>,
    limits: CachingLimits,
}

impl AllocatorWrapper {
    /// Reads a wrapper's text.
    pub fn parse(text: &str) -> Result<AllocatorWrapper> {
        let (name, rest) = text.split_once(':').map_or((text, ""), |(name, rest)| (name, rest));
        let kind = match name.trim() {
            "debug" => Kind::Debug,
            "countdown" => match parse_countdown(rest) {
                Some(refused) => Kind::Countdown(refused),
                None => bail!(InvalidArgument, "`{text}` is not countdown: and a number of blocks"),
            },
            "caching" => Kind::Caching(parse_pools(rest).while_doing(|| format!("reading `{text}`"))?),
            _ => bail!(InvalidArgument, "unrecognized allocator '{name}'; expected caching or debug"),
        };
        Ok(AllocatorWrapper(kind))
    }

    /// Wraps a backend. INVALID_ARGUMENT if a pool names memory that no heap of it has.
    pub fn apply(&self, wrapped: Arc<dyn AllocatorBackend>) -> Result<Arc<dyn AllocatorBackend>> {
        let specs = match &self.0 {
            Kind::Debug => return Ok(Arc::new(Debug { wrapped })),
            Kind::Countdown(refused) => {
                let (asked, refused) = (AtomicU64::new(0), refused.clone());
                return Ok(Arc::new(Countdown { wrapped, asked, refused }));
            }
            Kind::Caching(specs) => specs,
        };
        let mut pools = Vec::with_capacity(specs.len());
        for spec in specs {
            pools.push((spec.key(wrapped.heaps())?, spec.limits));
        }
        if pools.is_empty() {
            pools.extend(wrapped.heaps().iter().map(|heap| (whole_heap(heap), CachingLimits::UNBOUNDED)));
        }
        Ok(Arc::new(Caching::new(wrapped, &pools)))
    }
}

impl PoolSpec {
    fn key(&self, heaps: &[MemoryHeap]) -> Result<PoolKey> {
        let matches = |heap: &&MemoryHeap| {
            self.memory_type.is_none_or(|wanted| heap.memory_type.contains(wanted))
                && self.usage.is_none_or(|wanted| heap.usage.contains(wanted))
        };
        let Some(heap) = heaps.iter().find(matches) else {
            let wanted = self.memory_type.unwrap_or_default();
            bail!(InvalidArgument, "no heap of the allocator has memory type {wanted}");
        };
        let mut key = whole_heap(heap);
        if let Some(usage) = self.usage {
            // Every buffer can be mapped and copied; the key restricts the rest.
            key.usage =
                usage | BufferUsage::TRANSFER | BufferUsage::MAPPING | BufferUsage::MAPPING_PERSISTENT;
        }
        Ok(key)
    }
}

fn whole_heap(heap: &MemoryHeap) -> PoolKey {
    PoolKey {
        memory_type: heap.memory_type | MemoryType::HOST_CACHED | MemoryType::HOST_LOCAL,
        usage: heap.usage,
    }
}

/// `blocks` or `blocks;refusals`.
fn parse_countdown(text: &str) -> Option<Range<u64>> {
    let (blocks, refusals) = match text.split_once(';') {
        Some((blocks, refusals)) => (blocks, refusals.trim().parse().ok()?),
        None => (text, u64::MAX),
    };
    let blocks: u64 = blocks.trim().parse().ok()?;
    Some(blocks..blocks.saturating_add(refusals))
}

fn parse_pools(text: &str) -> Result<Vec<PoolSpec>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let specs = text.split(',').map(parse_pool).collect::<Result<Vec<PoolSpec>>>()?;
    if specs.len() > POOLS_MAX {
        bail!(OutOfRange, "{} caching pools, at most {POOLS_MAX}", specs.len());
    }
    Ok(specs)
}

fn parse_pool(text: &str) -> Result<PoolSpec> {
    let Some((key, limits)) = text.split_once('=') else {
        bail!(InvalidArgument, "caching pool `{text}` lacks `=max_size;max_capacity;max_count`");
    };
    let (memory_type, usage) =
        key.split_once(';').map_or((key, "*"), |(memory_type, usage)| (memory_type, usage));
    let fields: Vec<&str> = limits.split(';').map(str::trim).collect();
    let [size, capacity, count] = fields[..] else {
        bail!(InvalidArgument, "caching limits `{limits}` are not max_size;max_capacity;max_count");
    };
    let unbounded = CachingLimits::UNBOUNDED;
    Ok(PoolSpec {
        memory_type: unless_star(memory_type)?,
        usage: unless_star(usage)?,
        limits: CachingLimits {
            allocation_size_max: parse_limit(size, unbounded.allocation_size_max)?,
            capacity_max: parse_limit(capacity, unbounded.capacity_max)?,
            free_count_max: parse_limit(count, unbounded.free_count_max as u64)?
                .try_into()
                .unwrap_or(usize::MAX),
        },
    })
}

fn unless_star<T: std::str::FromStr<Err = weft_sync::Status>>(text: &str) -> Result<Option<T>> {
    match text.trim() {
        "*" => Ok(None),
        text => text.parse().map(Some),
    }
}

/// A number of bytes or blocks, with an optional suffix `kib`, `mib` or `gib`.
fn parse_limit(text: &str, unbounded: u64) -> Result<u64> {
    if text == "*" {
        return Ok(unbounded);
    }
    let lower = text.to_ascii_lowercase();
    let units = [("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1_u64 << 30)];
    let (digits, unit) = units
        .iter()
        .find_map(|(suffix, unit)| lower.strip_suffix(suffix).map(|digits| (digits.trim(), *unit)))
        .unwrap_or((lower.as_str(), 1));
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(limit) => Ok(limit),
        None => bail!(InvalidArgument, "`{text}` is not a number of bytes or blocks"),
    }
}
