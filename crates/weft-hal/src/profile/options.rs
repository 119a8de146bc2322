//! What a session is asked for, and what is refused.
//!
//! What lives here: [`ProfileOptions`] and its checks, the filter of execution events. What does not: the one check
//! that needs the device's state, whether a session is active (`profiler.rs`).

use std::fmt;
use std::sync::Arc;

use weft_sync::{Result, bail};

use super::family::{ProfileFamilies, ProfileFlags};
use super::record::ExecutionEvent;
use super::sink::ProfileSink;
use crate::device::matches_pattern;

/// Events that a ring holds unless the options say otherwise.
pub const EVENTS_MAX_DEFAULT: usize = 1 << 16;

/// Counters that are sampled together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterSet {
    /// What to call it.
    pub name: String,
    /// Names of counters, each once.
    pub counters: Vec<String>,
}

/// Which execution events are wanted: those to which every given part applies. The default takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileFilter {
    /// Dispatches of functions whose names match; `*` is any text, `?` any character.
    pub function: Option<String>,
    /// Commands of this command buffer; see `CommandBuffer::id`.
    pub command_buffer: Option<u64>,
    /// Commands that were recorded at this position, barriers counted.
    pub command_index: Option<u32>,
    /// What ran for this queue.
    pub queue: Option<u32>,
}

impl ProfileFilter {
    /// `function` is the name of what the event ran, where it has one.
    pub(crate) fn takes(&self, event: &ExecutionEvent, function: Option<&str>) -> bool {
        let named = self
            .function
            .as_ref()
            .is_none_or(|pattern| function.is_some_and(|name| matches_pattern(pattern, name)));
        named
            && self.command_buffer.is_none_or(|id| id == event.command_buffer)
            && self.command_index.is_none_or(|index| Some(index) == event.command_index)
            && self.queue.is_none_or(|queue| queue == event.queue)
    }
}

/// What a profiling session is asked for. The default asks for nothing.
#[derive(Clone, Default)]
pub struct ProfileOptions {
    /// The data; none at all makes the whole call one without effect.
    pub families: ProfileFamilies,
    /// How the session behaves.
    pub flags: ProfileFlags,
    /// Must be 0: room for what later versions need to know.
    pub reserved: u64,
    /// Who gets the data.
    pub sink: Option<Arc<dyn ProfileSink>>,
    /// Which execution events are wanted.
    pub filter: ProfileFilter,
    /// What the counting families count.
    pub counter_sets: Vec<CounterSet>,
    /// Events that a ring holds; 0 stands for [`EVENTS_MAX_DEFAULT`].
    pub events_max: usize,
}

impl ProfileOptions {
    /// All there is of these families, for `sink`.
    pub fn new(families: ProfileFamilies, sink: Arc<dyn ProfileSink>) -> ProfileOptions {
        ProfileOptions { families, sink: Some(sink), ..ProfileOptions::default() }
    }

    /// Checks everything that does not depend on the device.
    pub(crate) fn check(&self) -> Result<()> {
        let known = ProfileFlags::FLUSH_WHEN_FULL;
        if !known.contains(self.flags) {
            bail!(InvalidArgument, "unknown profile flags {}", self.flags.difference(known));
        }
        if self.reserved != 0 {
            bail!(InvalidArgument, "reserved profile options are {:#x}, not 0", self.reserved);
        }
        let known = ProfileFamilies::known();
        if !known.contains(self.families) {
            bail!(InvalidArgument, "unknown profile data families {}", self.families.difference(known));
        }
        if self.filter.function.as_deref() == Some("") {
            bail!(InvalidArgument, "the function filter is empty; leave it out to take every function");
        }
        if self.filter.command_buffer == Some(0) {
            bail!(
                InvalidArgument,
                "the command buffer filter is 0; leave it out to take every command buffer"
            );
        }
        self.check_counters()?;
        if self.sink.is_none() && !self.families.is_empty() {
            bail!(InvalidArgument, "profile data {} is asked for without a sink", self.families);
        }
        Ok(())
    }

    fn check_counters(&self) -> Result<()> {
        for set in &self.counter_sets {
            if set.counters.is_empty() {
                bail!(InvalidArgument, "counter set `{}` has no counters", set.name);
            }
            for (index, counter) in set.counters.iter().enumerate() {
                if counter.is_empty() {
                    bail!(InvalidArgument, "counter {index} of set `{}` has no name", set.name);
                }
                if set.counters[..index].contains(counter) {
                    bail!(InvalidArgument, "counter `{counter}` is in set `{}` twice", set.name);
                }
            }
        }
        if self.families.intersects(ProfileFamilies::COUNTING) && self.counter_sets.is_empty() {
            bail!(InvalidArgument, "counters are asked for without a counter set");
        }
        Ok(())
    }
}

impl fmt::Debug for ProfileOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileOptions")
            .field("families", &self.families)
            .field("flags", &self.flags)
            .field("filter", &self.filter)
            .field("counter_sets", &self.counter_sets)
            .field("events_max", &self.events_max)
            .finish_non_exhaustive()
    }
}
