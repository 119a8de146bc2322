//! Files that parameters lie in: read at positions, in memory, or both.
//!
//! 1. Headers are always read by positioned reads into memory of our own, mapped files included: a file that is cut short
//!    meanwhile gives an error there, where reading a mapping would end the process.
//! 2. The file that was opened is the file that is read: replacing it on disk changes nothing until it is opened again.
//! 3. Memory of a mapping is only lent to devices, never read here. Before it is lent the file's length is asked for
//!    again; that nobody shortens the file afterwards is the promise of whoever chose to map it.
//!
//! What lives here: [`ParameterFile`]. What does not: buffered reading of headers (see `header_reader.rs`), what the bytes
//! mean (see `archive.rs`, `safetensors.rs`, `gguf.rs`), transfers to devices (see `batch.rs`).

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use weft_hal::{MemoryAccess, PositionalFile, io_status};
use weft_sync::{Result, Status, WhileDoing, bail, status};
use weft_vm::{ModuleBytes, SharedBytes};

/// A file with parameters, open for reading (and writing, if asked for), or its bytes in memory.
///
/// ```
/// use weft::parameters::ParameterFile;
/// let file = ParameterFile::from_memory("made here", std::sync::Arc::new(vec![1u8, 2, 3]));
/// let mut last = [0];
/// file.read_exact_at(2, &mut last)?;
/// assert_eq!((last, file.length()), ([3], 3));
/// # weft::Result::Ok(())
/// ```
pub struct ParameterFile {
    name: String,
    access: MemoryAccess,
    length: u64,
    handle: Option<fs::File>,
    memory: Option<SharedBytes>,
}

impl ParameterFile {
    /// Opens a file for reading.
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<ParameterFile>> {
        ParameterFile::open_with(path.as_ref(), MemoryAccess::READ)
    }

    /// Opens a file for reading and writing, so that programs may scatter into it.
    pub fn open_writable(path: impl AsRef<Path>) -> Result<Arc<ParameterFile>> {
        ParameterFile::open_with(path.as_ref(), MemoryAccess::READ | MemoryAccess::WRITE)
    }

    /// Reads a whole file into memory, aligned so that devices can use it in place.
    pub fn preload(path: impl AsRef<Path>) -> Result<Arc<ParameterFile>> {
        ParameterFile::preload_with(path, &mut |_, _| {})
    }

    /// As [`ParameterFile::preload`]; `progress` hears how many bytes have been read, of how many.
    pub fn preload_with(
        path: impl AsRef<Path>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Arc<ParameterFile>> {
        let path = path.as_ref();
        let (name, handle, length) = open_regular(path, MemoryAccess::READ)?;
        let capacity = usize::try_from(length)
            .map_err(|_| status!(ResourceExhausted, "file `{name}` of {length} bytes is too large"))?;
        let mut counted = Counted { source: &handle, done: 0, total: length, progress };
        let bytes = ModuleBytes::read_from(&mut counted, capacity)
            .map_err(|error| file_status(&error, "read", &name))?;
        Ok(ParameterFile::from_memory(name, Arc::new(Loaded(bytes))))
    }

    /// Bytes in memory as a file. Devices use parameters in place whose address is a multiple of 64.
    pub fn from_memory(name: impl Into<String>, bytes: SharedBytes) -> Arc<ParameterFile> {
        let length = (*bytes).as_ref().len() as u64;
        Arc::new(ParameterFile {
            name: name.into(),
            access: MemoryAccess::READ,
            length,
            handle: None,
            memory: Some(bytes),
        })
    }

    /// A file that is open for reading together with a mapping of all of it: headers are read from the file, parameters
    /// lent to devices from the mapping. OUT_OF_RANGE if the mapping is shorter than the file. The file must not be
    /// shortened while devices use its parameters in place: see [`parameters`](crate::parameters).
    pub fn from_mapping(
        name: impl Into<String>,
        handle: fs::File,
        mapping: SharedBytes,
    ) -> Result<Arc<ParameterFile>> {
        let name = name.into();
        let length =
            handle.metadata().map_err(|error| file_status(&error, "ask for the length of", &name))?.len();
        let mapped = (*mapping).as_ref().len() as u64;
        if mapped < length {
            bail!(OutOfRange, "mapping of {mapped} bytes over file `{name}` of {length}");
        }
        let memory = Some(mapping);
        Ok(Arc::new(ParameterFile { name, access: MemoryAccess::READ, length, handle: Some(handle), memory }))
    }

    fn open_with(path: &Path, access: MemoryAccess) -> Result<Arc<ParameterFile>> {
        let (name, handle, length) = open_regular(path, access)?;
        Ok(Arc::new(ParameterFile { name, access, length, handle: Some(handle), memory: None }))
    }

    /// What it is called in messages: the path that it was opened with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What may be done with its parameters.
    pub fn access(&self) -> MemoryAccess {
        self.access
    }

    /// Bytes when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its bytes, if they are in memory.
    pub fn memory(&self) -> Option<&SharedBytes> {
        self.memory.as_ref()
    }

    /// The open file, if there is one.
    pub(super) fn handle(&self) -> Option<&fs::File> {
        self.handle.as_ref()
    }

    /// Whether the byte at `offset` can be had without a disk; `None` if the system, or its file system, does not say. If it
    /// needs one, the system begins to read it.
    pub(super) fn is_cached(&self, offset: u64) -> Option<bool> {
        match &self.handle {
            #[cfg(target_os = "linux")]
            Some(handle) => {
                use rustix::io::{ReadWriteFlags, preadv2};
                let mut byte = [0];
                let read = preadv2(
                    handle,
                    &mut [std::io::IoSliceMut::new(&mut byte)],
                    offset,
                    ReadWriteFlags::NOWAIT,
                );
                match read {
                    Ok(_) => Some(true),
                    Err(rustix::io::Errno::AGAIN) => Some(false),
                    Err(_) => None,
                }
            }
            _ => self.memory.is_some().then_some(true),
        }
    }

    /// OUT_OF_RANGE if the bytes up to `end` are those of a mapping, and the file under it has fewer by now.
    pub(super) fn check_backed(&self, end: u64) -> Result<()> {
        let (Some(handle), Some(_)) = (&self.handle, &self.memory) else { return Ok(()) };
        let metadata = handle.metadata();
        let length =
            metadata.map_err(|error| file_status(&error, "ask for the length of", &self.name))?.len();
        if end > length {
            bail!(
                OutOfRange,
                "mapped file `{}` was cut short: it ended at {length}, {} bytes early",
                self.name,
                end - length
            );
        }
        Ok(())
    }

    /// Fills `target` from the bytes at `offset`. OUT_OF_RANGE if the file ends before.
    pub fn read_exact_at(&self, offset: u64, target: &mut [u8]) -> Result<()> {
        let wanted = target.len();
        let outcome = match (&self.handle, &self.memory) {
            (Some(handle), _) => fill(handle, offset, target),
            (None, Some(memory)) => copy_range((**memory).as_ref(), offset, target),
            (None, None) => bail!(Internal, "file `{}` has neither handle nor memory", self.name),
        };
        outcome.while_doing(|| format!("reading {wanted} bytes at {offset} of file `{}`", self.name))
    }
}

impl fmt::Debug for ParameterFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterFile").field("name", &self.name).field("length", &self.length).finish()
    }
}

/// Only regular files have a length to trust; a pipe would block, a folder has no bytes.
fn open_regular(path: &Path, access: MemoryAccess) -> Result<(String, fs::File, u64)> {
    let name = path.display().to_string();
    let failed = |error: std::io::Error| file_status(&error, "open", &name);
    if !fs::metadata(path).map_err(failed)?.is_file() {
        bail!(InvalidArgument, "`{name}` is not a regular file");
    }
    let writes = access.contains(MemoryAccess::WRITE);
    let handle = fs::OpenOptions::new().read(true).write(writes).open(path).map_err(failed)?;
    let length = handle.metadata().map_err(failed)?.len();
    Ok((name, handle, length))
}

/// The failure of a call on a whole file.
#[cold]
pub(super) fn file_status(error: &std::io::Error, doing: &str, name: &str) -> Status {
    let text = error.to_string();
    // The number that std adds helps nobody who sees the words before it.
    let reason = text.split(" (os error").next().unwrap_or_default();
    Status::new(io_status(error).code(), format!("cannot {doing} file `{name}`: {reason}"))
}

fn fill(handle: &fs::File, mut offset: u64, mut target: &mut [u8]) -> Result<()> {
    while !target.is_empty() {
        let moved = match handle.read_at(offset, target) {
            Ok(moved) => moved,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(io_status(&error)),
        };
        if moved == 0 {
            // The range may lie beyond the end as a whole; a file that has grown again ended here.
            let end = handle.length().min(offset);
            let missing = offset - end + target.len() as u64;
            bail!(OutOfRange, "file ended at {end}, {missing} bytes early");
        }
        offset += moved as u64;
        target = &mut target[moved..];
    }
    Ok(())
}

fn copy_range(bytes: &[u8], offset: u64, target: &mut [u8]) -> Result<()> {
    let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
    match rest.get(..target.len()) {
        Some(source) => target.copy_from_slice(source),
        None => bail!(OutOfRange, "file has {} bytes", bytes.len()),
    }
    Ok(())
}

/// Aligned bytes as shared ones.
struct Loaded(ModuleBytes);

impl AsRef<[u8]> for Loaded {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct Counted<'a> {
    source: &'a fs::File,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let moved = self.source.read(bytes)?;
        self.done += moved as u64;
        (self.progress)(self.done, self.total);
        Ok(moved)
    }
}
