//! Address space for images: reserved, written, protected. The one place of the loader that asks the OS for memory.
//!
//! 1. A reservation is inaccessible, with at least one inaccessible page on each side of the image.
//! 2. [`Writable`]: all regions are readable and writable, none is executable.
//! 3. [`Mapped`]: all regions have their final protection; there is no way back to `Writable`.
//!
//! So no page is ever writable and executable. Where the OS is not ported, reserving answers `UNAVAILABLE`.
#![allow(unsafe_code, reason = "maps memory and writes to it through raw pointers; rules in the header")]

use std::ops::Range;

#[cfg(tsan)]
use weft_sync::atomic::{AtomicU32, Ordering};
use weft_sync::{Result, bail, status};

use super::segments::{Protection, Region, Segments};

/// Size of a host page.
pub(super) fn page_bytes() -> u64 {
    platform::page_bytes()
}

/// Says what only the kernel knows: a range of addresses is given back before another thread gets it. The thread
/// sanitizer does not see these calls, and takes the images of two threads at one address for a race.
#[cfg(tsan)]
static HANDED_BACK: AtomicU32 = AtomicU32::new(0);

/// One reservation. Unmapped on drop.
#[derive(Debug)]
struct Reservation {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: owns plain address space; the pointer is not shared with any thread-bound facility.
unsafe impl Send for Reservation {}
// SAFETY: shared access only reads the fields.
unsafe impl Sync for Reservation {}

impl Drop for Reservation {
    fn drop(&mut self) {
        #[cfg(tsan)]
        HANDED_BACK.fetch_add(1, Ordering::Release); // pairs with the Acquire in `Writable::reserve`
        // SAFETY: `start` and `bytes` are those of one successful `platform::reserve`, released once; whoever held pointers
        // into it kept the `Mapped` alive, by the contract of `Mapped`.
        unsafe { platform::release(self.start, self.bytes) };
    }
}

/// An image that is being written. All its regions are mapped readable and writable.
#[derive(Debug)]
pub(super) struct Writable {
    reservation: Reservation,
    /// Start of the image inside the reservation.
    base: *mut u8,
    /// Offsets from `base`; ascending, disjoint, whole pages, inside the reservation.
    regions: Vec<(Range<usize>, Protection)>,
}

/// An image with its final protection.
///
/// Code and data in it may be used by address while it lives.
#[derive(Debug)]
pub(super) struct Mapped {
    base: *mut u8,
    regions: Vec<(Range<usize>, Protection)>,
    /// Owner of the memory; last, so that nothing of the image outlives it.
    _reservation: Reservation,
}

// SAFETY: `base` points into the owned reservation, which is `Send`.
unsafe impl Send for Mapped {}
// SAFETY: shared access only computes addresses; reading the bytes takes `&mut self`.
unsafe impl Sync for Mapped {}

impl Writable {
    /// Reserves room for all segments and makes their regions writable.
    pub(super) fn reserve(plan: &Segments, page_bytes: u64) -> Result<Writable> {
        let host_page = platform::page_bytes();
        if !page_bytes.is_multiple_of(host_page) {
            bail!(Internal, "layout for pages of {page_bytes} bytes on a host with {host_page}");
        }
        let too_large =
            || status!(ResourceExhausted, "an image of {:#x?} exceeds the address space", plan.span);
        let span = plan.span.end - plan.span.start;
        // A guard page on each side, and slack to align the base.
        let total = span
            .checked_add(plan.alignment)
            .and_then(|bytes| bytes.checked_add(2 * page_bytes))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(too_large)?;
        let reservation = Reservation { start: platform::reserve(total)?, bytes: total };
        #[cfg(tsan)]
        HANDED_BACK.load(Ordering::Acquire); // pairs with the Release in `Reservation::drop`
        let first = reservation.start.addr() + page_bytes as usize;
        let aligned = first.next_multiple_of(plan.alignment as usize);
        let base = reservation.start.wrapping_add(aligned - reservation.start.addr());
        let regions = regions_from(&plan.regions, plan.span.start);
        for run in contiguous_runs(&regions) {
            // SAFETY: regions lie in the span, which lies in the reservation with the base aligned as above: offset of base
            // is at most page + alignment, and `total` covers that plus span plus one page. Nobody has pointers into it.
            unsafe { platform::protect(base.wrapping_add(run.start), run.len(), READ_WRITE) }?;
        }
        Ok(Writable { reservation, base, regions })
    }

    /// Address of the start of the span. Code of the image reaches all of it by address.
    pub(super) fn base_address(&self) -> u64 {
        self.base.expose_provenance() as u64
    }

    /// Copies bytes to an offset from the base. They must fit one region.
    pub(super) fn store(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(bytes.len())?));
        let fits = |range: &Range<usize>| {
            self.regions.iter().any(|(region, _)| region.start <= range.start && range.end <= region.end)
        };
        let Some(range) = range.filter(fits) else {
            bail!(Internal, "a store of {} bytes at offset {offset:#x} misses the image", bytes.len());
        };
        let target = self.base.wrapping_add(range.start);
        // SAFETY: `range` lies in one region, all regions are mapped writable since `reserve`, and `bytes` is a borrow of
        // other memory, as no reference into the reservation is ever given out by `Writable`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        Ok(())
    }

    /// Applies the final protections, then makes `read_only` read-only, then lets instruction fetch see the code.
    pub(super) fn protect(self, read_only: Option<Range<u64>>) -> Result<Mapped> {
        let Writable { reservation, base, mut regions } = self;
        for (range, protection) in &regions {
            if *protection != READ_WRITE {
                // SAFETY: whole pages of the reservation; no reference into it exists.
                unsafe { platform::protect(base.wrapping_add(range.start), range.len(), *protection) }?;
            }
        }
        if let Some(range) = read_only {
            let range = range.start as usize..range.end as usize;
            let inside =
                regions.iter().any(|(region, _)| region.start <= range.start && range.end <= region.end);
            if !inside {
                bail!(Internal, "read-only pages {range:#x?} are not in one region");
            }
            // SAFETY: whole pages inside one region of the reservation; no reference into it exists.
            unsafe { platform::protect(base.wrapping_add(range.start), range.len(), READ) }?;
        }
        for (range, _) in regions.iter().filter(|(_, protection)| protection.execute) {
            // SAFETY: the region is mapped and readable.
            unsafe { instruction_fetch::make_coherent(base.wrapping_add(range.start), range.len()) };
        }
        regions.retain(|(_, protection)| protection.read);
        Ok(Mapped { base, regions, _reservation: reservation })
    }
}

impl Mapped {
    /// Readable bytes of the image. Exclusive borrow: the caller shows that no code of the image runs meanwhile.
    pub(super) fn bytes(&self, address: u64, size: u64) -> Option<&[u8]> {
        let offset = usize::try_from(address.checked_sub(self.base.addr() as u64)?).ok()?;
        let end = offset.checked_add(usize::try_from(size).ok()?)?;
        let inside = self.regions.iter().any(|(region, _)| region.start <= offset && end <= region.end);
        if !inside {
            return None;
        }
        // SAFETY: the range lies in one mapped readable region. It is not written while the slice lives: stores ended with
        // `Writable`, and code of the image runs only through an executable, which is made after the `&mut Image` of
        // `Image::memory` (the only caller) is given back.
        Some(unsafe { std::slice::from_raw_parts(self.base.wrapping_add(offset), end - offset) })
    }
}

const READ: Protection = Protection { read: true, write: false, execute: false };
const READ_WRITE: Protection = Protection { read: true, write: true, execute: false };

fn regions_from(regions: &[Region], low: u64) -> Vec<(Range<usize>, Protection)> {
    let offset = |address: u64| (address - low) as usize;
    regions
        .iter()
        .map(|region| (offset(region.pages.start)..offset(region.pages.end), region.protection))
        .collect()
}

/// Joins regions that follow each other without a gap: one system call instead of several.
fn contiguous_runs(regions: &[(Range<usize>, Protection)]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (range, _) in regions {
        match runs.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => runs.push(range.clone()),
        }
    }
    runs
}

// Apple's Arm processors demand the JIT flag and per-thread write protection: not ported. Windows: not ported.
#[cfg(all(unix, not(all(target_vendor = "apple", target_arch = "aarch64"))))]
mod platform {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
    use weft_sync::{Result, status};

    use super::Protection;

    pub(super) fn page_bytes() -> u64 {
        rustix::param::page_size() as u64
    }

    /// Inaccessible address space at an address that the kernel chooses.
    pub(super) fn reserve(bytes: usize) -> Result<*mut u8> {
        // SAFETY: a null hint without MAP_FIXED: no existing mapping is touched.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                bytes,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        };
        start.map(<*mut std::ffi::c_void>::cast).map_err(|errno| {
            status!(ResourceExhausted, "cannot reserve {bytes} bytes of address space: {errno}")
        })
    }

    /// # Safety
    /// Whole pages of a reservation, whose contents nobody refers to.
    pub(super) unsafe fn protect(start: *mut u8, bytes: usize, protection: Protection) -> Result<()> {
        let mut flags = MprotectFlags::empty();
        flags.set(MprotectFlags::READ, protection.read);
        flags.set(MprotectFlags::WRITE, protection.write);
        flags.set(MprotectFlags::EXEC, protection.execute);
        // SAFETY: by the caller.
        unsafe { mprotect(start.cast(), bytes, flags) }.map_err(|errno| {
            let code = if protection.execute {
                weft_sync::Code::PermissionDenied
            } else {
                weft_sync::Code::ResourceExhausted
            };
            weft_sync::Status::new(code, format!("cannot protect {bytes} bytes as {flags:?}: {errno}"))
        })
    }

    /// # Safety
    /// Exactly one reservation, to which no pointer is used any more.
    pub(super) unsafe fn release(start: *mut u8, bytes: usize) {
        // SAFETY: by the caller.
        let outcome = unsafe { munmap(start.cast(), bytes) };
        debug_assert!(outcome.is_ok(), "unmapping an image: {outcome:?}");
    }
}

#[cfg(not(all(unix, not(all(target_vendor = "apple", target_arch = "aarch64")))))]
mod platform {
    use weft_sync::{Result, bail};

    use super::Protection;

    pub(super) fn page_bytes() -> u64 {
        4096
    }

    pub(super) fn reserve(_bytes: usize) -> Result<*mut u8> {
        bail!(Unavailable, "loading embedded ELF files is not ported to this operating system")
    }

    pub(super) unsafe fn protect(_start: *mut u8, _bytes: usize, _protection: Protection) -> Result<()> {
        bail!(Unavailable, "loading embedded ELF files is not ported to this operating system")
    }

    pub(super) unsafe fn release(_start: *mut u8, _bytes: usize) {}
}

#[cfg(target_arch = "aarch64")]
mod instruction_fetch {
    use std::arch::asm;

    /// Cleans data and invalidates instructions over the range, so that fetch sees what was stored.
    ///
    /// # Safety
    /// The range is mapped and readable.
    pub(super) unsafe fn make_coherent(start: *const u8, bytes: usize) {
        let cache_type: u64;
        // SAFETY: reads a register that user code may read.
        unsafe { asm!("mrs {}, ctr_el0", out(reg) cache_type, options(nomem, nostack, preserves_flags)) };
        let instruction_line = 4_usize << (cache_type & 15);
        let data_line = 4_usize << (cache_type >> 16 & 15);
        let (first, end) = (start.addr(), start.addr() + bytes);
        for line in (first & !(data_line - 1)..end).step_by(data_line) {
            // SAFETY: the line holds a byte of the readable range.
            unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
        }
        // SAFETY: a barrier.
        unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
        for line in (first & !(instruction_line - 1)..end).step_by(instruction_line) {
            // SAFETY: the line holds a byte of the readable range.
            unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
        }
        // SAFETY: barriers.
        unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
    }
}

#[cfg(not(target_arch = "aarch64"))]
mod instruction_fetch {
    /// Instruction fetch is coherent here (x86-64), or the machine's files are not loaded at all.
    ///
    /// # Safety
    /// None needed.
    pub(super) unsafe fn make_coherent(_start: *const u8, _bytes: usize) {}
}
