#![allow(unsafe_code, reason = "memory that several processes map is mapped, read and unmapped here")]
//! Words in memory that several processes map.
//!
//! What lives here: [`SharedMemory`], [`SharedWord`]. What does not: what a word means (`shared_notification.rs`).
//!
//! # Safety
//!
//! 1. A mapping covers memory of a size that nobody can change: it is sealed against shrinking before it is mapped, here
//!    or, if it comes from elsewhere, as the kernel says. So no access to it faults.
//! 2. Everybody reaches the words through atomics alone, here and, as far as one can tell, elsewhere; and whatever bits
//!    another process leaves in a word are a valid number.
//! 3. A [`SharedWord`] keeps its mapping, or comes from a caller who has promised as much.
#![cfg(all(target_os = "linux", not(loom)))]

use crate::errno::failure;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use weft_sync::atomic::{AtomicU32, Ordering};
use weft_sync::{Result, WhileDoing, bail, status};

const WORD_BYTES: usize = size_of::<AtomicU32>();

/// Words that other processes can map, given the handle. Cheap to clone; clones are the same mapping.
///
/// ```
/// use std::os::fd::AsFd;
/// use weft_io::SharedMemory;
/// let memory = SharedMemory::create(2)?;
/// // Another process gets the handle by a socket or by inheritance, and maps the same words.
/// let handle = memory.as_fd().try_clone_to_owned().unwrap();
/// let elsewhere = SharedMemory::open(handle)?;
/// assert_eq!(elsewhere.word(1)?.load(), 0);
/// assert!(elsewhere.word(1 << 40).is_err());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedMemory(Arc<Mapping>);

#[derive(Debug)]
struct Mapping {
    fd: OwnedFd,
    start: NonNull<AtomicU32>,
    bytes: usize,
}

// SAFETY: a mapping belongs to the process, and its words are reached through atomics alone.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl SharedMemory {
    /// New memory of `words` words at least, all zero.
    pub fn create(words: usize) -> Result<SharedMemory> {
        let bytes = words.max(1).checked_mul(WORD_BYTES).filter(|&bytes| i64::try_from(bytes).is_ok());
        let Some(bytes) = bytes else { bail!(OutOfRange, "{words} words are more than memory has") };
        let made = (|| {
            let fd = rustix::fs::memfd_create("weft", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
            rustix::fs::ftruncate(&fd, bytes as u64)?;
            rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
            Ok(fd)
        })();
        let made = made.map_err(|errno: Errno| failure(errno, "a memory file"));
        SharedMemory::map(made.while_doing(|| "making shared memory")?, bytes)
    }

    /// Maps memory of another process. `INVALID_ARGUMENT`: it is not sealed against shrinking, so it could be taken away
    /// from under whoever uses it; or it holds no word.
    pub fn open(memory: OwnedFd) -> Result<SharedMemory> {
        let seals = rustix::fs::fcntl_get_seals(&memory)
            .map_err(|errno| status!(InvalidArgument, "this handle is no shareable memory ({errno})"))?;
        if !seals.contains(SealFlags::SHRINK) {
            bail!(InvalidArgument, "the memory is not sealed against shrinking");
        }
        let size = rustix::fs::fstat(&memory).map_err(|errno| failure(errno, "fstat"))?.st_size;
        match usize::try_from(size) {
            Ok(bytes) if bytes >= WORD_BYTES => SharedMemory::map(memory, bytes),
            _ => bail!(InvalidArgument, "shared memory of {size} bytes holds no word"),
        }
    }

    fn map(fd: OwnedFd, bytes: usize) -> Result<SharedMemory> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // By the C library and not by a raw call: a race detector watches the library, and else takes words of one mapping
        // for those of another that was at the same address before.
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of this process.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            let errno = Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOMEM);
            return Err(failure(errno, "mmap")).while_doing(|| "mapping shared memory");
        }
        let Some(start) = NonNull::new(start.cast()) else { bail!(Internal, "memory was mapped at zero") };
        Ok(SharedMemory(Arc::new(Mapping { fd, start, bytes })))
    }

    /// How many words there are.
    pub fn words(&self) -> usize {
        self.0.bytes / WORD_BYTES
    }

    /// A piece of it, mapped as long as any clone. `OUT_OF_RANGE`: there is less. Other processes may write to it at any
    /// time, so it is reached atomically, or by the kernel.
    pub(crate) fn piece(&self, offset: usize, bytes: usize) -> Result<NonNull<u8>> {
        match offset.checked_add(bytes) {
            // SAFETY: just checked: inside the mapping, or right behind it.
            Some(end) if end <= self.0.bytes => Ok(unsafe { self.0.start.cast::<u8>().add(offset) }),
            _ => bail!(OutOfRange, "{bytes} bytes at {offset} of shared memory of {}", self.0.bytes),
        }
    }

    /// One of them. `OUT_OF_RANGE`: there are fewer.
    pub fn word(&self, index: usize) -> Result<SharedWord> {
        if index >= self.words() {
            bail!(OutOfRange, "word {index} of {}", self.words());
        }
        // SAFETY: just checked: inside the mapping.
        let place = unsafe { self.0.start.add(index) };
        Ok(SharedWord { place, _memory: Some(Arc::clone(&self.0)) })
    }
}

impl AsFd for SharedMemory {
    /// For the other process.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `map`, in this size, and no word of it is left: each keeps the mapping.
        let outcome = unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        debug_assert_eq!(outcome, 0, "a mapping of its own is unmapped");
    }
}

/// A word that several processes may change at any time. Cheap to clone; clones are the same word.
#[derive(Clone, Debug)]
pub struct SharedWord {
    place: NonNull<AtomicU32>,
    /// Rule 3.
    _memory: Option<Arc<Mapping>>,
}

// SAFETY: the word is reached through atomics alone, and its memory belongs to the process (rule 3).
unsafe impl Send for SharedWord {}
// SAFETY: as above.
unsafe impl Sync for SharedWord {}

impl SharedWord {
    /// A word in memory that the caller has mapped. `INVALID_ARGUMENT`: the address is null, or not that of a word.
    ///
    /// # Safety
    ///
    /// Until the last clone of the result is gone the word stays mapped, readable and writable, and everybody who reaches
    /// it does so by atomic accesses.
    pub unsafe fn from_raw(word: *const AtomicU32) -> Result<SharedWord> {
        let Some(place) = NonNull::new(word.cast_mut()) else { bail!(InvalidArgument, "a word at null") };
        if !place.is_aligned() {
            bail!(InvalidArgument, "a word at {word:p}, which is not aligned");
        }
        Ok(SharedWord { place, _memory: None })
    }

    /// What it holds.
    pub fn load(&self) -> u32 {
        self.get().load(Ordering::Acquire)
    }

    pub(crate) fn get(&self) -> &AtomicU32 {
        // SAFETY: rule 3: mapped and aligned for as long as `self`; shared access to an atomic.
        unsafe { self.place.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    #[test]
    fn memory_that_could_go_away_is_refused() {
        let unsealed = || rustix::fs::memfd_create("plain", MemfdFlags::ALLOW_SEALING).unwrap();
        let plain = unsealed();
        rustix::fs::ftruncate(&plain, 4096).unwrap();
        assert_eq!(SharedMemory::open(plain).unwrap_err().code(), Code::InvalidArgument);
        let empty = unsealed();
        rustix::fs::fcntl_add_seals(&empty, SealFlags::SHRINK).unwrap();
        assert_eq!(SharedMemory::open(empty).unwrap_err().code(), Code::InvalidArgument);
        let pipe = std::io::pipe().unwrap().0;
        assert_eq!(SharedMemory::open(pipe.into()).unwrap_err().code(), Code::InvalidArgument);
        let readonly = unsealed();
        rustix::fs::ftruncate(&readonly, 4096).unwrap();
        rustix::fs::fcntl_add_seals(&readonly, SealFlags::SHRINK | SealFlags::WRITE).unwrap();
        assert_eq!(SharedMemory::open(readonly).unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(SharedMemory::create(usize::MAX).unwrap_err().code(), Code::OutOfRange);
    }

    #[test]
    fn a_word_outlives_the_memory_it_came_from() {
        let memory = SharedMemory::create(3).unwrap();
        assert_eq!(memory.words(), 3);
        let word = memory.word(2).unwrap();
        drop(memory);
        word.get().fetch_add(7, Ordering::Relaxed);
        assert_eq!(word.clone().load(), 7);
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        let word = AtomicU32::new(5);
        let address = word.as_ptr().cast_const().cast::<AtomicU32>();
        // SAFETY: null is refused before anything is done with it.
        let refused = unsafe { SharedWord::from_raw(ptr::null()) };
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
        // SAFETY: an address that is not aligned is refused before anything is done with it.
        let refused = unsafe { SharedWord::from_raw(address.wrapping_byte_add(1)) };
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
        // SAFETY: `word` outlives what is made of it.
        let taken = unsafe { SharedWord::from_raw(address) }.unwrap();
        assert_eq!(taken.load(), 5);
    }
}
