#![allow(unsafe_code, reason = "the system answers with a bare number, which is made an owner here")]
//! Opening files.

use crate::Capabilities;
use crate::file::File;
use crate::open_handle;
use crate::operation::{Params, sealed::Lower};
use crate::ops::{Body, Kind};
use rustix::fs::{FileType, Mode, OFlags};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use weft_sync::{Result, bail};

bitflags::bitflags! {
    /// How a file is opened. At least `READ` or `WRITE`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FileFlags: u32 {
        /// It can be read.
        const READ = 1;
        /// It can be written.
        const WRITE = 2;
        /// It is made if it does not exist, for owner and group to read and write and others to read (less the umask).
        const CREATE = 4;
        /// It is emptied; needs `WRITE`.
        const TRUNCATE = 8;
        /// Whatever is written is written behind its end, wherever it says; needs `WRITE`.
        const APPEND = 16;
        /// Transfers go past the kernel's cache. What they must be aligned to is the system's rule, see
        /// [`File::direct_alignment`]; what is not is refused by it.
        const DIRECT = 32;
    }
}

/// Opens a file; it is not inherited by programs that are started. Folders are refused
/// (`FAILED_PRECONDITION`), and so are pipes and sockets (`INVALID_ARGUMENT`). A terminal, or another device that is a
/// stream, is read and written where it stands, whatever place a transfer names. A file of which another process has a
/// lease is waited for.
///
/// A file that nobody takes out of the result is closed.
///
/// ```
/// use weft_io::{Config, open_any, ops::{FileFlags, FileOpen, FileRead}};
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let handle = poller.handle().clone();
/// let text = poller.block_on(async {
///     let file = handle.run(FileOpen::new("Cargo.toml", FileFlags::READ)).await.result?;
///     let read = handle.run(FileRead::new(file, 0, vec![0; 9])).await;
///     read.result?;
///     weft_sync::Result::Ok(read.operation.into_params().target)
/// })??;
/// assert_eq!(text, b"[package]");
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct FileOpen {
    /// `None`: it has a NUL in it.
    path: Option<CString>,
    flags: FileFlags,
    /// What was opened, until somebody takes it.
    opened: Option<File>,
}

impl FileOpen {
    /// For the file at this path, from the current folder of the process.
    pub fn new(path: impl AsRef<Path>, flags: FileFlags) -> FileOpen {
        let path = CString::new(path.as_ref().as_os_str().to_owned().into_vec()).ok();
        FileOpen { path, flags, opened: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.system_path().to_bytes()))
    }

    /// How it is opened.
    pub fn flags(&self) -> FileFlags {
        self.flags
    }

    pub(crate) fn system_path(&self) -> &CStr {
        self.path.as_deref().unwrap_or(c"")
    }

    pub(crate) fn system_flags(&self) -> OFlags {
        let access = match (self.flags.contains(FileFlags::READ), self.flags.contains(FileFlags::WRITE)) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        // A pipe without another end would be waited for, by nobody knows whom.
        let mut system = access | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        system.set(OFlags::CREATE, self.flags.contains(FileFlags::CREATE));
        system.set(OFlags::TRUNC, self.flags.contains(FileFlags::TRUNCATE));
        system.set(OFlags::APPEND, self.flags.contains(FileFlags::APPEND));
        #[cfg(not(target_vendor = "apple"))]
        system.set(OFlags::DIRECT, self.flags.contains(FileFlags::DIRECT));
        system
    }

    /// What owner, group and others may do with a file that is made.
    pub(crate) fn mode() -> Mode {
        Mode::from_raw_mode(0o664)
    }
}

/// Has transfers wait for the device, as those of files do.
fn block(handle: &OwnedFd) -> Result<()> {
    rustix::fs::fcntl_getfl(handle)
        .and_then(|flags| rustix::fs::fcntl_setfl(handle, flags - OFlags::NONBLOCK))
        .map_err(|errno| crate::errno::failure(errno, "F_SETFL of what was opened"))
}

impl Params for FileOpen {
    type Output = File;

    fn output(&mut self, _value: i64) -> File {
        self.opened.take().expect("kept when it was opened")
    }
}

impl Lower for FileOpen {
    const KIND: Kind = Kind::FileOpen;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        let flags = self.flags;
        if self.path.is_none() {
            bail!(InvalidArgument, "a path with a NUL in it");
        }
        if !FileFlags::all().contains(flags) || !flags.intersects(FileFlags::READ | FileFlags::WRITE) {
            bail!(InvalidArgument, "opening a file for {flags:?}");
        }
        if flags.intersects(FileFlags::TRUNCATE | FileFlags::APPEND) && !flags.contains(FileFlags::WRITE) {
            bail!(InvalidArgument, "{flags:?} changes a file that is not opened to be written");
        }
        #[cfg(target_vendor = "apple")]
        if flags.contains(FileFlags::DIRECT) {
            bail!(Unimplemented, "this system opens no file for direct transfers");
        }
        open_handle::prepare()
    }

    fn body(&mut self) -> Body<'_> {
        Body::FileOpen(self)
    }

    fn keep(&mut self, value: i64) -> Result<()> {
        let number = i32::try_from(value).expect("numbers of handles are small");
        // SAFETY: the system has just opened it for this operation, and nobody else knows the number.
        let handle = unsafe { OwnedFd::from_raw_fd(number) };
        // The system opens folders to be read, and then refuses to read them.
        let found = rustix::fs::fstat(&handle)
            .map_err(|errno| crate::errno::failure(errno, "fstat of what was opened"))?;
        match FileType::from_raw_mode(found.st_mode as _) {
            FileType::BlockDevice => {}
            // Also what only looks like a file on a disk: some of those have to be waited for.
            FileType::RegularFile | FileType::CharacterDevice => block(&handle)?,
            FileType::Directory => {
                bail!(FailedPrecondition, "opening {}: it is a folder", self.path().display())
            }
            other => bail!(
                InvalidArgument,
                "opening {}: no file with places in it: {other:?}",
                self.path().display()
            ),
        }
        self.opened = Some(File::of(handle));
        Ok(())
    }
}
