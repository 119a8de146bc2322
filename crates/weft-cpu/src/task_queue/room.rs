//! Room of operations that are over, for the next ones.
//!
//! 1. A list keeps its storage up to [`ELEMENTS_MAX`] elements.
//! 2. The bytes that are kept for updates are counted for the whole queue, up to [`BYTES_MAX`]. Beyond that an update that
//!    has to wait allocates.

use weft_hal::BindingEntry;
use weft_sync::atomic::{AtomicUsize, Ordering};

use super::job::OwnedEntry;

/// Elements that a list keeps storage for.
const ELEMENTS_MAX: usize = 256;

/// Bytes that all operations of a queue together keep for updates.
const BYTES_MAX: usize = 16 << 20;

/// What a job needs beside its operation. Empty between two jobs.
#[derive(Default)]
pub(crate) struct Room {
    /// Of an update.
    pub(super) bytes: Vec<u8>,
    /// A table.
    pub(super) entries: Vec<OwnedEntry>,
    /// The same table, when it is used.
    pub(super) table: Vec<BindingEntry<'static>>,
    /// What was counted for `bytes`.
    counted: usize,
}

/// Counts bytes that are kept.
#[derive(Default)]
pub(super) struct KeptBytes(AtomicUsize);

impl KeptBytes {
    /// A job is over.
    pub(super) fn keep(&self, room: &mut Room) {
        let capacity = room.bytes.capacity();
        if capacity == room.counted {
            return;
        }
        // Relaxed: a count, with no order to anything.
        self.0.fetch_sub(std::mem::take(&mut room.counted), Ordering::Relaxed);
        if self.0.fetch_add(capacity, Ordering::Relaxed) + capacity <= BYTES_MAX {
            room.counted = capacity;
        } else {
            self.0.fetch_sub(capacity, Ordering::Relaxed);
            room.bytes = Vec::new();
        }
    }

    /// The room goes.
    pub(super) fn release(&self, room: &mut Room) {
        room.bytes = Vec::new();
        self.keep(room);
    }
}

/// The storage of a list, without its elements.
pub(super) fn emptied<T>(mut list: Vec<T>) -> Vec<T> {
    list.clear();
    if list.capacity() > ELEMENTS_MAX { Vec::new() } else { list }
}

/// The storage of a table, for entries that live longer.
pub(super) fn emptied_table(table: Vec<BindingEntry<'_>>) -> Vec<BindingEntry<'static>> {
    // Collecting from a list into one of the same layout uses its storage again.
    emptied(table).into_iter().map(|_| BindingEntry { buffer: None, offset: 0, length: 0 }).collect()
}
