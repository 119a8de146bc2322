//! Files as queue operands: host memory, or anything that reads and writes at positions.
//!
//! What lives here: [`File`] and its checks. What does not: opening files by name and asynchronous handles, which
//! come with the proactor.

use std::sync::Arc;

use weft_sync::{Code, Result, Status, bail};

use crate::buffer::Buffer;
use crate::memory::MemoryAccess;

/// Something that reads and writes at positions, from any thread, without a position of its own.
pub trait PositionalFile: Send + Sync {
    /// Reads at most `target.len()` bytes; 0 means end of file.
    fn read_at(&self, offset: u64, target: &mut [u8]) -> std::io::Result<usize>;

    /// Writes at most `source.len()` bytes.
    fn write_at(&self, offset: u64, source: &[u8]) -> std::io::Result<usize>;

    /// Bytes in the file; 0 = unknown (pipes, devices).
    fn length(&self) -> u64;
}

/// A file that queues read from and write to.
pub struct File {
    access: MemoryAccess,
    length: u64,
    route: Route,
}

enum Route {
    /// Host memory as a buffer: transfers are copies.
    Storage(Arc<Buffer>),
    Positional(Box<dyn PositionalFile>),
}

impl File {
    /// A file over host memory that a buffer holds. Reads from it are copies.
    pub fn from_memory(access: MemoryAccess, storage: Arc<Buffer>) -> File {
        File { access, length: storage.byte_length(), route: Route::Storage(storage) }
    }

    /// A file over something positional. Its length is taken now.
    pub fn from_positional(access: MemoryAccess, file: Box<dyn PositionalFile>) -> File {
        File { access, length: file.length(), route: Route::Positional(file) }
    }

    /// A file of the operating system, opened by the caller for what `access` says.
    #[cfg(any(unix, windows))]
    pub fn from_std(access: MemoryAccess, file: std::fs::File) -> File {
        File::from_positional(access, Box::new(file))
    }

    /// What may be done with it.
    pub fn access(&self) -> MemoryAccess {
        self.access
    }

    /// Bytes when it was opened; 0 = unknown.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The memory of a memory file.
    pub fn storage(&self) -> Option<&Arc<Buffer>> {
        match &self.route {
            Route::Storage(buffer) => Some(buffer),
            Route::Positional(_) => None,
        }
    }

    /// The access is allowed. Checked before anything else.
    pub(crate) fn check_access(&self, wanted: MemoryAccess) -> Result<()> {
        if !self.access.contains(wanted) {
            bail!(PermissionDenied, "file allows {}, not {wanted}", self.access);
        }
        Ok(())
    }

    /// A range to be read lies within the file, if its length is known.
    pub(crate) fn check_read(&self, offset: u64, length: u64) -> Result<()> {
        let end = checked_end(offset, length)?;
        if self.length != 0 && end > self.length {
            bail!(OutOfRange, "read of {length} bytes at {offset} from a file of {}", self.length);
        }
        Ok(())
    }

    /// A range to be written may extend a file, but not its memory.
    pub(crate) fn check_write(&self, offset: u64, length: u64) -> Result<()> {
        let end = checked_end(offset, length)?;
        if self.storage().is_some() && end > self.length {
            bail!(OutOfRange, "write of {length} bytes at {offset} to a memory file of {}", self.length);
        }
        Ok(())
    }

    /// Reads until `target` is full. Ending early is OUT_OF_RANGE.
    pub fn read_exact(&self, mut offset: u64, mut target: &mut [u8]) -> Result<()> {
        let Route::Positional(file) = &self.route else {
            bail!(InvalidArgument, "a memory file is read by a copy");
        };
        while !target.is_empty() {
            let chunk = target.len().min(TRANSFER_BYTES_MAX);
            let moved =
                retry(|| file.read_at(offset, &mut target[..chunk])).map_err(|error| io_status(&error))?;
            if moved == 0 {
                bail!(OutOfRange, "file ended at {offset}, {} bytes early", target.len());
            }
            offset += moved as u64;
            target = &mut target[moved..];
        }
        Ok(())
    }

    /// Writes all of `source`.
    pub fn write_all(&self, mut offset: u64, mut source: &[u8]) -> Result<()> {
        let Route::Positional(file) = &self.route else {
            bail!(InvalidArgument, "a memory file is written by a copy");
        };
        while !source.is_empty() {
            let chunk = source.len().min(TRANSFER_BYTES_MAX);
            let moved =
                retry(|| file.write_at(offset, &source[..chunk])).map_err(|error| io_status(&error))?;
            if moved == 0 {
                bail!(OutOfRange, "file took no more bytes at {offset}, {} are left", source.len());
            }
            offset += moved as u64;
            source = &source[moved..];
        }
        Ok(())
    }
}

/// Most bytes that one system call is asked to move: kernels count them in 31 bits.
const TRANSFER_BYTES_MAX: usize = i32::MAX as usize;

fn checked_end(offset: u64, length: u64) -> Result<u64> {
    match offset.checked_add(length) {
        Some(end) => Ok(end),
        None => bail!(OutOfRange, "range of {length} bytes at {offset} exceeds 64 bits"),
    }
}

fn retry(mut call: impl FnMut() -> std::io::Result<usize>) -> std::io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// The failure of a system call as a status.
#[cold]
pub fn io_status(error: &std::io::Error) -> Status {
    use std::io::ErrorKind;
    let code = match error.kind() {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::InvalidInput => Code::InvalidArgument,
        ErrorKind::OutOfMemory | ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::ResourceExhausted,
        ErrorKind::UnexpectedEof => Code::OutOfRange,
        ErrorKind::Unsupported => Code::Unimplemented,
        // A bad descriptor: the file was closed, or never open for this.
        _ if error.raw_os_error() == Some(9) => Code::FailedPrecondition,
        _ => Code::Unavailable,
    };
    Status::new(code, format!("input/output failed: {error}"))
}

#[cfg(unix)]
impl PositionalFile for std::fs::File {
    fn read_at(&self, offset: u64, target: &mut [u8]) -> std::io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, target, offset)
    }

    fn write_at(&self, offset: u64, source: &[u8]) -> std::io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, source, offset)
    }

    fn length(&self) -> u64 {
        std_length(self)
    }
}

#[cfg(windows)]
impl PositionalFile for std::fs::File {
    fn read_at(&self, offset: u64, target: &mut [u8]) -> std::io::Result<usize> {
        match std::os::windows::fs::FileExt::seek_read(self, target, offset) {
            // Reading past the end is an error there; here it is the end.
            Err(error) if error.raw_os_error() == Some(38) => Ok(0),
            outcome => outcome,
        }
    }

    fn write_at(&self, offset: u64, source: &[u8]) -> std::io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(self, source, offset)
    }

    fn length(&self) -> u64 {
        std_length(self)
    }
}

#[cfg(any(unix, windows))]
fn std_length(file: &std::fs::File) -> u64 {
    file.metadata().map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 })
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("access", &self.access).field("length", &self.length).finish()
    }
}
