//! Files that are streams: devices from which one waits for something, as terminals, and which say when it is there.
//!
//! What lives here: which transfers of files wait for readiness ([`Streams::place`]), and which of them are at work. What
//! does not: the transfer, which a worker carries out as that of any file (`workers.rs`).
//!
//! 1. **A transfer of such a device waits like one of a socket**, so it keeps no thread busy and is cancelled at once. When
//!    the device is ready a worker gets it: its handle may be shared, and others may want it to block, so it is not made
//!    one that does not. If another process was faster the worker blocks, which is bounded there.
//! 2. **One at a time in each direction of a device**: readiness says that one transfer has something to do. The handle
//!    rests in that direction until the worker is done.
//! 3. A device that cannot be watched is a file like any other, so its transfers are carried out in any order at once.
//! 4. A transfer that fails or ends whatever comes does not wait: of the wrong direction, or of no bytes.
//! 5. This is for Linux, which tells by its answer to epoll which devices can be watched. Elsewhere each blocks a worker.

use super::descriptors::Line;
use crate::ops::Body;
use crate::record::Erased;
use std::collections::HashMap;
use std::os::fd::RawFd;

/// See the header.
#[derive(Default)]
pub(super) struct Streams {
    /// Those that workers have, by slot. An operation keeps the number of its file reserved.
    at_work: HashMap<u32, (RawFd, Line)>,
    /// What is asked whether a device can be watched.
    #[cfg(target_os = "linux")]
    question: Option<std::os::fd::OwnedFd>,
}

impl Streams {
    /// Where an operation on a file has to wait; `None`: a worker can have it at once.
    pub(super) fn place(&mut self, operation: &mut Erased) -> Option<(RawFd, Line)> {
        let (transfer, line) = match operation.body() {
            Body::FileRead(transfer) => (transfer, Line::Readers),
            Body::FileWrite(transfer) => (transfer, Line::Writers),
            _ => return None,
        };
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            let file = transfer.file.fd;
            let waits = is_device(file) && transfer.spans.length() > 0 && is_open_for(file, line);
            (waits && self.is_watchable(file)).then(|| (file.as_raw_fd(), line))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (transfer, line);
            None
        }
    }

    /// A worker gets the one of this slot.
    pub(super) fn begin(&mut self, slot: u32, fd: RawFd, line: Line) {
        self.at_work.insert(slot, (fd, line));
    }

    /// It comes back: where it waited, if it did.
    pub(super) fn end(&mut self, slot: u32) -> Option<(RawFd, Line)> {
        match self.at_work.is_empty() {
            true => None,
            false => self.at_work.remove(&slot),
        }
    }

    /// Rule 3.
    #[cfg(target_os = "linux")]
    fn is_watchable(&mut self, file: std::os::fd::BorrowedFd<'_>) -> bool {
        use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
        if self.question.is_none() {
            self.question = epoll::create(CreateFlags::CLOEXEC).ok();
        }
        // Who cannot ask takes it for a file: that is never wrong, only slower.
        let Some(question) = &self.question else { return false };
        let is_watchable = epoll::add(question, file, EventData::new_u64(0), EventFlags::empty()).is_ok();
        if is_watchable {
            // It cannot fail: it was there a moment ago.
            let _ = epoll::delete(question, file);
        }
        is_watchable
    }
}

#[cfg(target_os = "linux")]
fn is_device(file: std::os::fd::BorrowedFd<'_>) -> bool {
    use rustix::fs::{AtFlags, FileType, StatxFlags, fstat, statx};
    // What a file is does not change: nobody on a network has to be asked.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let mode = match statx(file, "", flags, StatxFlags::TYPE) {
        Ok(found) => u32::from(found.stx_mode),
        Err(_) => fstat(file).map_or(0, |found| found.st_mode),
    };
    FileType::from_raw_mode(mode) == FileType::CharacterDevice
}

/// Rule 4.
#[cfg(target_os = "linux")]
fn is_open_for(file: std::os::fd::BorrowedFd<'_>, line: Line) -> bool {
    use rustix::fs::OFlags;
    let access = rustix::fs::fcntl_getfl(file).map(|flags| flags & OFlags::ACCMODE);
    let wanted = if line == Line::Readers { OFlags::RDONLY } else { OFlags::WRONLY };
    access.is_ok_and(|access| access == wanted || access == OFlags::RDWR)
}
