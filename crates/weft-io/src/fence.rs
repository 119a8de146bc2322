#![allow(
    unsafe_code,
    reason = "one ioctl asks a sync file whether it was signalled or has failed; no safe wrapper of it exists"
)]
//! Fences of other parties, in and out as file descriptors.
//!
//! What lives here: [`Handle::import_fence`], [`Handle::export_fence`], [`RefusedFence`]. What does not: what a timeline
//! promises to what is outside (`weft_sync::Import`), how a handle is watched (`proactor/watch.rs`).
//!
//! 1. **An import is a watch** that owns the descriptor and owes the timeline an end: the value when the descriptor is
//!    readable, a failure in every other case: an error or a hang-up (`DATA_LOSS`), a descriptor that the kernel does not
//!    let be watched (its error), the end of the proactor (`CANCELLED`). None is silent.
//! 2. A sync file is readable too when its fence has failed, so it is asked. Whatever is no sync file says that it does not
//!    know the question.
//! 3. What cannot be a fence is found out before anything happens: the descriptor comes back, the timeline is untouched.
//! 4. **An export is a timepoint** that owns a second descriptor of the same event: the caller may close its own whenever
//!    it likes, and the number may be used again. No proactor has a part in it, so it outlives all of them.
#![cfg(target_os = "linux")]

use crate::errno::failure;
use crate::event::{new_eventfd, raise};
use crate::ops::{Interest, Ready};
use crate::proactor::{Verdict, Watching};
use crate::{Capabilities, Handle};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::any::Any;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use weft_sync::{ExportTarget, Import, Result, Semaphore, Status, WhileDoing, bail, status};

/// A descriptor that was not imported, and why. The timeline was not touched.
#[must_use = "the descriptor comes back here"]
pub struct RefusedFence {
    /// `INVALID_ARGUMENT`: it cannot be a fence. `UNAVAILABLE`: the proactor imports none. `ABORTED`: it is gone.
    pub why: Status,
    /// What was to be imported, open.
    pub fd: OwnedFd,
}

impl fmt::Debug for RefusedFence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusedFence({:?}, {})", self.fd, self.why)
    }
}

impl Handle {
    /// Signals `value` once `fd` is readable: a sync file of a driver, an eventfd, the end of a pipe. Any thread; the
    /// proactor owns the descriptor until then, and the timeline with it.
    ///
    /// The timeline fails if the descriptor reports an error or a hang-up and nothing to read (`DATA_LOSS`), if it has
    /// passed the value, if the kernel refuses to watch the descriptor, and if the proactor ends first (`CANCELLED`).
    ///
    /// ```
    /// use std::{io::Write, os::fd::OwnedFd, sync::Arc};
    /// use weft_io::{Config, open_any};
    /// use weft_sync::{Deadline, Semaphore};
    /// # let Ok(proactor) = open_any(&Config::new()) else { return Ok(()) };
    /// let mut poller = proactor.into_poller()?;
    /// # if !poller.handle().capabilities().contains(weft_io::Capabilities::DEVICE_FENCE) { return Ok(()) };
    /// let (fence, mut driver) = std::io::pipe().unwrap();
    /// let timeline = Arc::new(Semaphore::new(0));
    /// poller.handle().import_fence(OwnedFd::from(fence), &timeline, 7).unwrap();
    /// driver.write_all(b"done").unwrap();
    /// poller.poll(Deadline::NEVER)?;
    /// assert_eq!(timeline.query()?, 7);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn import_fence(
        &self,
        fd: OwnedFd,
        semaphore: &Arc<Semaphore>,
        value: u64,
    ) -> std::result::Result<(), RefusedFence> {
        if !self.capabilities().contains(Capabilities::DEVICE_FENCE) {
            let why =
                status!(Unavailable, "this proactor imports no fences (no such backend, or not allowed)");
            return Err(RefusedFence { why, fd });
        }
        let (fd, checked) = check(fd);
        if let Err(why) = checked {
            return Err(RefusedFence { why, fd });
        }
        let promise = Promise(Some((Arc::clone(semaphore), value)));
        let fence = Fence { fd, promise };
        let Err((why, watching)) = self.0.watch(Box::new(fence)) else { return Ok(()) };
        let watching: Box<dyn Any> = watching;
        match watching.downcast::<Fence>() {
            Ok(mut fence) => {
                fence.promise.0 = None;
                Err(RefusedFence { why, fd: fence.fd })
            }
            Err(_) => unreachable!("the same watch comes back"),
        }
    }

    /// A descriptor that becomes readable once the timeline has reached `value`, at once if it has, and stays so. It never
    /// does if the timeline fails or goes away first. The caller owns it; other parties poll it, or
    /// [`Handle::import_fence`] takes it in again. Any thread.
    ///
    /// `RESOURCE_EXHAUSTED`: the process has no descriptors left.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weft_io::{Config, open_null};
    /// use weft_sync::Semaphore;
    /// let timeline = Arc::new(Semaphore::new(0));
    /// let fence = open_null(&Config::new()).handle().export_fence(&timeline, 3)?;
    /// timeline.signal(3)?; // `fence` is readable from here on.
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn export_fence(&self, semaphore: &Arc<Semaphore>, value: u64) -> Result<OwnedFd> {
        let fence = new_eventfd().while_doing(|| "exporting a fence")?;
        match semaphore.is_reached(value) {
            Ok(true) => raise(&fence),
            // Nobody will ever set it.
            Err(_) => {}
            Ok(false) => {
                // Close-on-exec, like the first.
                let second = fence
                    .try_clone()
                    .map_err(|error| failure(number(&error), "a second descriptor of an exported fence"))?;
                semaphore.export(value, Exported(second));
            }
        }
        Ok(fence)
    }
}

/// Rule 3. Files and directories are readable whatever happens.
fn check(fd: OwnedFd) -> (OwnedFd, Result<()>) {
    let file = File::from(fd);
    let metadata = file.metadata();
    let checked = match metadata.map(|metadata| metadata.file_type()) {
        Err(error) => Err(status!(InvalidArgument, "a fence that is no open descriptor: {error}")),
        Ok(kind) if kind.is_file() || kind.is_dir() => {
            Err(status!(InvalidArgument, "a file or a directory is always readable, so it cannot be a fence"))
        }
        Ok(_) => Ok(()),
    };
    (OwnedFd::from(file), checked)
}

fn number(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// An imported descriptor while it is watched.
#[derive(Debug)]
struct Fence {
    fd: OwnedFd,
    promise: Promise,
}

/// What an import owes its timeline: an end. Dropped without one, it fails it.
#[derive(Debug)]
struct Promise(Option<(Arc<Semaphore>, u64)>);

impl Promise {
    fn keep(&mut self) -> Option<Import> {
        self.0.take().map(|(semaphore, value)| semaphore.import(value))
    }

    fn signal(&mut self) {
        if let Some(import) = self.keep() {
            import.signalled();
        }
    }

    fn fail(&mut self, why: Status) {
        if let Some(import) = self.keep() {
            import.failed(why.while_doing("waiting for an imported fence"));
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.fail(status!(Cancelled, "nobody watches the fence any more"));
    }
}

impl Watching for Fence {
    fn handle(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn interest(&self) -> Interest {
        Interest::IN
    }

    fn ready(&mut self, ready: Result<Ready>) -> Verdict {
        match ready {
            Err(why) => self.promise.fail(why),
            Ok(ready) if !ready.contains(Ready::IN) => {
                let why = status!(DataLoss, "the fence reports {ready:?} and nothing to read");
                self.promise.fail(why);
            }
            Ok(_) => match state_of(&self.fd) {
                Ok(State::Signalled) => self.promise.signal(),
                Ok(State::Active) => return Verdict::Again,
                Err(why) => self.promise.fail(why),
            },
        }
        Verdict::Done
    }

    fn end(mut self: Box<Self>, why: Status) {
        self.promise.fail(why.while_doing("the proactor went away"));
    }
}

/// What a readable descriptor says about itself.
enum State {
    Signalled,
    /// Readable for somebody else's reason: there is more to wait for.
    Active,
}

/// What the kernel answers about a sync file: its `struct sync_file_info`.
#[repr(C)]
#[derive(Default)]
struct SyncFileInfo {
    name: [u8; 32],
    /// Below zero: the fence has failed, by this error. Zero: it is not signalled.
    status: i32,
    flags: u32,
    /// Zero asks for the status alone.
    fence_count: u32,
    padding: u32,
    fences: u64,
}

const SYNC_FILE_INFO: Opcode = opcode::read_write::<SyncFileInfo>(b'>', 4);

/// Rule 2.
fn state_of(fd: &OwnedFd) -> Result<State> {
    let mut info = SyncFileInfo::default();
    // SAFETY: the number and the layout are those of the kernel's interface for sync files, which no other driver uses;
    // with no room for fences announced, the kernel writes to the structure alone.
    let question = unsafe { Updater::<SYNC_FILE_INFO, SyncFileInfo>::new(&mut info) };
    // SAFETY: as above.
    match unsafe { ioctl(fd, question) } {
        // No sync file: readable is all there is to know.
        Err(_) => Ok(State::Signalled),
        Ok(()) => meaning_of(info.status),
    }
}

fn meaning_of(status: i32) -> Result<State> {
    match status {
        0 => Ok(State::Active),
        1.. => Ok(State::Signalled),
        failed => {
            let errno = Errno::from_raw_os_error(failed.wrapping_neg());
            bail!(DataLoss, "the fence has failed with errno {} ({errno})", errno.raw_os_error())
        }
    }
}

/// Rule 4.
struct Exported(OwnedFd);

impl ExportTarget for Exported {
    fn reached(self) {
        raise(&self.0);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use weft_sync::Code;

    /// No driver of sync files is at hand: what the kernel would say, and what it says about others.
    #[test]
    fn a_sync_file_that_has_failed_is_no_signal() {
        assert_eq!(size_of::<SyncFileInfo>(), 56);
        assert_eq!(SYNC_FILE_INFO, 0xC038_3E04);
        assert!(matches!(meaning_of(1), Ok(State::Signalled)));
        assert!(matches!(meaning_of(0), Ok(State::Active)));
        let why = meaning_of(-5).err().expect("it has failed");
        assert!(why.code() == Code::DataLoss && why.to_string().contains("errno 5"), "{why}");
        let event = new_eventfd().unwrap();
        assert!(matches!(state_of(&event), Ok(State::Signalled)));
    }
}
