#![allow(unsafe_code, reason = "memory is mapped and unmapped here")]
//! Memory that the system maps for this process.
//!
//! What lives here: [`Mapping`]: anonymous memory, with large pages and near a node where that can be had, and handles.
//! What does not: who may touch it (`slab.rs`, `dmabuf.rs`, `shared_pool.rs`).
//!
//! By the C library and not by raw calls: a race detector watches the library, and else takes memory of one mapping for
//! that of another that was at the same address before.
//!
//! # Safety
//!
//! A mapping covers what it says, at an address of the kernel's choice, until it is dropped. Anonymous memory is zeroed,
//! so all of it is initialised. Nothing here makes a reference to it.

use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use weft_sync::{Code, Result, Status, bail};

/// Which pages memory is made of. Of what was asked for, or of what was had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pages {
    /// Those of the system, 4 KiB mostly.
    #[default]
    Ordinary,
    /// The system is asked to take large ones where it has some.
    Transparent,
    /// Large ones that were set aside; [`Pages::Transparent`] if there are none left.
    Huge,
}

/// See the header.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping belongs to the process, and this makes no reference to it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// The size of a large page, to which such mappings are rounded up.
#[cfg(target_os = "linux")]
const HUGE: usize = 2 << 20;

impl Mapping {
    /// Zeroed memory that only this process has, of `bytes` bytes (not zero), and which pages it got.
    pub(crate) fn anonymous(bytes: usize, pages: Pages, node: Option<u32>) -> Result<(Mapping, Pages)> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        #[cfg(target_os = "linux")]
        {
            let mut got = pages;
            let mut mapping = None;
            if pages == Pages::Huge {
                let rounded = bytes.checked_next_multiple_of(HUGE);
                let huge = flags | libc::MAP_HUGETLB | libc::MAP_POPULATE;
                mapping = rounded.and_then(|bytes| Mapping::map(bytes, access, huge, -1, 0).ok());
                if mapping.is_none() {
                    got = Pages::Transparent;
                }
            }
            let mapping = match mapping {
                Some(mapping) => mapping,
                None => Mapping::map(bytes, access, flags, -1, 0).map_err(|errno| exhausted(errno, bytes))?,
            };
            if got == Pages::Transparent && !mapping.advise_large() {
                got = Pages::Ordinary;
            }
            if let Some(node) = node {
                mapping.prefer(node)?;
            }
            Ok((mapping, got))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (pages, node);
            let mapping =
                Mapping::map(bytes, access, flags, -1, 0).map_err(|errno| exhausted(errno, bytes))?;
            Ok((mapping, Pages::Ordinary))
        }
    }

    /// A piece of what a handle stands for, shared with everybody who maps it. `offset` is a multiple of the page size.
    #[cfg(target_os = "linux")]
    pub(super) fn shared(
        handle: BorrowedFd<'_>,
        offset: i64,
        bytes: usize,
        is_written: bool,
    ) -> std::result::Result<Mapping, Errno> {
        let access = libc::PROT_READ | if is_written { libc::PROT_WRITE } else { 0 };
        Mapping::map(bytes, access, libc::MAP_SHARED, handle.as_raw_fd(), offset)
    }

    fn map(
        bytes: usize,
        access: i32,
        flags: i32,
        handle: i32,
        offset: i64,
    ) -> std::result::Result<Mapping, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of this process.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, handle, offset) };
        if start == libc::MAP_FAILED {
            return Err(last());
        }
        NonNull::new(start.cast()).map(|start| Mapping { start, bytes }).ok_or(Errno::FAULT)
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Whether the kernel has taken the advice.
    #[cfg(target_os = "linux")]
    fn advise_large(&self) -> bool {
        // SAFETY: the mapping's own range; the advice changes no byte.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.bytes, libc::MADV_HUGEPAGE) == 0 }
    }

    /// Asks for pages of this node as far as it has some. `INVALID_ARGUMENT`: there is no such node. A system without a
    /// notion of nodes has one, of everything.
    #[cfg(target_os = "linux")]
    fn prefer(&self, node: u32) -> Result<()> {
        /// `MPOL_PREFERRED`.
        const PREFERRED: libc::c_long = 1;
        let mut mask = [0_u64; 16];
        let Some(word) = mask.get_mut(node as usize / 64) else { bail!(InvalidArgument, "no node {node}") };
        *word = 1 << (node % 64);
        // One more than there are: the kernel takes one off.
        let bits = size_of_val(&mask) * 8 + 1;
        // SAFETY: the mapping's own range, and a mask that is read during the call.
        let outcome = unsafe {
            libc::syscall(libc::SYS_mbind, self.start.as_ptr(), self.bytes, PREFERRED, mask.as_ptr(), bits, 0)
        };
        match outcome {
            0 => Ok(()),
            _ => match last() {
                Errno::INVAL => bail!(InvalidArgument, "there is no memory node {node}"),
                // No such call here, or a filter that forbids it: a preference was all that it is.
                _ => Ok(()),
            },
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `map`, in this size; whoever gave out addresses in it keeps the mapping.
        let outcome = unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        debug_assert_eq!(outcome, 0, "a mapping of its own is unmapped");
    }
}

/// The size of a page of this system.
pub(super) fn page_size() -> usize {
    // SAFETY: no memory is involved.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOMEM)
}

fn exhausted(errno: Errno, bytes: usize) -> Status {
    Status::new(Code::ResourceExhausted, format!("mapping {bytes} bytes: {errno}"))
}
