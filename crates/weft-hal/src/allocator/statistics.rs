//! Exact counts of allocated and freed bytes, for both sides of memory.
//!
//! What lives here: the counters that an allocator backend keeps, their snapshot, and its text. When bytes count as
//! allocated is the backend's business: pools count what they lent, not what they keep for later.

use std::fmt;

use weft_sync::atomic::{AtomicU64, Ordering};

use crate::memory::MemoryType;

/// Which of the two counts an allocation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Everything that is not device-local.
    Host,
    /// Device-local memory.
    Device,
}

impl Side {
    /// Device-local types count on the device side, all others on the host side.
    #[inline]
    pub fn of(memory_type: MemoryType) -> Side {
        if memory_type.contains(MemoryType::DEVICE_LOCAL) { Side::Device } else { Side::Host }
    }
}

/// Counters of an allocator. No byte is lost under concurrency; the peak never falls.
#[derive(Debug, Default)]
pub struct StatisticsCounters {
    host: SideCounters,
    device: SideCounters,
}

#[derive(Debug, Default)]
struct SideCounters {
    live: AtomicU64,
    peak: AtomicU64,
    /// All that was allocated is live or freed, so it needs no counter.
    freed: AtomicU64,
}

impl StatisticsCounters {
    /// Notes bytes that were lent out.
    #[inline]
    pub fn allocated(&self, side: Side, bytes: u64) {
        let counters = self.side(side);
        let live = counters.live.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if live > counters.peak.load(Ordering::Relaxed) {
            counters.peak.fetch_max(live, Ordering::Relaxed);
        }
    }

    /// Notes bytes that came back.
    #[inline]
    pub fn freed(&self, side: Side, bytes: u64) {
        let counters = self.side(side);
        counters.live.fetch_sub(bytes, Ordering::Relaxed);
        counters.freed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The highest sum of both sides that was, or could have been, live at once.
    #[inline]
    pub fn peak(&self) -> u64 {
        self.host.peak.load(Ordering::Relaxed) + self.device.peak.load(Ordering::Relaxed)
    }

    /// The counts as of now.
    pub fn snapshot(&self) -> Statistics {
        Statistics { host: self.host.snapshot(), device: self.device.snapshot() }
    }

    fn side(&self, side: Side) -> &SideCounters {
        match side {
            Side::Host => &self.host,
            Side::Device => &self.device,
        }
    }
}

impl SideCounters {
    fn snapshot(&self) -> SideStatistics {
        let freed = self.freed.load(Ordering::Relaxed);
        let live = self.live.load(Ordering::Relaxed);
        SideStatistics { peak: self.peak.load(Ordering::Relaxed), allocated: freed + live, freed }
    }
}

/// Counts of one side, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideStatistics {
    /// Most that was live at once.
    pub peak: u64,
    /// All that was ever allocated.
    pub allocated: u64,
    /// All that was ever freed.
    pub freed: u64,
}

impl SideStatistics {
    /// What is allocated and not freed.
    pub fn live(&self) -> u64 {
        self.allocated.saturating_sub(self.freed)
    }
}

/// Counts of an allocator. The text form is the block that tools print after `Device: <name>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Memory that is not device-local.
    pub host: SideStatistics,
    /// Device-local memory.
    pub device: SideStatistics,
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, side) in [("  HOST_LOCAL", self.host), ("DEVICE_LOCAL", self.device)] {
            let (peak, allocated, freed, live) = (side.peak, side.allocated, side.freed, side.live());
            writeln!(
                f,
                "{name}: {peak:>12}B peak / {allocated:>12}B allocated / {freed:>12}B freed / {live:>12}B live"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_aligned_in_twelve() {
        let counters = StatisticsCounters::default();
        counters.allocated(Side::Host, 48);
        counters.freed(Side::Host, 48);
        counters.allocated(Side::Device, 112);
        counters.freed(Side::Device, 112);
        assert_eq!(
            counters.snapshot().to_string(),
            "  HOST_LOCAL:           48B peak /           48B allocated /           48B freed /            0B live\n\
             DEVICE_LOCAL:          112B peak /          112B allocated /          112B freed /            0B live\n"
        );
    }
}
