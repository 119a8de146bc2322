#![allow(unsafe_code, reason = "the ring of buffers is written here while the kernel reads it")]
//! A ring of buffers from which the kernel picks one when data is there.
//!
//! What lives here: [`Group`]. What does not: which buffers go there (`memory/pool.rs`), its number and registration
//! (`memory.rs`).
//!
//! 1. **Entries** lie in a page-aligned ring of a power of two. The kernel takes them from its head, which nobody else sees;
//!    the tail is the last half-word of the first entry, so no entry is ever written as a whole.
//! 2. **The kernel tells of every buffer that it takes**, by a flag of the completion: `taken` counts along, and is the
//!    kernel's head when no request is under way.
//! 3. **Buffers come back through the pool**, not through here: whoever drops a lease does not touch the ring. So the ring is
//!    written under a lock by the poll thread, while requests are under way; and by others only to take entries back off
//!    its tail, when none is (`reclaim`), for then the kernel reads neither tail nor entries.
//!
//! # Safety
//!
//! An entry is made of a buffer that the pool has given to the ring: nobody reads or writes it until the kernel has picked
//! it, or it was reclaimed. A request that may pick one owns the pool, and so the slab. The mapping of the ring lives as
//! long as the group; the kernel keeps its pages by itself if that is shorter than the registration.

use crate::memory::Slab;
use crate::memory::{Mapping, Pages};
use std::sync::atomic::{AtomicU16, Ordering};
use weft_sync::Result;
use weft_sync::atomic::{Mutex, lock};

/// `io_uring_buf`.
#[repr(C)]
struct Entry {
    address: u64,
    length: u32,
    buffer: u16,
    /// Of the first entry: the tail of the ring.
    tail: AtomicU16,
}

const _: () = assert!(size_of::<Entry>() == 16);

/// Buffers in a ring, at most.
pub(super) const ENTRIES_MAX: u32 = 32_768;

/// See the header.
#[derive(Debug)]
pub(crate) struct Group {
    id: u16,
    entries: u32,
    ring: Mapping,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Entries ever added, but for those that were taken back off the tail.
    tail: u16,
    /// Entries that the kernel has told of.
    taken: u16,
    /// Requests that may pick a buffer.
    requests: u32,
}

impl State {
    /// How many lie in the ring.
    fn count(&self) -> u32 {
        u32::from(self.tail.wrapping_sub(self.taken))
    }
}

impl Group {
    /// An empty ring of as many entries, a power of two.
    pub(super) fn new(id: u16, entries: u32) -> Result<Group> {
        let bytes = entries as usize * size_of::<Entry>();
        let (ring, _) = Mapping::anonymous(bytes, Pages::Ordinary, None)?;
        Ok(Group { id, entries, ring, state: Mutex::new(State::default()) })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u16 {
        self.id
    }

    pub(super) fn address(&self) -> *mut u8 {
        self.ring.start().as_ptr()
    }

    /// The entry of this position.
    fn entry(&self, position: u16) -> *mut Entry {
        let index = u32::from(position) & (self.entries - 1);
        self.address().cast::<Entry>().wrapping_add(index as usize)
    }

    fn store_tail(&self, tail: u16) {
        // SAFETY: the first entry lies in the mapping, which is page-aligned and zeroed; this half-word of it is never
        // reached but atomically.
        let place = unsafe { &(*self.entry(0)).tail };
        // The kernel acquires: the entries before are written.
        place.store(tail, Ordering::Release);
    }

    /// A request that may pick a buffer goes to the kernel.
    pub(crate) fn begin(&self) {
        lock(&self.state).requests += 1;
    }

    /// The last answer of a request has come.
    pub(crate) fn end(&self) {
        let mut state = lock(&self.state);
        debug_assert!(state.requests > 0, "a request ends once");
        state.requests = state.requests.saturating_sub(1);
    }

    /// The kernel has told of one that it took.
    pub(crate) fn picked(&self) {
        let mut state = lock(&self.state);
        debug_assert!(state.count() > 0, "the kernel takes what is there");
        state.taken = state.taken.wrapping_add(1);
    }

    /// How many buffers lie in it.
    pub(crate) fn count(&self) -> u32 {
        lock(&self.state).count()
    }

    /// Adds buffers of the slab until there are so many, or `next` has none.
    pub(crate) fn feed(&self, slab: &Slab, up_to: u32, mut next: impl FnMut() -> Option<u16>) {
        let mut state = lock(&self.state);
        let before = state.tail;
        while state.count() < up_to.min(self.entries) {
            let Some(buffer) = next() else { break };
            let entry = self.entry(state.tail);
            let address = slab.buffer(buffer).expose_provenance() as u64;
            // SAFETY: within the mapping, for the position is masked; and the kernel does not read behind the tail.
            unsafe { (*entry).address = address };
            // SAFETY: as above. Checked when it was registered: the size fits.
            unsafe { (*entry).length = slab.buffer_size() as u32 };
            // SAFETY: as above.
            unsafe { (*entry).buffer = buffer };
            state.tail = state.tail.wrapping_add(1);
        }
        if state.tail != before {
            self.store_tail(state.tail);
        }
    }

    /// Takes the buffer that was added last out again, if no request may pick it (rule 3).
    pub(crate) fn reclaim(&self) -> Option<u16> {
        let mut state = lock(&self.state);
        if state.requests > 0 || state.count() == 0 {
            return None;
        }
        state.tail = state.tail.wrapping_sub(1);
        self.store_tail(state.tail);
        let entry = self.entry(state.tail);
        // SAFETY: within the mapping; written by `feed`, and the kernel only reads.
        Some(unsafe { (*entry).buffer })
    }
}
