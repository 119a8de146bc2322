//! Files as queue operands: host memory, anything that reads and writes at positions, or a file of a proactor.
//!
//! | file          | what lives there                                                        |
//! |---------------|---------------------------------------------------------------------------|
//! | `mod.rs`      | [`File`], its checks, and its transfers by threads that may block          |
//! | `polled.rs`   | files that a proactor reads and writes                                     |
//! | `transfer.rs` | transfers by a proactor, cut, resumed, cancelled; unsafe                   |
//! | `faults.rs`   | transfers that go wrong on purpose, for tests                              |
//!
//! What does not live here: opening files by name, and who polls the proactor.

pub(crate) mod faults;
#[cfg(unix)]
mod polled;
#[cfg(unix)]
pub(crate) mod transfer;

use std::sync::Arc;

use weft_sync::{CancelToken, Code, Result, Status, WhileDoing, bail};

use crate::buffer::Buffer;
use crate::memory::MemoryAccess;
use faults::{Fault, Faults};

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
    name: Option<Box<str>>,
    faults: Option<Arc<Faults>>,
}

enum Route {
    /// Host memory as a buffer: transfers are copies.
    Storage(Arc<Buffer>),
    Positional(Box<dyn PositionalFile>),
    /// A proactor reads and writes; threads that may block do so too.
    #[cfg(unix)]
    Polled(polled::Polled),
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Out of the file.
    Read,
    /// Into the file.
    Write,
}

impl File {
    /// A file over host memory that a buffer holds. Reads from it are copies.
    pub fn from_memory(access: MemoryAccess, storage: Arc<Buffer>) -> File {
        File::new(access, storage.byte_length(), Route::Storage(storage))
    }

    /// A file over something positional. Its length is taken now.
    pub fn from_positional(access: MemoryAccess, file: Box<dyn PositionalFile>) -> File {
        File::new(access, file.length(), Route::Positional(file))
    }

    fn new(access: MemoryAccess, length: u64, route: Route) -> File {
        File { access, length, route, name: None, faults: None }
    }

    /// The same file with a name for messages, such as the path that it was opened by.
    #[must_use]
    pub fn named(self, name: impl Into<Box<str>>) -> File {
        File { name: Some(name.into()), ..self }
    }

    /// The same file, of which some transfers go wrong.
    #[doc(hidden)]
    #[must_use]
    pub fn with_faults(self, faults: Arc<Faults>) -> File {
        File { faults: Some(faults), ..self }
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
            _ => None,
        }
    }

    /// What it is called in messages.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What a transfer is, for messages.
    #[cold]
    fn tell(&self, direction: Direction, offset: u64, length: usize) -> String {
        let doing = match direction {
            Direction::Read => "reading",
            Direction::Write => "writing",
        };
        match &self.name {
            Some(name) => format!("{doing} {length} bytes at {offset} of file `{name}`"),
            None => format!("{doing} {length} bytes at {offset} of a file"),
        }
    }

    /// What goes wrong with the next transfer.
    fn next_fault(&self) -> Option<Fault> {
        self.faults.as_ref().and_then(|faults| faults.next())
    }

    /// For transfers on this thread.
    fn positional(&self) -> Result<&dyn PositionalFile> {
        match &self.route {
            Route::Storage(_) => bail!(InvalidArgument, "transfers of a memory file are copies"),
            Route::Positional(file) => Ok(&**file),
            #[cfg(unix)]
            Route::Polled(polled) => Ok(polled),
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

    /// Reads until `target` is full, on this thread. Ending early is OUT_OF_RANGE.
    pub fn read_exact(&self, offset: u64, target: &mut [u8]) -> Result<()> {
        self.read_exact_unless(offset, target, None)
    }

    /// As [`File::read_exact`], and CANCELLED between two pieces once the token is cancelled.
    pub fn read_exact_unless(
        &self,
        offset: u64,
        target: &mut [u8],
        cancel: Option<&CancelToken>,
    ) -> Result<()> {
        let length = target.len();
        self.read_all(offset, target, cancel).while_doing(|| self.tell(Direction::Read, offset, length))
    }

    /// Writes all of `source`, on this thread.
    pub fn write_all(&self, offset: u64, source: &[u8]) -> Result<()> {
        self.write_all_unless(offset, source, None)
    }

    /// As [`File::write_all`], and CANCELLED between two pieces once the token is cancelled.
    pub fn write_all_unless(&self, offset: u64, source: &[u8], cancel: Option<&CancelToken>) -> Result<()> {
        let done = self.write_rest(offset, source, cancel);
        done.while_doing(|| self.tell(Direction::Write, offset, source.len()))
    }

    fn read_all(&self, mut offset: u64, mut target: &mut [u8], cancel: Option<&CancelToken>) -> Result<()> {
        let file = self.positional()?;
        let bytes_max = bytes_between_looks(cancel);
        while !target.is_empty() {
            cancel.map_or(Ok(()), CancelToken::check)?;
            let fault = self.next_fault();
            let chunk = Fault::limit(fault, target.len().min(bytes_max));
            let read = retry(|| file.read_at(offset, &mut target[..chunk]));
            let moved = Fault::outcome(fault, read).map_err(|error| io_status(&error))?;
            if moved == 0 {
                return Err(self.ended_early(Direction::Read, offset, target.len()));
            }
            offset += moved as u64;
            target = &mut target[moved..];
        }
        Ok(())
    }

    fn write_rest(&self, mut offset: u64, mut source: &[u8], cancel: Option<&CancelToken>) -> Result<()> {
        let file = self.positional()?;
        let bytes_max = bytes_between_looks(cancel);
        while !source.is_empty() {
            cancel.map_or(Ok(()), CancelToken::check)?;
            let fault = self.next_fault();
            let chunk = Fault::limit(fault, source.len().min(bytes_max));
            let written = retry(|| file.write_at(offset, &source[..chunk]));
            let moved = Fault::outcome(fault, written).map_err(|error| io_status(&error))?;
            if moved == 0 {
                return Err(self.ended_early(Direction::Write, offset, source.len()));
            }
            offset += moved as u64;
            source = &source[moved..];
        }
        Ok(())
    }

    /// No more bytes come, or fit.
    #[cold]
    fn ended_early(&self, direction: Direction, offset: u64, missing: usize) -> Status {
        let text = match direction {
            Direction::Read => {
                // All of the range may lie beyond the end. A file that tells no length, or has grown again, ended here.
                let length = self.positional().map_or(0, PositionalFile::length);
                let is_known = length > 0 || self.length > 0;
                let end = if is_known { length.min(offset) } else { offset };
                let missing = (offset - end).saturating_add(missing as u64);
                format!("short read: the file ended at {end}, {missing} bytes early")
            }
            Direction::Write => {
                format!("short write: the file took no more at {offset}, {missing} bytes are left")
            }
        };
        Status::new(Code::OutOfRange, text)
    }
}

/// Most bytes that one transfer is asked to move: kernels count them in 31 bits, and stop a page before the end.
const TRANSFER_BYTES_MAX: usize = 0x7FFF_F000;

/// The same where somebody may wait for the end.
const CANCELLABLE_BYTES_MAX: usize = 8 << 20;

fn bytes_between_looks(cancel: Option<&CancelToken>) -> usize {
    if cancel.is_some() { CANCELLABLE_BYTES_MAX } else { TRANSFER_BYTES_MAX }
}

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
        ErrorKind::UnexpectedEof | ErrorKind::FileTooLarge => Code::OutOfRange,
        ErrorKind::Unsupported => Code::Unimplemented,
        // A bad descriptor: the file was closed, or never open for this.
        _ if error.raw_os_error() == Some(9) => Code::FailedPrecondition,
        // The device failed, as proactors tell it.
        _ if error.raw_os_error() == Some(5) => Code::Unknown,
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
        f.debug_struct("File")
            .field("name", &self.name)
            .field("access", &self.access)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
