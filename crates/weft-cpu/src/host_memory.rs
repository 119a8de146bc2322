//! Host memory for buffers: size classes over the system heap, with freed blocks kept for the next request.
//!
//! Why: a fresh 64 MiB block costs 20 ms of page faults at first touch, a kept one nothing.
//!
//! 1. Sizes are rounded up to classes, four to a doubling, so at most a quarter is wasted (and never touched: huge pages are
//!    asked for as far as they are filled).
//! 2. Fresh memory is zeroed; kept memory holds old bytes. Nobody is ever given memory that was not initialised.
//! 3. A freed block is kept as long as all kept blocks together stay below the larger of 256 MiB and 5/4 of the most
//!    that was ever lent at once: the process never grows beyond about twice its own need. When a block does not fit,
//!    all kept blocks (they are of sizes that are no longer asked for) are freed first. Blocks below 4 KiB are kept
//!    without being counted: there are never more of them than were lent at once.
//! 4. `trim` frees what is kept. Statistics count what is lent, not what is kept.
//! 5. Blocks of 4 MiB and more start at 2 MiB boundaries and ask for huge pages (`presence.rs`).

#![allow(unsafe_code, reason = "allocates and frees raw memory; layouts are computed in one place")]

use std::alloc::Layout;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use weft_hal::{
    AllocatorBackend, BlockHome, BufferParams, HOST_ALIGNMENT, HostBlock, Pinned, RawBlock, Side, Statistics,
    StatisticsCounters,
};
use weft_sync::atomic::{AtomicU64, Mutex, Ordering, lock};
use weft_sync::{Result, Status, status};

use crate::presence::{self, HUGE_BYTES_MIN, HUGE_PAGE, Presence};

/// Classes up to 2^40 bytes; what is larger is not kept.
const CLASS_COUNT: usize = 4 + 4 * 32;
/// Kept bytes that are fine whatever the process needed so far.
const KEPT_BYTES_FLOOR: u64 = 256 << 20;
/// The first class whose kept blocks are counted: 4 KiB.
const CLASS_COUNTED_FIRST: usize = 19;
/// Alignments beyond this are refused: the padding would not fit a token.
const ALIGNMENT_MAX: u64 = 1 << 32;
/// The heap is asked for this; what more is needed is padded.
const HEAP_ALIGNMENT: usize = 16;

/// The allocator backend of CPU devices. Cheap to clone; clones share their blocks.
#[derive(Clone)]
pub struct HostMemory {
    pool: Arc<Pool>,
}

struct Pool {
    classes: [Mutex<Vec<Kept>>; CLASS_COUNT],
    kept_bytes: AtomicU64,
    counters: StatisticsCounters,
    presence: Presence,
}

/// A block that waits for its next use.
struct Kept(Span);

/// Where memory is and what the heap was asked for.
#[derive(Clone, Copy)]
struct Span {
    base: NonNull<u8>,
    /// Bytes between what the heap returned and `base`.
    padding: usize,
}

// SAFETY: a kept block is memory that nobody uses; its address has no thread affinity.
unsafe impl Send for Kept {}

/// What a block's home has to know again, packed into the block's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token {
    /// `None`: not kept; the alignment is then that of the request.
    class: Option<u8>,
    /// `None`: not counted.
    side: Option<Side>,
    alignment_log2: u8,
    padding: usize,
}

impl HostMemory {
    /// An allocator with nothing kept.
    pub fn new() -> HostMemory {
        let pool = Pool {
            classes: [const { Mutex::new(Vec::new()) }; CLASS_COUNT],
            kept_bytes: AtomicU64::new(0),
            counters: StatisticsCounters::default(),
            presence: Presence::default(),
        };
        HostMemory { pool: Arc::new(pool) }
    }

    /// A block for the device's own use: aligned to 64 and not counted.
    pub(crate) fn scratch(&self, bytes: usize) -> Result<HostBlock> {
        self.take(bytes, HOST_ALIGNMENT, None)
    }

    /// Bytes that are set aside for a request of so many.
    pub(crate) fn reserved_bytes(&self, size: u64) -> u64 {
        let class = usize::try_from(size).ok().and_then(class_of);
        class.map_or(size, |class| class_bytes(class) as u64)
    }

    /// Bytes that are kept for later, in blocks of 4 KiB and more.
    pub fn kept_bytes(&self) -> u64 {
        self.pool.kept_bytes.load(Ordering::Relaxed)
    }

    fn take(&self, size: usize, alignment: usize, side: Option<Side>) -> Result<HostBlock> {
        let mut is_untouched = false;
        let (token, base) = match class_of(size) {
            Some(class) if alignment <= class_alignment(class_bytes(class)) => {
                // A statement of its own: in the head of the `match` the lock would be held in its arms as well, and
                // `fresh` locks every class when memory is short.
                let kept = lock(&self.pool.classes[class]).pop();
                let span = match kept {
                    Some(Kept(span)) => {
                        if class >= CLASS_COUNTED_FIRST {
                            self.pool.kept_bytes.fetch_sub(class_bytes(class) as u64, Ordering::Relaxed);
                        }
                        span
                    }
                    None => {
                        is_untouched = true;
                        self.fresh(class_bytes(class), class_alignment(class_bytes(class)))?
                    }
                };
                (
                    Token { class: Some(class as u8), side, alignment_log2: 0, padding: span.padding },
                    span.base,
                )
            }
            _ => {
                is_untouched = true;
                let span = self.fresh(size.max(1), alignment)?;
                let alignment_log2 = alignment.trailing_zeros() as u8;
                (Token { class: None, side, alignment_log2, padding: span.padding }, span.base)
            }
        };
        if let Some(side) = side {
            self.pool.counters.allocated(side, size as u64);
        }
        let raw = RawBlock { base, length: size, token: token.pack() };
        if is_untouched {
            presence::want_huge_pages(base, size);
        }
        // SAFETY: the span has at least `size` bytes, initialised by `fresh` at its first use; it left the pool above,
        // so nobody else has it, and `reclaim` is the only place where it goes back.
        let block = unsafe { HostBlock::new(raw, Arc::clone(&self.pool) as Arc<dyn BlockHome>) };
        Ok(if is_untouched { block.untouched() } else { block })
    }

    /// Zeroed memory from the heap; kept blocks are given up first if there is none.
    #[cold]
    fn fresh(&self, size: usize, alignment: usize) -> Result<Span> {
        let layout = heap_layout(size, alignment).ok_or_else(|| exhausted(size))?;
        let span = match allocate(layout, alignment) {
            Some(span) => span,
            None => {
                self.pool.free_kept();
                allocate(layout, alignment).ok_or_else(|| exhausted(size))?
            }
        };
        Ok(span)
    }
}

impl Default for HostMemory {
    fn default() -> HostMemory {
        HostMemory::new()
    }
}

impl AllocatorBackend for HostMemory {
    #[inline]
    fn allocate_block(&self, params: &BufferParams, size: u64) -> Result<HostBlock> {
        if params.alignment_min > ALIGNMENT_MAX {
            return Err(status!(
                ResourceExhausted,
                "alignment {} is beyond {ALIGNMENT_MAX}",
                params.alignment_min
            ));
        }
        let alignment = (params.alignment_min as usize).max(HOST_ALIGNMENT);
        let bytes = usize::try_from(size).map_err(|_| exhausted(usize::MAX))?;
        self.take(bytes, alignment, Some(Side::of(params.memory_type)))
    }

    fn prefault(&self, memory: &Pinned<'_>, range: Range<usize>) -> usize {
        self.pool.presence.prefault(memory, range)
    }

    fn statistics(&self) -> Statistics {
        self.pool.counters.snapshot()
    }

    fn trim(&self) {
        self.pool.free_kept();
    }
}

impl Pool {
    fn kept_bytes_max(&self) -> u64 {
        let peak = self.counters.peak();
        KEPT_BYTES_FLOOR.max(peak.saturating_add(peak / 4))
    }

    fn keep(&self, class: usize, span: Span) {
        if class >= CLASS_COUNTED_FIRST {
            let bytes = class_bytes(class) as u64;
            let kept = self.kept_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            if kept > self.kept_bytes_max() {
                self.free_kept();
            }
        }
        lock(&self.classes[class]).push(Kept(span));
    }

    #[cold]
    fn free_kept(&self) {
        for (class, kept) in self.classes.iter().enumerate() {
            let freed = std::mem::take(&mut *lock(kept));
            if class >= CLASS_COUNTED_FIRST {
                self.kept_bytes.fetch_sub(freed.len() as u64 * class_bytes(class) as u64, Ordering::Relaxed);
            }
            for Kept(span) in freed {
                // SAFETY: the block was taken off its list, so nobody else has it, and it was made with this class.
                unsafe { free(span, class_bytes(class), class_alignment(class_bytes(class))) };
            }
        }
    }
}

impl BlockHome for Pool {
    fn reclaim(&self, block: RawBlock) {
        let token = Token::unpack(block.token);
        if let Some(side) = token.side {
            self.counters.freed(side, block.length as u64);
        }
        let span = Span { base: block.base, padding: token.padding };
        match token.class {
            Some(class) => self.keep(usize::from(class), span),
            // SAFETY: `take` made this block with these values and it comes back once.
            None => unsafe { free(span, block.length.max(1), 1 << token.alignment_log2) },
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.free_kept();
    }
}

impl Token {
    const NO_CLASS: u64 = 0xFF;

    fn pack(self) -> u64 {
        let class = self.class.map_or(Token::NO_CLASS, u64::from);
        let side = match self.side {
            None => 0,
            Some(Side::Host) => 1,
            Some(Side::Device) => 2,
        };
        class | side << 8 | u64::from(self.alignment_log2) << 10 | (self.padding as u64) << 16
    }

    fn unpack(token: u64) -> Token {
        let class = token & 0xFF;
        Token {
            class: (class != Token::NO_CLASS).then_some(class as u8),
            side: match token >> 8 & 3 {
                0 => None,
                1 => Some(Side::Host),
                _ => Some(Side::Device),
            },
            alignment_log2: (token >> 10 & 0x3F) as u8,
            padding: (token >> 16) as usize,
        }
    }
}

/// The smallest class that holds `size` bytes.
#[inline]
fn class_of(size: usize) -> Option<usize> {
    let last = size.max(1) - 1;
    if last < 256 {
        return Some(last / 64);
    }
    // 2^log <= last < 2^(log + 1): four steps of 2^(log - 2).
    let log = last.ilog2() as usize;
    let class = 4 + (log - 8) * 4 + (last >> (log - 2)) - 4;
    (class < CLASS_COUNT).then_some(class)
}

/// Bytes of a class.
#[inline]
fn class_bytes(class: usize) -> usize {
    if class < 4 {
        return 64 * (class + 1);
    }
    let log = 8 + (class - 4) / 4;
    (4 + (class - 4) % 4 + 1) << (log - 2)
}

/// Alignment of all blocks of a class.
#[inline]
fn class_alignment(bytes: usize) -> usize {
    if bytes >= HUGE_BYTES_MIN { HUGE_PAGE } else { HOST_ALIGNMENT }
}

/// What the heap is asked for so that an aligned block of `size` bytes lies in it.
fn heap_layout(size: usize, alignment: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(alignment)?, HEAP_ALIGNMENT).ok()
}

/// Zeroed memory, for large sizes straight from the system and not yet touched: hence a small alignment for the heap,
/// which otherwise clears by hand, and the padding here.
fn allocate(layout: Layout, alignment: usize) -> Option<Span> {
    // SAFETY: the layout has at least `alignment` bytes, so its size is not 0.
    let start = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })?;
    let padding = start.addr().get().next_multiple_of(alignment) - start.addr().get();
    // SAFETY: `padding < alignment`, and the layout has `alignment` bytes more than the block.
    let base = unsafe { start.add(padding) };
    Some(Span { base, padding })
}

/// # Safety
/// `span` came from `allocate` for this size and alignment, and is not used any more.
unsafe fn free(span: Span, size: usize, alignment: usize) {
    let layout = heap_layout(size, alignment).expect("the layout was valid when the block was made");
    // SAFETY: the heap returned this address; `base` is `padding` bytes into its block.
    let start = unsafe { span.base.sub(span.padding) };
    // SAFETY: allocated with this layout, and by the caller's promise freed once.
    unsafe { std::alloc::dealloc(start.as_ptr(), layout) }
}

#[cold]
fn exhausted(size: usize) -> Status {
    status!(ResourceExhausted, "the host has no {size} bytes left")
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    fn device_local(alignment_min: u64) -> BufferParams {
        BufferParams { alignment_min, ..BufferParams::device_local() }
    }

    #[test]
    fn classes_cover_sizes_tightly() {
        for size in (0..5000).chain([1 << 20, (1 << 20) + 1, (1 << 30) - 1, 3 << 30]) {
            let class = class_of(size).unwrap();
            assert!(class_bytes(class) >= size, "{size}");
            assert!(class == 0 || class_bytes(class - 1) < size, "{size}");
            assert!(size <= 256 || class_bytes(class) <= size + size / 4 + 1, "{size}");
        }
        assert_eq!(class_of(4096), Some(CLASS_COUNTED_FIRST));
        assert_eq!(class_of(1 << 40), Some(CLASS_COUNT - 1));
        assert_eq!(class_of((1 << 40) + 1), None);
    }

    #[test]
    fn tokens_survive_packing() {
        let sides = [None, Some(Side::Host), Some(Side::Device)];
        for (class, side) in [None, Some(0), Some(131)].into_iter().flat_map(|c| sides.map(|s| (c, s))) {
            let token = Token { class, side, alignment_log2: 32, padding: (1 << 32) - 16 };
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }

    /// A refusal gives up what is kept and says so; it used to wait for ever for the lock of its own class.
    #[test]
    fn memory_that_cannot_be_had_is_refused_and_the_rest_goes_on() {
        let memory = HostMemory::new();
        drop(memory.allocate_block(&device_local(0), 10_000).unwrap());
        // Systems that promise any amount grant this one; nobody touches it.
        if let Err(status) = memory.allocate_block(&device_local(0), 1 << 40) {
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert_eq!(memory.kept_bytes(), 0, "what was kept is given back first");
        }
        assert_eq!(memory.allocate_block(&device_local(0), 10_000).unwrap().length(), 10_000);
    }

    #[test]
    fn a_freed_block_is_used_again_and_trim_frees_it() {
        let memory = HostMemory::new();
        let first = memory.allocate_block(&device_local(0), 10_000).unwrap();
        let base = first.base();
        drop(first);
        assert_eq!(memory.kept_bytes(), 10 << 10);
        let second = memory.allocate_block(&device_local(0), 9000).unwrap();
        assert_eq!(second.base(), base);
        assert_eq!((second.length(), memory.kept_bytes()), (9000, 0));
        drop(second);
        memory.trim();
        assert_eq!(memory.kept_bytes(), 0);
    }

    #[test]
    fn blocks_are_aligned_and_large_ones_to_huge_pages() {
        let memory = HostMemory::new();
        for (size, asked, have) in
            [(1, 0, 64), (300, 4096, 4096), (5 << 20, 0, HUGE_PAGE), (0, 1 << 22, 1 << 22)]
        {
            let block = memory.allocate_block(&device_local(asked), size).unwrap();
            assert_eq!(block.base().addr().get() % have, 0, "{size}");
        }
        let refused = memory.allocate_block(&device_local(1 << 40), 1).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }

    /// Whether this process has the page at an address.
    #[cfg(all(target_os = "linux", not(tsan)))]
    fn is_present(address: usize) -> bool {
        use std::os::unix::fs::FileExt;
        let mut entry = [0; 8];
        let map = std::fs::File::open("/proc/self/pagemap").unwrap();
        map.read_exact_at(&mut entry, address as u64 / 4096 * 8).unwrap();
        u64::from_le_bytes(entry) >> 63 == 1
    }

    // The heap of the race detector touches what it gives.
    #[cfg(all(target_os = "linux", not(tsan)))]
    #[test]
    fn fresh_blocks_are_made_present_step_by_step() {
        use weft_hal::{Buffer, BufferMetadata, DeviceId};

        const BYTES: usize = (31 << 20) + 5;
        let memory = HostMemory::new();
        let fresh = |size: usize| {
            let block = memory.allocate_block(&device_local(0), size as u64).unwrap();
            let metadata = BufferMetadata::new(&BufferParams::device_local(), DeviceId::unique());
            Buffer::resident(metadata, size as u64, block)
        };
        let block = fresh(BYTES);
        assert!(block.is_untouched());
        let pinned = block.pin().unwrap();
        let base = pinned.base().addr();
        let first = memory.prefault(&pinned, 0..BYTES);
        if first == BYTES {
            return; // not on this system
        }
        assert!(is_present(base + first - 1));
        assert!(!is_present(base + (30 << 20) - 1), "{first} bytes were enough");
        let mut next = first;
        while next < BYTES {
            let after = memory.prefault(&pinned, next..BYTES);
            assert!(after > next);
            next = after;
        }
        assert!((0..30 << 20).step_by(4096).all(|at| is_present(base + at)));
        assert!(!is_present(base + BYTES - 1), "no more than whole pages of the block");
        let other = fresh(BYTES);
        let parts = other.pin().unwrap();
        let at = |offset: usize| is_present(parts.base().addr() + offset);
        let (page, end) = ((24 << 20) + 4096, (24 << 20) + 5000);
        assert_eq!(memory.prefault(&parts, page..end), end);
        assert!(at(24 << 20) && at((26 << 20) - 1), "wherever a range begins and ends, whole pages");
        assert!(!at((24 << 20) - 1) && !at(26 << 20), "and no others");
        assert_eq!(memory.prefault(&parts, BYTES - 1..BYTES), BYTES);
        assert!(!at(30 << 20), "nor beyond the block's own");
        assert_eq!(memory.prefault(&parts, usize::MAX - 1..usize::MAX), usize::MAX);
        assert!(!at((30 << 20) - 1), "there is nothing");
        // Kept memory may hold bytes of others, and was touched.
        drop(pinned);
        drop(block);
        let again = fresh(BYTES);
        assert_eq!(again.pin().unwrap().base().addr(), base);
        assert!(!again.is_untouched());
        for size in [0, 100, (4 << 20) - 1] {
            let small = fresh(size);
            assert_eq!(memory.prefault(&small.pin().unwrap(), 0..size), size);
        }
    }

    #[test]
    fn kept_blocks_make_room_when_sizes_change() {
        let memory = HostMemory::new();
        for size in [200 << 20, 100 << 20_u64] {
            drop(memory.allocate_block(&device_local(0), size).unwrap());
        }
        // The second did not fit beside the first below 256 MiB (5/4 of the peak are 250), so the first went.
        assert!(memory.kept_bytes() < 200 << 20, "{}", memory.kept_bytes());
        assert!(memory.kept_bytes() >= 100 << 20);
    }
}
