//! Files that a proactor reads and writes.
//!
//! What lives here: [`File::from_io`], and the same file as threads see it that may block. What does not: transfers by the
//! proactor (`transfer.rs`).

use rustix::fs::OFlags;
use weft_sync::{Result, WhileDoing, bail};

use super::{File, PositionalFile, Route};
use crate::memory::MemoryAccess;

/// A file and who works on it.
pub(super) struct Polled {
    pub(super) file: weft_io::File,
    pub(super) handle: weft_io::Handle,
}

impl File {
    /// A file that the proactor of this handle reads and writes. Somebody polls it; once nobody does any more, and the
    /// proactor is gone, threads that may block take over.
    ///
    /// Its length is taken now. PERMISSION_DENIED: it was not opened for `access`. INVALID_ARGUMENT: it is to be written,
    /// and was opened for appending, so that nothing would be written where it should be.
    ///
    /// ```
    /// use weft_hal::{File, MemoryAccess};
    /// let runner = weft_io::Runner::start(weft_io::open_any(&weft_io::Config::new())?, Default::default())?;
    /// let file = weft_io::File::try_from(std::fs::File::open("Cargo.toml").unwrap())?;
    /// let file = File::from_io(MemoryAccess::READ, file, runner.handle().clone())?;
    /// assert!(file.length() > 0);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn from_io(access: MemoryAccess, file: weft_io::File, handle: weft_io::Handle) -> Result<File> {
        let flags = rustix::fs::fcntl_getfl(&file).map_err(std::io::Error::from);
        let flags =
            flags.map_err(|error| super::io_status(&error)).while_doing(|| "asking what a file allows")?;
        let allowed = access_of(flags);
        let wanted = access.intersection(MemoryAccess::READ.union(MemoryAccess::WRITE));
        if !allowed.contains(wanted) {
            bail!(PermissionDenied, "file was opened for {allowed}, not {wanted}");
        }
        if wanted.contains(MemoryAccess::WRITE) && flags.contains(OFlags::APPEND) {
            bail!(InvalidArgument, "file was opened for appending, and cannot be written at a place");
        }
        let length = file.size()?;
        Ok(File::new(access, length, Route::Polled(Polled { file, handle })))
    }

    /// The file and its proactor, if it has one.
    pub(super) fn polled(&self) -> Option<&Polled> {
        match &self.route {
            Route::Polled(polled) => Some(polled),
            _ => None,
        }
    }

    /// Whether a proactor reads and writes it ([`File::from_io`]).
    pub fn is_polled(&self) -> bool {
        self.polled().is_some()
    }
}

/// What the flags of a descriptor allow.
fn access_of(flags: OFlags) -> MemoryAccess {
    match flags & OFlags::ACCMODE {
        OFlags::RDWR => MemoryAccess::READ.union(MemoryAccess::WRITE),
        OFlags::WRONLY => MemoryAccess::WRITE,
        _ => MemoryAccess::READ,
    }
}

impl PositionalFile for Polled {
    fn read_at(&self, offset: u64, target: &mut [u8]) -> std::io::Result<usize> {
        Ok(rustix::io::pread(&self.file, target, offset)?)
    }

    fn write_at(&self, offset: u64, source: &[u8]) -> std::io::Result<usize> {
        Ok(rustix::io::pwrite(&self.file, source, offset)?)
    }

    fn length(&self) -> u64 {
        self.file.size().unwrap_or(0)
    }
}
