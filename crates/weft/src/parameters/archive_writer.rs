//! IRPA, version 0: laying out an archive, and writing files that are whole or not there.
//!
//! 1. The layout is decided before anything is written: header, entries, names and descriptions, data.
//! 2. [`write_file`] writes a file of another name in the same folder, makes sure that it is on the disk, and renames it
//!    then. Whoever looks finds the old file or the new one, after a crash too; what a crash can leave is the file of the
//!    other name.
//!
//! Writing *into* an archive (`io_parameters.scatter`) is not done like that: bytes change in place, each transfer on its
//! own, in no particular order and without waiting for the disk. Headers are never touched, so a crash leaves a valid
//! archive whose parameters may hold old bytes, new bytes, or some of both.
//!
//! What lives here: [`ArchiveLayout`], [`write_file`]. What does not: reading (see `archive.rs`), where bytes come from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use weft_sync::{Result, WhileDoing, bail, status};

use super::archive::{
    DATA_BYTES, HEADER_BYTES, MAGIC, SPLAT_BYTES, STRUCTURE_ALIGNMENT, TAIL_OFFSET, TYPE_DATA, TYPE_SPLAT,
};
use super::file::file_status;
use super::index::{PATTERN_BYTES_MAX, SplatPattern};

/// What data is aligned to unless asked otherwise: devices use such memory in place.
pub const DATA_ALIGNMENT: u64 = 64;
/// Where the first entry stands.
const ENTRIES_OFFSET: u64 = HEADER_BYTES.next_multiple_of(STRUCTURE_ALIGNMENT);
/// Files are as long as a multiple of this.
const FILE_ALIGNMENT: u64 = 4096;
/// The largest alignment that makes sense: huge pages.
const ALIGNMENT_MAX: u64 = 1 << 30;

/// How a parameter is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// As a pattern, which takes no room.
    Splat(SplatPattern),
    /// As bytes, which whoever writes the archive supplies.
    Data,
}

/// A parameter of an archive to be.
#[derive(Clone, Debug)]
pub struct PlacedEntry {
    /// The name.
    pub key: Box<[u8]>,
    /// Whatever the archive should say about it.
    pub metadata: Box<[u8]>,
    /// Bytes.
    pub length: u64,
    /// How it is kept.
    pub storage: Storage,
}

/// Where everything of an archive goes.
///
/// ```
/// use weft::parameters::{ArchiveLayout, DATA_ALIGNMENT, PlacedEntry, Storage};
/// let entry = PlacedEntry { key: (*b"c").into(), metadata: Box::default(), length: 4, storage: Storage::Data };
/// let layout = ArchiveLayout::new(&[entry], DATA_ALIGNMENT)?;
/// assert_eq!((layout.data_offset(0), layout.length()), (Some(192), 4096));
/// # weft::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct ArchiveLayout {
    head: Vec<u8>,
    offsets: Vec<Option<u64>>,
    length: u64,
}

impl ArchiveLayout {
    /// Lays out `entries` in their order, data at multiples of `alignment`. INVALID_ARGUMENT if that is no power of two,
    /// OUT_OF_RANGE if the archive would be longer than files can be.
    pub fn new(entries: &[PlacedEntry], alignment: u64) -> Result<ArchiveLayout> {
        if !alignment.is_power_of_two() || alignment > ALIGNMENT_MAX {
            bail!(InvalidArgument, "alignment {alignment} is not a power of two up to {ALIGNMENT_MAX}");
        }
        let too_long = || status!(OutOfRange, "the archive would be longer than files can be");
        let entry_bytes = |entry: &PlacedEntry| match entry.storage {
            Storage::Splat(_) => SPLAT_BYTES,
            Storage::Data => DATA_BYTES,
        };
        let mut end = ENTRIES_OFFSET;
        let starts: Vec<u64> = entries
            .iter()
            .map(|entry| {
                let start = end.next_multiple_of(STRUCTURE_ALIGNMENT);
                end = start + entry_bytes(entry);
                start
            })
            .collect();
        let metadata = end;
        end =
            entries.iter().fold(metadata, |end, entry| end + (entry.key.len() + entry.metadata.len()) as u64);
        let has_data = entries.iter().any(|entry| entry.storage == Storage::Data);
        let storage = if has_data { end.next_multiple_of(alignment) } else { end };
        let mut used = 0u64;
        let mut offsets = Vec::with_capacity(entries.len());
        for entry in entries {
            offsets.push(match entry.storage {
                Storage::Splat(_) => None,
                Storage::Data => {
                    let start = used.checked_next_multiple_of(alignment).ok_or_else(too_long)?;
                    used = start.checked_add(entry.length).ok_or_else(too_long)?;
                    Some(start)
                }
            });
        }
        let length = storage.checked_add(used).and_then(|end| end.checked_next_multiple_of(FILE_ALIGNMENT));
        let length = length.filter(|length| i64::try_from(*length).is_ok()).ok_or_else(too_long)?;
        let mut head = Head { bytes: vec![0; end as usize] };
        head.put(0, &MAGIC.to_le_bytes());
        let entry_segment = metadata - ENTRIES_OFFSET;
        let fields = [
            (8, HEADER_BYTES),
            (32, entries.len() as u64),
            (40, ENTRIES_OFFSET),
            (48, entry_segment),
            (56, metadata),
            (64, end - metadata),
            (72, storage),
            (80, used),
        ];
        fields.into_iter().for_each(|(at, value)| head.put_u64(at, value));
        let mut text = 0;
        for ((entry, start), offset) in entries.iter().zip(starts).zip(&offsets) {
            head.entry(start, entry, *offset, metadata, &mut text);
        }
        let offsets = offsets.into_iter().map(|offset| offset.map(|offset| storage + offset)).collect();
        Ok(ArchiveLayout { head: head.bytes, offsets, length })
    }

    /// What stands in front of the data, from the beginning of the file.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Where in the file the bytes of an entry go; `None` for splats.
    pub fn data_offset(&self, entry: usize) -> Option<u64> {
        self.offsets.get(entry).copied().flatten()
    }

    /// Bytes of the whole file. What nobody writes is zero.
    pub fn length(&self) -> u64 {
        self.length
    }
}

struct Head {
    bytes: Vec<u8>,
}

impl Head {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        // Everything that is put lies in front of the data.
        let at = at as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put_u64(&mut self, at: u64, value: u64) {
        self.put(at, &value.to_le_bytes());
    }

    /// An entry with its texts, the first of which goes to `text` in the metadata segment.
    fn entry(&mut self, at: u64, entry: &PlacedEntry, offset: Option<u64>, metadata: u64, text: &mut u64) {
        for (field, bytes) in [(20, &entry.key), (36, &entry.metadata)] {
            if field == 20 || !bytes.is_empty() {
                self.put_u64(at + field, *text);
                self.put_u64(at + field + 8, bytes.len() as u64);
            }
            self.put(metadata + *text, bytes);
            *text += bytes.len() as u64;
        }
        match entry.storage {
            Storage::Splat(pattern) => {
                self.put_u64(at, SPLAT_BYTES);
                self.put(at + 8, &TYPE_SPLAT.to_le_bytes());
                self.put_u64(at + TAIL_OFFSET, entry.length);
                self.put(at + TAIL_OFFSET + 8, pattern.bytes());
                let length = pattern.bytes().len() as u8;
                self.put(at + TAIL_OFFSET + 8 + PATTERN_BYTES_MAX as u64, &[length]);
            }
            Storage::Data => {
                self.put_u64(at, DATA_BYTES);
                self.put(at + 8, &TYPE_DATA.to_le_bytes());
                self.put_u64(at + 52, DATA_ALIGNMENT);
                self.put_u64(at + TAIL_OFFSET, offset.unwrap_or(0));
                self.put_u64(at + TAIL_OFFSET + 8, entry.length);
            }
        }
    }
}

/// Makes or replaces a file by rule 2. `write` gets it empty; if it fails nothing has changed.
pub fn write_file(path: &Path, write: impl FnOnce(&mut fs::File) -> Result<()>) -> Result<()> {
    let name = path.display().to_string();
    // A link stands for the file that it points to: replacing the link itself would surprise.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if target.exists() && !target.is_file() {
        bail!(InvalidArgument, "`{name}` is not a regular file");
    }
    let temporary = Temporary(beside(&target)?);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary.0)
        .map_err(|error| file_status(&error, "create", &name))?;
    if let Ok(metadata) = fs::metadata(&target) {
        // Who may read it stays as it was. Where that cannot be kept, the new file is as new files are.
        let _ = file.set_permissions(metadata.permissions());
    }
    write(&mut file).while_doing(|| format!("writing file `{name}`"))?;
    file.sync_all().map_err(|error| file_status(&error, "write", &name))?;
    drop(file);
    fs::rename(&temporary.0, &target).map_err(|error| file_status(&error, "replace", &name))?;
    // It exists under its own name now; there is nothing to remove.
    std::mem::forget(temporary);
    sync_folder(&target);
    Ok(())
}

/// A file that goes away unless it is renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A name in the folder of `target` that nobody else has.
fn beside(target: &Path) -> Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let Some(name) = target.file_name() else {
        bail!(InvalidArgument, "`{}` names no file", target.display());
    };
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}-{number}.tmp", std::process::id()));
    Ok(target.with_file_name(temporary))
}

/// Makes the new name itself last. Where folders cannot be synchronised, the system does so by and by.
fn sync_folder(target: &Path) {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}
