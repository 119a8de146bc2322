//! Scratch memory of one worker, aligned to cache lines.

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
    /// At least `length` bytes. Allocate it on the thread that will use it, after pinning: the write of the zeroes puts
    /// the pages on that thread's node.
    pub(crate) fn new(length: usize) -> LocalMemory {
        let length = length.next_multiple_of(LOCAL_MEMORY_ALIGNMENT);
        // Not zeroes from the system, which would be pages that nobody has touched.
        let mut bytes = vec![u8::MAX; length + LOCAL_MEMORY_ALIGNMENT];
        bytes.fill(0);
        let start = bytes.as_ptr().align_offset(LOCAL_MEMORY_ALIGNMENT);
        LocalMemory { bytes, start, length }
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}
