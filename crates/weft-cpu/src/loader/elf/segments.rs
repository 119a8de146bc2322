//! LOAD segments and the page regions that they need (`docs/spec/executables.md` §2.3, §2.4).
//!
//! What lives here: checked segments, their tables in the file, and the plan of which host pages get which protection.
//! Segments are byte ranges; regions are page ranges. Two segments may share a page only with equal protection.

use std::ops::Range;

use weft_sync::{Result, bail, status};

use super::Target;
use super::fields::bytes;
use super::header::{self, ProgramHeader};

/// Final access of a segment. No segment is both writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Reading is allowed.
    pub read: bool,
    /// Writing is allowed.
    pub write: bool,
    /// Execution is allowed.
    pub execute: bool,
}

impl Protection {
    fn from_flags(flags: u32) -> Protection {
        let (execute, write) = (flags & 1 != 0, flags & 2 != 0);
        Protection { read: flags & 4 != 0 || execute || write, write, execute }
    }
}

/// One LOAD segment. Addresses are those of the file; the image adds its bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Addresses in memory.
    pub memory: Range<u64>,
    /// Offset of the file-backed bytes.
    pub file_offset: u64,
    /// Number of file-backed bytes; the rest is zero.
    pub file_bytes: u64,
    /// Final access.
    pub protection: Protection,
}

impl Segment {
    /// Addresses that have bytes in the file.
    pub fn file_backed(&self) -> Range<u64> {
        self.memory.start..self.memory.start + self.file_bytes
    }
}

/// Whole pages with one final access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Page-aligned addresses.
    pub pages: Range<u64>,
    /// Final access.
    pub protection: Protection,
}

/// All segments of a file and what follows from them.
#[derive(Clone, Debug)]
pub struct Segments {
    /// Ascending, disjoint, not empty.
    pub segments: Vec<Segment>,
    /// Ascending, disjoint.
    pub regions: Vec<Region>,
    /// Page-rounded union of all segments.
    pub span: Range<u64>,
    /// Alignment of the image: a power of two, at least a page.
    pub alignment: u64,
    /// Pages that become read-only after relocation.
    pub read_only: Option<Range<u64>>,
}

/// `inner` lies in `outer`.
pub(super) fn contains(outer: &Range<u64>, inner: &Range<u64>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

impl Segments {
    /// The segment whose file-backed bytes hold the whole range, with those bytes.
    pub(super) fn table<'a>(&self, data: &'a [u8], address: u64, size: u64) -> Option<&'a [u8]> {
        let range = address..address.checked_add(size)?;
        let segment = self.segments.iter().find(|segment| contains(&segment.file_backed(), &range))?;
        bytes(data, segment.file_offset + (address - segment.memory.start), size)
    }

    /// The segment that holds this range in memory.
    pub(super) fn holding(&self, range: &Range<u64>) -> Option<&Segment> {
        self.segments.iter().find(|segment| contains(&segment.memory, range))
    }
}

/// Checks all program headers that matter; gives the segments and the dynamic table's address and size.
pub(super) fn plan(
    data: &[u8],
    headers: &[ProgramHeader],
    target: &Target,
) -> Result<(Segments, Range<u64>)> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut alignment = target.page_bytes;
    let mut dynamic = None;
    let mut relro = None;
    for (index, entry) in headers.iter().enumerate() {
        match entry.kind {
            header::PT_LOAD => {
                let segment = load_segment(data, index, entry)?;
                follow(&segments, &segment, index)?;
                if !segment.memory.is_empty() {
                    segments.push(segment);
                }
                alignment = alignment.max(entry.alignment);
            }
            header::PT_DYNAMIC => set_once(&mut dynamic, entry, "DYNAMIC")?,
            header::PT_GNU_RELRO => set_once(&mut relro, entry, "GNU_RELRO")?,
            header::PT_GNU_STACK if entry.flags & 1 != 0 => {
                bail!(PermissionDenied, "ELF program header {index}: executable stack");
            }
            header::PT_TLS => bail!(Unimplemented, "ELF program header {index}: thread-local storage"),
            header::PT_INTERP => bail!(Unimplemented, "ELF program header {index}: needs an interpreter"),
            _ => {}
        }
    }
    let Some(dynamic) = dynamic else {
        bail!(FailedPrecondition, "ELF program headers: no DYNAMIC segment");
    };
    let span = check_span(&segments, alignment, target)?;
    let regions = regions(&segments, target.page_bytes)?;
    let read_only = match relro {
        None => None,
        Some(relro) => read_only_pages(&segments, &relro, target.page_bytes)?,
    };
    let dynamic = dynamic.address..dynamic.address.saturating_add(dynamic.file_bytes);
    Ok((Segments { segments, regions, span, alignment, read_only }, dynamic))
}

fn set_once(slot: &mut Option<ProgramHeader>, entry: &ProgramHeader, name: &str) -> Result<()> {
    if slot.replace(*entry).is_some() {
        bail!(FailedPrecondition, "ELF program headers: more than one {name} segment");
    }
    Ok(())
}

fn load_segment(data: &[u8], index: usize, entry: &ProgramHeader) -> Result<Segment> {
    let ProgramHeader { offset, address, file_bytes, memory_bytes, alignment, .. } = *entry;
    let length = data.len() as u64;
    if offset.checked_add(file_bytes).is_none_or(|end| end > length) {
        bail!(
            FailedPrecondition,
            "ELF segment {index}: {file_bytes} bytes at offset {offset} exceed the file of {length} bytes"
        );
    }
    if file_bytes > memory_bytes {
        bail!(
            FailedPrecondition,
            "ELF segment {index}: {file_bytes} file bytes for {memory_bytes} memory bytes"
        );
    }
    let Some(end) = address.checked_add(memory_bytes) else {
        bail!(
            FailedPrecondition,
            "ELF segment {index}: {memory_bytes} bytes at address {address:#x} overflow"
        );
    };
    if alignment > 1 {
        if !alignment.is_power_of_two() {
            bail!(FailedPrecondition, "ELF segment {index}: alignment {alignment} is not a power of two");
        }
        if address % alignment != offset % alignment {
            bail!(
                FailedPrecondition,
                "ELF segment {index}: address {address:#x} and offset {offset:#x} differ modulo {alignment:#x}"
            );
        }
    }
    let protection = Protection::from_flags(entry.flags);
    if protection.write && protection.execute {
        bail!(PermissionDenied, "ELF segment {index} is both writable and executable");
    }
    Ok(Segment { memory: address..end, file_offset: offset, file_bytes, protection })
}

fn follow(segments: &[Segment], next: &Segment, index: usize) -> Result<()> {
    if let Some(last) = segments.last()
        && next.memory.start < last.memory.end
    {
        bail!(
            FailedPrecondition,
            "ELF segment {index}: starts at {:#x}, before the end {:#x} of the one before",
            next.memory.start,
            last.memory.end
        );
    }
    Ok(())
}

fn check_span(segments: &[Segment], alignment: u64, target: &Target) -> Result<Range<u64>> {
    let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
        bail!(FailedPrecondition, "ELF program headers: no LOAD segment");
    };
    let low = page_down(first.memory.start, target.page_bytes);
    let Some(high) = page_up(last.memory.end, target.page_bytes) else {
        bail!(FailedPrecondition, "ELF segments end at {:#x}, past the last page", last.memory.end);
    };
    let bytes = high - low;
    if bytes > target.span_bytes_max || alignment > target.span_bytes_max {
        bail!(
            ResourceExhausted,
            "ELF segments span {bytes} bytes aligned to {alignment}, at most {} allowed",
            target.span_bytes_max
        );
    }
    Ok(low..high)
}

/// Pages for each segment. Neighbours on one page merge if their protection agrees.
fn regions(segments: &[Segment], page_bytes: u64) -> Result<Vec<Region>> {
    let mut regions: Vec<Region> = Vec::new();
    for segment in segments {
        let pages = cover(&segment.memory, page_bytes)?;
        match regions.last_mut() {
            Some(last) if pages.start < last.pages.end => {
                if last.protection != segment.protection {
                    bail!(
                        FailedPrecondition,
                        "segment alignment finer than host page: page {:#x} of {page_bytes} bytes would need two protections",
                        pages.start
                    );
                }
                last.pages.end = pages.end;
            }
            _ => regions.push(Region { pages, protection: segment.protection }),
        }
    }
    Ok(regions)
}

fn cover(range: &Range<u64>, page_bytes: u64) -> Result<Range<u64>> {
    let end = page_up(range.end, page_bytes)
        .ok_or_else(|| status!(FailedPrecondition, "ELF address {:#x} has no page", range.end))?;
    Ok(page_down(range.start, page_bytes)..end)
}

/// Rounds GNU_RELRO outwards to pages, but inwards at an end whose page also holds writable bytes outside of it.
fn read_only_pages(
    segments: &[Segment],
    relro: &ProgramHeader,
    page_bytes: u64,
) -> Result<Option<Range<u64>>> {
    let outside = || {
        status!(
            FailedPrecondition,
            "ELF GNU_RELRO: {} bytes at {:#x} are not inside a segment",
            relro.memory_bytes,
            relro.address
        )
    };
    let end = relro.address.checked_add(relro.memory_bytes).ok_or_else(outside)?;
    let range = relro.address..end;
    let mut holder = None;
    for segment in segments {
        // Older linkers round the end of GNU_RELRO, but not that of its segment, up to a page.
        if contains(&(segment.memory.start..cover(&segment.memory, page_bytes)?.end), &range) {
            holder = Some(segment);
        }
    }
    let holder = holder.ok_or_else(outside)?;
    if range.is_empty() || !holder.protection.write {
        return Ok(None);
    }
    // Whether a writable byte lies between `from` and `to`.
    let writable_in = |from: u64, to: u64| {
        segments.iter().any(|segment| {
            segment.protection.write && segment.memory.start.max(from) < segment.memory.end.min(to)
        })
    };
    let mut pages = cover(&range, page_bytes)?;
    if writable_in(pages.start, range.start) {
        pages.start += page_bytes;
    }
    if writable_in(range.end, pages.end) {
        pages.end -= page_bytes;
    }
    Ok((pages.start < pages.end).then_some(pages))
}

fn page_down(address: u64, page_bytes: u64) -> u64 {
    address & !(page_bytes - 1)
}

fn page_up(address: u64, page_bytes: u64) -> Option<u64> {
    Some(page_down(address.checked_add(page_bytes - 1)?, page_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::elf::Machine;
    use weft_sync::Code;

    const READ: u32 = 4;
    const READ_EXECUTE: u32 = 5;
    const READ_WRITE: u32 = 6;

    fn load(address: u64, bytes: u64, flags: u32) -> ProgramHeader {
        let kind = header::PT_LOAD;
        ProgramHeader {
            kind,
            flags,
            offset: address,
            address,
            file_bytes: 0,
            memory_bytes: bytes,
            alignment: 0,
        }
    }

    fn plan_with(page_bytes: u64, loads: &[ProgramHeader], relro: Option<Range<u64>>) -> Result<Segments> {
        let mut headers = loads.to_vec();
        headers.push(ProgramHeader { kind: header::PT_DYNAMIC, ..load(0, 0, READ) });
        if let Some(range) = relro {
            let kind = header::PT_GNU_RELRO;
            headers.push(ProgramHeader { kind, ..load(range.start, range.end - range.start, READ) });
        }
        let target = Target { machine: Machine::X86_64, page_bytes, span_bytes_max: 1 << 30 };
        plan(&[0; 1 << 16], &headers, &target).map(|(segments, _)| segments)
    }

    fn pages(segments: &Segments) -> Vec<Range<u64>> {
        segments.regions.iter().map(|region| region.pages.clone()).collect()
    }

    /// [exec 27]
    #[test]
    fn segments_share_a_host_page_only_with_equal_protection() {
        let loads = [load(0x100, 0x400, READ), load(0x1200, 0x100, READ), load(0x2000, 0x10, READ_WRITE)];
        assert_eq!(
            pages(&plan_with(0x1000, &loads, None).unwrap()),
            [0..0x1000, 0x1000..0x2000, 0x2000..0x3000]
        );
        assert_eq!(pages(&plan_with(0x2000, &loads, None).unwrap()), [0..0x2000, 0x2000..0x4000]);
        let status = plan_with(0x4000, &loads, None).unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("finer than host page"), "{status}");
        let code = [load(0x100, 0x400, READ), load(0x800, 0x100, READ_EXECUTE)];
        assert_eq!(plan_with(0x1000, &code, None).unwrap_err().code(), Code::FailedPrecondition);
    }

    #[test]
    fn the_read_only_range_spares_writable_neighbours() {
        let loads = [load(0x1000, 0x100, READ), load(0x2010, 0x2FF0, READ_WRITE)];
        let read_only = |range| plan_with(0x1000, &loads, Some(range)).unwrap().read_only;
        // Nothing writable before the start of the segment, nor after its end.
        assert_eq!(read_only(0x2010..0x5000), Some(0x2000..0x5000));
        assert_eq!(read_only(0x2010..0x4000), Some(0x2000..0x4000));
        // Data after the end, data before the start.
        assert_eq!(read_only(0x2010..0x4800), Some(0x2000..0x4000));
        assert_eq!(read_only(0x2800..0x4000), Some(0x3000..0x4000));
        // No whole page.
        assert_eq!(read_only(0x2800..0x2900), None);
        assert_eq!(read_only(0x2010..0x2010), None);
        // Nothing to do where nothing can be written.
        assert_eq!(read_only(0x1000..0x1010), None);
        for outside in [0x5001..0x5002, 0x800..0x2000, 0x4000..0x5001] {
            let status = plan_with(0x1000, &loads, Some(outside)).unwrap_err();
            assert_eq!(status.code(), Code::FailedPrecondition);
        }
    }
}
