//! Files.
//!
//! What lives here: [`File`], taking one over, closing, and what can be asked of it at once. What does not: the operations
//! (`ops/file`), how a number stays reserved (`open_handle.rs`).
//!
//! 1. **The handle's number stays reserved for as long as anybody holds the file.** So no operation, on whatever thread,
//!    can reach another file through it.
//! 2. **Closing ends nothing that is under way.** Operations that were accepted before go on and end as they would have;
//!    the file itself goes with the last of them. Those that come later are refused.
//!    Where the system does not let it go under its number (see `open_handle.rs`), it goes with the last clone.
//! 3. **One word** says who uses the file and whether it is closed, so of an operation that enters and a close that begins
//!    one always sees the other. Whoever finds that it is closed and that nobody is left buries it: the closer, or the
//!    operation that leaves last.
#![cfg(unix)]

use crate::errno::failure;
use crate::handle::Handle;
use crate::open_handle;
use crate::registration::{Known, Named};
use crate::socket::RefusedImport;
use rustix::fs::FileType;
#[cfg(not(target_vendor = "apple"))]
use rustix::fs::OFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use weft_sync::atomic::{AtomicU32, Ordering};
use weft_sync::{Code, Result, Status, bail};

/// An open file. Cheap to clone; clones are the same file, which is closed with the last of them or by an operation.
///
/// All transfers name their place: there is no cursor, and any number of them can be under way.
///
/// ```
/// use weft_io::File;
/// let file = File::import(std::fs::File::open("/proc/self/exe").unwrap())?;
/// assert!(file.size()? > 0);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct File(Arc<Inner>);

/// * `handle` – the number never changes; what is open behind it is replaced when the file is closed.
/// * `is_direct` – whether it went past the system's cache when it was taken over. Who changes that loses time, nothing else.
/// * `word` – any thread, atomically: how many operations have entered, [`CLOSED`], [`BURIED`].
#[derive(Debug)]
struct Inner {
    handle: OwnedFd,
    is_direct: bool,
    word: AtomicU32,
    /// Where rings know it.
    known: Known,
}

/// No operation enters any more.
const CLOSED: u32 = 1 << 31;
/// The file is not behind the number any more.
const BURIED: u32 = 1 << 30;

/// What direct transfers of a file are multiples of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectAlignment {
    /// Addresses of memory.
    pub memory: u32,
    /// Places in the file, and lengths.
    pub offset: u32,
}

impl File {
    /// Takes over a file that others opened, for reading, writing or both as it was opened. Closing it is this crate's
    /// from here on.
    ///
    /// `INVALID_ARGUMENT`: what the handle refers to has no places to read from or write to (a socket, a pipe, a folder),
    /// or none can be reached through it.
    pub fn import(handle: impl Into<OwnedFd>) -> std::result::Result<File, RefusedImport> {
        let handle = handle.into();
        match open_handle::prepare().and_then(|()| check(&handle)) {
            Ok(()) => Ok(File::of(handle)),
            Err(why) => Err(RefusedImport { why, handle }),
        }
    }

    /// What an operation has opened, or was handed for it.
    pub(crate) fn of(handle: OwnedFd) -> File {
        let is_direct = is_direct(&handle);
        File(Arc::new(Inner { handle, is_direct, word: AtomicU32::new(0), known: Known::new() }))
    }

    /// How many bytes it has, now. What a device has is not told: 0.
    pub fn size(&self) -> Result<u64> {
        let found = rustix::fs::fstat(self).map_err(|errno| failure(errno, "fstat"));
        // Looked at afterwards: what has taken its place has a size, too.
        if self.is_closed() {
            return Err(self.closed());
        }
        let found = found?;
        Ok(u64::try_from(found.st_size).unwrap_or(0))
    }

    /// What transfers must be multiples of if the file was opened with `DIRECT`; `None` where the system does not say, or
    /// the file has no such transfers. Linux says so since 6.1, for most of its file systems.
    pub fn direct_alignment(&self) -> Option<DirectAlignment> {
        direct_alignment(self.as_fd()).filter(|_| !self.is_closed())
    }

    /// Whether it is closed, or will be when what is under way has ended.
    pub fn is_closed(&self) -> bool {
        self.0.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Whether this proactor's ring knows it, see [`Handle::register_file`]. What it does not know works as well.
    pub fn is_registered(&self, proactor: &Handle) -> bool {
        proactor.is_there().is_ok() && self.0.known.place(proactor.0.id).is_some()
    }

    /// Whether its transfers go to the device.
    pub(crate) fn is_direct(&self) -> bool {
        self.0.is_direct
    }

    /// For a backend.
    #[inline]
    pub(crate) fn named(&self) -> Named<'_> {
        Named::new(self.as_fd(), &self.0.known)
    }

    /// An operation begins; it pairs with [`File::leave`], unless it is refused because the file is closed.
    pub(crate) fn enter(&self) -> Result<()> {
        // AcqRel: rule 3 needs the order of this word alone.
        let before = self.0.word.fetch_add(1, Ordering::AcqRel);
        if before & CLOSED != 0 {
            self.leave();
            return Err(self.closed());
        }
        Ok(())
    }

    /// An operation that has entered has ended.
    pub(crate) fn leave(&self) {
        let before = self.0.word.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before & !(CLOSED | BURIED) > 0, "who leaves has entered");
        if before == CLOSED | 1 {
            self.bury();
        }
    }

    /// Closes the file for everybody. The handle, if there is nobody else: it is to be closed, and its number is nobody's.
    pub(crate) fn close(self) -> Option<OwnedFd> {
        let file = match Arc::try_unwrap(self.0) {
            Ok(inner) => {
                let is_open = inner.word.load(Ordering::Acquire) & BURIED == 0;
                return is_open.then_some(inner.handle);
            }
            Err(shared) => File(shared),
        };
        let before = file.0.word.fetch_or(CLOSED, Ordering::AcqRel);
        if before & !CLOSED == 0 {
            file.bury();
        }
        None
    }

    /// Rule 3: of several who find that it is time, one does it.
    fn bury(&self) {
        if self.0.word.fetch_or(BURIED, Ordering::AcqRel) & BURIED == 0 {
            // A file that cannot be buried has no other side that would have to be told; nothing begins on it any more, and
            // it goes with the last clone.
            // Nor would a ring that knows it, and has yet to be told.
            let _ = self.0.known.let_go();
            let _ = open_handle::bury(&self.0.handle);
        }
    }

    fn closed(&self) -> Status {
        Status::new(Code::FailedPrecondition, "the file is closed")
    }
}

impl AsFd for File {
    /// The handle; once the file is closed, one that nothing works on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.handle.as_fd()
    }
}

impl TryFrom<std::fs::File> for File {
    type Error = Status;

    /// As [`File::import`]; what cannot be taken over is closed.
    fn try_from(file: std::fs::File) -> Result<File> {
        Ok(File::import(file)?)
    }
}

/// Whether transfers go to the device, past the system's cache.
pub(crate) fn is_direct(handle: impl AsFd) -> bool {
    cfg_select! {
        target_vendor = "apple" => { let _ = handle; false }
        _ => { rustix::fs::fcntl_getfl(handle).is_ok_and(|flags| flags.contains(OFlags::DIRECT)) }
    }
}

/// Whether transfers can name their place in it.
fn check(handle: &OwnedFd) -> Result<()> {
    // Of a number that is not open this fails.
    let flags = rustix::fs::fcntl_getfl(handle).map_err(|errno| bad(failure(errno, "F_GETFL")))?;
    #[cfg(target_os = "linux")]
    if flags.contains(rustix::fs::OFlags::PATH) {
        bail!(InvalidArgument, "the handle names a path, and opens nothing");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = flags;
    let found = rustix::fs::fstat(handle).map_err(|errno| bad(failure(errno, "fstat")))?;
    match FileType::from_raw_mode(found.st_mode as _) {
        FileType::RegularFile | FileType::BlockDevice | FileType::CharacterDevice => Ok(()),
        other => bail!(InvalidArgument, "the handle is no file with places in it: {other:?}"),
    }
}

/// Whatever is wrong with a handle is wrong with the argument.
fn bad(why: Status) -> Status {
    Status::new(Code::InvalidArgument, why.message().into_owned())
}

/// See [`File::direct_alignment`].
#[cfg(target_os = "linux")]
pub(crate) fn direct_alignment(handle: BorrowedFd<'_>) -> Option<DirectAlignment> {
    use rustix::fs::{AtFlags, StatxFlags};
    let found = rustix::fs::statx(handle, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
    let is_told = found.stx_mask & StatxFlags::DIOALIGN.bits() != 0;
    let alignment = DirectAlignment { memory: found.stx_dio_mem_align, offset: found.stx_dio_offset_align };
    (is_told && alignment.memory > 0 && alignment.offset > 0).then_some(alignment)
}

/// See [`File::direct_alignment`].
#[cfg(not(target_os = "linux"))]
pub(crate) fn direct_alignment(_handle: BorrowedFd<'_>) -> Option<DirectAlignment> {
    None
}
