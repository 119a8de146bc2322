//! Which data a profiling session is to give: families by bit and by name.
//!
//! What does not live here: which of them devices have (`options.rs`).

use weft_sync::{Result, bail};

use crate::mask_text::mask;

mask! {
    /// Kinds of data, by the bits of `docs/spec/hal.md` §18.
    pub struct ProfileFamilies: u64, "profile data family" {
        combined {
            /// All that devices with a queue on the host have.
            LOCAL = 0x1_0000_02A3;
            /// Those that count something that a counter set names.
            COUNTING = 1 << 4 | 1 << 10;
        }
        single {
            /// Submissions.
            QUEUE_EVENTS = 1;
            /// What the host ran for them.
            EXECUTION_EVENTS = 1 << 1;
            /// Submissions as a device's own clock saw them.
            DEVICE_QUEUE_EVENTS = 1 << 2;
            /// Dispatches as a device's own clock saw them.
            DISPATCH_EVENTS = 1 << 3;
            /// Hardware counters of dispatches.
            COUNTERS = 1 << 4;
            /// Names and shapes of functions.
            EXECUTABLE_METADATA = 1 << 5;
            /// Traces made inside of kernels.
            EXECUTABLE_TRACES = 1 << 6;
            /// What became of memory.
            MEMORY_EVENTS = 1 << 7;
            /// Clocks, power, temperature.
            DEVICE_METRICS = 1 << 8;
            /// What workers did in each stretch of commands between barriers.
            REGION_EVENTS = 1 << 9;
            /// Hardware counters over time.
            COUNTER_RANGES = 1 << 10;
            /// What each worker did when.
            WORKER_EVENTS = 0x1_0000_0000;
        }
    }
}

mask! {
    /// How a session behaves.
    pub struct ProfileFlags: u64, "profile flag" {
        combined {}
        single {
            /// Whoever finds a ring full flushes it, on its own thread, instead of dropping what it has.
            FLUSH_WHEN_FULL = 1;
        }
    }
}

/// Names in command lines, which are those of the reference's tools, and the last, which is not there.
const NAMES: &[(&str, ProfileFamilies)] = &[
    ("queue-events", ProfileFamilies::QUEUE_EVENTS),
    ("host-execution", ProfileFamilies::EXECUTION_EVENTS),
    ("device-queue-events", ProfileFamilies::DEVICE_QUEUE_EVENTS),
    ("dispatch-events", ProfileFamilies::DISPATCH_EVENTS),
    ("counters", ProfileFamilies::COUNTERS),
    ("executable-metadata", ProfileFamilies::EXECUTABLE_METADATA),
    ("executable-traces", ProfileFamilies::EXECUTABLE_TRACES),
    ("memory-events", ProfileFamilies::MEMORY_EVENTS),
    ("device-metrics", ProfileFamilies::DEVICE_METRICS),
    ("command-region-events", ProfileFamilies::REGION_EVENTS),
    ("counter-ranges", ProfileFamilies::COUNTER_RANGES),
    ("worker-events", ProfileFamilies::WORKER_EVENTS),
];

impl ProfileFamilies {
    /// Every bit that has a meaning.
    pub(crate) fn known() -> ProfileFamilies {
        NAMES.iter().fold(ProfileFamilies::empty(), |all, (_, family)| all | *family)
    }

    /// Families from names with commas between them. INVALID_ARGUMENT for a name that is none.
    ///
    /// ```
    /// use weft_hal::profile::ProfileFamilies;
    /// let families = ProfileFamilies::from_names("queue-events, memory-events")?;
    /// assert_eq!(families, ProfileFamilies::QUEUE_EVENTS | ProfileFamilies::MEMORY_EVENTS);
    /// assert!(ProfileFamilies::from_names("weather").is_err());
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn from_names(text: &str) -> Result<ProfileFamilies> {
        let mut families = ProfileFamilies::empty();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match NAMES.iter().find(|(known, _)| *known == name) {
                Some((_, family)) => families |= *family,
                None => {
                    let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
                    bail!(InvalidArgument, "unknown profile data `{name}`; there are {}", known.join(", "));
                }
            }
        }
        Ok(families)
    }
}
