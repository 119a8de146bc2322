//! Scratch memory of one worker, aligned to cache lines.
//!
//! What lives here: [`LocalMemory`], and [`Scratch`], by which a drain has it.
//!
//! 1. It is set aside where its size may be refused, and touched first by the thread that uses it, after pinning: the
//!    write of the zeroes puts the pages on that thread's node.
//! 2. It is lent to one drain. One that forgets what it was lent (`mem::forget`) has had it; the next drain gets new
//!    memory.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};

use weft_sync::{Code, Result, Status};

use crate::tuning::LOCAL_MEMORY_BYTES_MAX;

/// Scratch bytes start at a multiple of this, and their number is one.
pub const LOCAL_MEMORY_ALIGNMENT: usize = 64;

/// Memory that one thread uses at a time.
#[derive(Debug, Default)]
pub(crate) struct LocalMemory {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl LocalMemory {
    /// Sets at least `length` bytes aside, untouched.
    pub(crate) fn set_aside(length: usize) -> Result<LocalMemory> {
        let refused = |why: &dyn fmt::Display| {
            let message = format!("{length} bytes of local memory for a worker: {why}");
            Status::new(Code::ResourceExhausted, message)
        };
        if length > LOCAL_MEMORY_BYTES_MAX {
            return Err(refused(&format_args!("the most are {LOCAL_MEMORY_BYTES_MAX}")));
        }
        let length = length.next_multiple_of(LOCAL_MEMORY_ALIGNMENT);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length + LOCAL_MEMORY_ALIGNMENT).map_err(|error| refused(&error))?;
        Ok(LocalMemory { bytes, start: 0, length })
    }

    /// Writes zeroes to it; by the thread that will use it (rule 1).
    pub(crate) fn touch(&mut self) {
        self.bytes.resize(self.length + LOCAL_MEMORY_ALIGNMENT, 0);
        self.start = self.bytes.as_ptr().align_offset(LOCAL_MEMORY_ALIGNMENT);
    }

    /// For a thread that needs it now.
    pub(crate) fn new(length: usize) -> Result<LocalMemory> {
        let mut memory = LocalMemory::set_aside(length)?;
        memory.touch();
        Ok(memory)
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.length
    }
}

/// Scratch memory of a worker, as bytes; from [`WorkerContext::local_memory`](crate::WorkerContext::local_memory).
pub struct Scratch<'a> {
    memory: LocalMemory,
    home: &'a Cell<Option<LocalMemory>>,
    is_lent: &'a Cell<bool>,
}

impl<'a> Scratch<'a> {
    /// What is at home, or new memory if an earlier drain has forgotten it (rule 2).
    pub(crate) fn take(
        home: &'a Cell<Option<LocalMemory>>,
        is_lent: &'a Cell<bool>,
        length: impl FnOnce() -> usize,
    ) -> Scratch<'a> {
        assert!(!is_lent.replace(true), "a drain has the local memory once at a time");
        let memory = home.take().unwrap_or_else(|| match LocalMemory::new(length()) {
            Ok(memory) => memory,
            // Fails the drain that asked for it.
            Err(status) => panic!("{status}"),
        });
        Scratch { memory, home, is_lent }
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        self.home.set(Some(mem::take(&mut self.memory)));
        self.is_lent.set(false);
    }
}

impl Deref for Scratch<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.memory.bytes[self.memory.range()]
    }
}

impl DerefMut for Scratch<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let range = self.memory.range();
        &mut self.memory.bytes[range]
    }
}

impl fmt::Debug for Scratch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("bytes", &self.len()).finish_non_exhaustive()
    }
}
