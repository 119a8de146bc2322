//! What happened so far, counted without cost: each seat counts for itself, and only it writes; what the system counts
//! anyway is asked for when somebody wants to know (`steals.rs`).

use weft_sync::atomic::{AtomicU64, Ordering};

/// A count with one writer at a time: no read-modify-write.
#[derive(Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    fn new() -> Count {
        Count(AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counts of one seat, as its holder writes them.
        #[derive(Debug)]
        pub(crate) struct SeatCounters { $(pub(crate) $name: Count,)* }

        /// What the workers and guests of an executor have done so far: for one of them, or for all.
        ///
        /// A snapshot: each count is right, but they are not read at the same instant.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
            /// Times that the system took the processor from a worker that had not given it away: involuntary switches of
            /// the workers that run now, as the system counts them when it is asked. 0 where it does not tell.
            pub steals: u64,
        }

        impl SeatCounters {
            pub(crate) fn new() -> SeatCounters {
                SeatCounters { $($name: Count::new(),)* }
            }

            /// What was counted here; steals are counted elsewhere.
            pub(crate) fn snapshot(&self, steals: u64) -> Counters {
                Counters { $($name: self.$name.get(),)* steals }
            }
        }

        impl Counters {
            /// Adds those of another seat.
            pub(crate) fn add(&mut self, other: &Counters) {
                $(self.$name += other.$name;)*
                self.steals += other.steals;
            }
        }
    };
}

counters! {
    /// Drains of immediate processes.
    immediate_drains,
    /// Drains of compute processes.
    compute_drains,
    /// Entries into slots.
    entries,
    /// Processes that ended here: released.
    released,
    /// Wakes of others.
    wakes,
    /// Wakes of others on behalf of a third.
    relays,
    /// Sleeps in the kernel or before it.
    sleeps,
    /// Sleeps that ended because somebody chose this sleeper.
    claims,
    /// Spins before a sleep.
    spins,
    /// Spins that made the sleep unnecessary.
    spin_hits,
    /// Stays near a process that had nothing to do for the moment.
    warm_stays,
    /// Stays that ended with more to do.
    warm_hits,
}
