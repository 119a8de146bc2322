//! IRPA, the archive format of compiled programs, version 0: reading (`docs/spec/hal-module.md` §11.1).
//!
//! 1. Offsets of a header are relative to its own start. Headers form a chain that only goes forward.
//! 2. Work and memory are bounded by the file's length: an entry takes 16 bytes of it at least, and names may not share
//!    their bytes so often that they become more than [`NAMES_FACTOR`] times the metadata.
//! 3. Headers, entries, names and descriptions are four tables that are read in turn, each through a window of its own.
//!
//! What lives here: the reader. What does not: writing (see `archive_writer.rs`).

use std::sync::Arc;

use weft_sync::{Result, WhileDoing, bail};

use super::file::ParameterFile;
use super::header_reader::HeaderReader;
use super::index::{ParameterEntry, ParameterKind, SplatPattern};

/// `IRPA`.
pub(super) const MAGIC: u32 = 0x4150_5249;
/// Bytes of a header.
pub(super) const HEADER_BYTES: u64 = 88;
/// The part of a header that tells formats and versions apart.
const PREFIX_BYTES: u64 = 32;
/// Headers and entries begin at multiples of this.
pub(super) const STRUCTURE_ALIGNMENT: u64 = 16;
/// Bytes of a splat's entry.
pub(super) const SPLAT_BYTES: u64 = 85;
/// Bytes of an entry with data.
pub(super) const DATA_BYTES: u64 = 76;
/// Where the fields begin that depend on the type.
pub(super) const TAIL_OFFSET: u64 = 60;
/// The size and the type, which every entry has.
const SMALLEST_BYTES: u64 = 12;

pub(super) const TYPE_SKIP: u32 = 0;
pub(super) const TYPE_SPLAT: u32 = 1;
pub(super) const TYPE_DATA: u32 = 2;
const TYPE_EXTERNAL: u32 = 3;

/// The longest name or description.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// How often names may use the same metadata, on average.
const NAMES_FACTOR: u64 = 4;
/// Small archives may do what they like.
const NAMES_BYTES_MIN: u64 = 1 << 20;

/// A range of the file.
#[derive(Clone, Copy)]
struct Segment {
    what: &'static str,
    start: u64,
    length: u64,
}

impl Segment {
    /// The segment at `offset` from the header.
    fn new(what: &'static str, header: u64, offset: u64, length: u64, file: u64) -> Result<Segment> {
        let start = header.checked_add(offset);
        if start.and_then(|start| start.checked_add(length)).is_none_or(|end| end > file) {
            bail!(
                OutOfRange,
                "{what} segment of {length} bytes at {offset} lies outside the file of {file} bytes"
            );
        }
        Ok(Segment { what, start: header + offset, length })
    }

    /// Where a range of the segment begins in the file.
    fn range(&self, what: &str, offset: u64, length: u64) -> Result<u64> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            bail!(
                OutOfRange,
                "{what} of {length} bytes at {offset} lies outside the {} segment of {} bytes",
                self.what,
                self.length
            );
        }
        Ok(self.start + offset)
    }
}

/// The parameters of an archive.
pub(super) fn parse(file: &Arc<ParameterFile>) -> Result<Vec<ParameterEntry>> {
    let mut parser = Parser {
        headers: HeaderReader::new(file),
        rows: HeaderReader::new(file),
        names: HeaderReader::new(file),
        descriptions: HeaderReader::new(file),
        file,
        entries: Vec::new(),
        seen: 0,
        text_bytes_left: NAMES_BYTES_MIN,
    };
    let mut header = 0;
    while let Some(next) = parser.header(header).while_doing(|| format!("header at offset {header}"))? {
        header = next;
    }
    Ok(parser.entries)
}

/// Which text of an entry.
#[derive(Clone, Copy)]
enum Text {
    Name,
    Description,
}

struct Parser<'a> {
    headers: HeaderReader<'a>,
    rows: HeaderReader<'a>,
    names: HeaderReader<'a>,
    descriptions: HeaderReader<'a>,
    file: &'a Arc<ParameterFile>,
    entries: Vec<ParameterEntry>,
    /// Entries looked at, those that are skipped included.
    seen: u64,
    text_bytes_left: u64,
}

impl Parser<'_> {
    /// Reads one header with its entries. The place of the next, if there is one.
    fn header(&mut self, at: u64) -> Result<Option<u64>> {
        let length = self.headers.length();
        let rest = length.saturating_sub(at);
        if rest < PREFIX_BYTES {
            bail!(InvalidArgument, "{rest} bytes are too few for an archive");
        }
        let magic = self.headers.u32(at, "magic")?;
        if magic != MAGIC {
            bail!(InvalidArgument, "magic {magic:#010x} is not that of an archive, {MAGIC:#010x}");
        }
        let version = self.headers.u32(at + 4, "version")?;
        if version != 0 {
            bail!(Unimplemented, "version {}.{} is not supported, only 0.0", version & 0xFFFF, version >> 16);
        }
        let size = self.headers.u64(at + 8, "header size")?;
        if size != HEADER_BYTES {
            bail!(InvalidArgument, "header of {size} bytes, expected {HEADER_BYTES}");
        }
        let mut fields = [0; 8];
        for (field, offset) in fields.iter_mut().zip((16..HEADER_BYTES).step_by(8).filter(|at| *at != 24)) {
            *field = self.headers.u64(at + offset, "header")?;
        }
        let [next, count, ..] = fields;
        let segment = |what, index: usize| Segment::new(what, at, fields[index], fields[index + 1], length);
        let (entries, metadata, storage) =
            (segment("entry", 2)?, segment("metadata", 4)?, segment("storage", 6)?);
        self.text_bytes_left =
            self.text_bytes_left.saturating_add(metadata.length.saturating_mul(NAMES_FACTOR));
        self.entries(count, &entries, &metadata, &storage)?;
        next_header(at, next, length)
    }

    fn entries(
        &mut self,
        count: u64,
        entries: &Segment,
        metadata: &Segment,
        storage: &Segment,
    ) -> Result<()> {
        let mut position = 0u64;
        for ordinal in 0..count {
            let at = entries
                .range("entry", position, SMALLEST_BYTES)
                .while_doing(|| format!("entry {ordinal} of {count}"))?;
            let size = self.rows.u64(at, "entry size")?;
            let read = self.entry(at, size, position, entries, metadata, storage);
            read.while_doing(|| format!("entry {ordinal} of {count} at offset {at}"))?;
            // The entry was checked to end within the segment.
            position = (position + size).next_multiple_of(STRUCTURE_ALIGNMENT);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        at: u64,
        size: u64,
        position: u64,
        entries: &Segment,
        metadata: &Segment,
        storage: &Segment,
    ) -> Result<()> {
        entries.range("entry", position, size)?;
        self.seen += 1;
        if self.seen > self.file.length() / STRUCTURE_ALIGNMENT {
            bail!(OutOfRange, "more entries than the file has room for; do headers share them?");
        }
        let kind = self.rows.u32(at + 8, "entry type")?;
        let least = match kind {
            TYPE_SKIP => SMALLEST_BYTES,
            TYPE_SPLAT => SPLAT_BYTES,
            TYPE_DATA => DATA_BYTES,
            TYPE_EXTERNAL => bail!(Unimplemented, "parameters in external files are not supported"),
            other => bail!(Unimplemented, "entries of type {other} are not supported"),
        };
        if size < least {
            bail!(OutOfRange, "entry of {size} bytes, one of type {kind} has {least}");
        }
        if kind == TYPE_SKIP {
            return Ok(());
        }
        let key = self.text(Text::Name, metadata, at + 20)?;
        let described = self.text(Text::Description, metadata, at + 36);
        let named = |step: &str| format!("{step} of parameter `{}`", super::index::key_text(&key));
        let (length, kind) = match kind {
            TYPE_SPLAT => self.splat(at).while_doing(|| named("pattern"))?,
            _ => self.data(at, storage).while_doing(|| named("data"))?,
        };
        let metadata = described.while_doing(|| named("metadata"))?;
        self.entries.push(ParameterEntry { key, spelling: None, metadata, length, kind });
        Ok(())
    }

    /// Bytes of the metadata segment whose range stands at `at`.
    fn text(&mut self, text: Text, metadata: &Segment, at: u64) -> Result<Box<[u8]>> {
        let (what, reader) = match text {
            Text::Name => ("name", &mut self.names),
            Text::Description => ("metadata", &mut self.descriptions),
        };
        let offset = self.rows.u64(at, what)?;
        let length = self.rows.u64(at + 8, what)?;
        if length == 0 {
            return Ok(Box::default());
        }
        let start = metadata.range(what, offset, length)?;
        if length > TEXT_BYTES_MAX {
            bail!(ResourceExhausted, "{what} of {length} bytes, at most {TEXT_BYTES_MAX} are read");
        }
        let Some(left) = self.text_bytes_left.checked_sub(length) else {
            bail!(ResourceExhausted, "names share their bytes too often: the {what} takes {length} more");
        };
        self.text_bytes_left = left;
        // At most a mebibyte.
        Ok(reader.bytes(start, length as usize, what)?.into())
    }

    fn splat(&mut self, at: u64) -> Result<(u64, ParameterKind)> {
        let length = self.rows.u64(at + TAIL_OFFSET, "length")?;
        let tail = self.rows.bytes(at + TAIL_OFFSET + 8, 17, "pattern")?;
        let pattern_bytes = usize::from(tail[16]);
        // More than 16 are refused by the pattern, with their number.
        let pattern = match tail[..16].get(..pattern_bytes) {
            Some(pattern) => SplatPattern::new(pattern)?,
            None => bail!(InvalidArgument, "pattern of {pattern_bytes} bytes, 1 to 16 are allowed"),
        };
        Ok((length, ParameterKind::Splat(pattern)))
    }

    fn data(&mut self, at: u64, storage: &Segment) -> Result<(u64, ParameterKind)> {
        let offset = self.rows.u64(at + TAIL_OFFSET, "offset")?;
        let length = self.rows.u64(at + TAIL_OFFSET + 8, "length")?;
        let offset = storage.range("data", offset, length)?;
        Ok((length, ParameterKind::File { file: Arc::clone(self.file), offset }))
    }
}

/// The place of the header that the one at `at` links to.
fn next_header(at: u64, next: u64, length: u64) -> Result<Option<u64>> {
    if next == 0 {
        return Ok(None);
    }
    let place = at.checked_add(next);
    match place.filter(|place| place.checked_add(PREFIX_BYTES).is_some_and(|end| end <= length)) {
        // Relative to this header and not zero, so every step goes forward.
        Some(place) if place.is_multiple_of(STRUCTURE_ALIGNMENT) => Ok(Some(place)),
        Some(place) => bail!(InvalidArgument, "next header at {place}, which is no multiple of 16"),
        None => {
            bail!(OutOfRange, "next header at {next} bytes from here lies outside the file of {length} bytes")
        }
    }
}
