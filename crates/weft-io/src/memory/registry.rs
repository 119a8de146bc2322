//! How a proactor learns of memory.
//!
//! What lives here: [`Registry`], [`Hold`], and the calls of [`Handle`] that register. What does not: what io_uring does
//! about it (`backend/uring/memory.rs`), what is registered (`slab.rs`, `dmabuf.rs`).
//!
//! Any thread may register. Where the kernel listens to the poll thread alone, any other thread leaves the wish with it
//! and waits: it has to poll, or be woken out of its poll, which happens here. A callback may register: it is on the poll
//! thread. A wish that nobody polls for is taken back after a while and fails with `DEADLINE_EXCEEDED`; nobody waits for
//! ever.

use super::region::{Access, Consumption, Region, RegionKind, RegionOptions, check};
use super::slab::Slab;
use crate::handle::Handle;
use crate::shared::gone;
use crate::span::Exclusive;
use weft_sync::atomic::lock;
use weft_sync::{Result, bail};

/// What the backend of a proactor does about memory.
#[derive(Debug)]
pub(crate) enum Registry {
    /// Nothing: it is memory like any.
    Emulated,
    #[cfg(target_os = "linux")]
    Uring(std::sync::Arc<crate::backend::uring::Memory>),
}

/// What a backend has taken for a region, until that goes.
#[derive(Debug)]
pub(super) enum Hold {
    /// Nothing.
    None,
    #[cfg(target_os = "linux")]
    Uring(crate::backend::uring::Hold),
}

impl Hold {
    /// The place of a buffer's memory in the table of the kernel.
    pub(super) fn slot(&self, buffer: usize) -> Option<u16> {
        match self {
            Hold::None => None,
            #[cfg(target_os = "linux")]
            Hold::Uring(hold) => hold.slot(buffer),
        }
    }

    /// The kernel's own ring of buffers.
    #[cfg(target_os = "linux")]
    pub(super) fn group(&self) -> Option<&crate::backend::uring::Group> {
        match self {
            Hold::None => None,
            Hold::Uring(hold) => hold.group(),
        }
    }
}

/// Buffers of one registration, at most.
const BUFFERS_MAX: u32 = 65_535;

impl Handle {
    /// Makes the proactor know the memory of a slab, until the region is gone. Which of its operations gain, and whether,
    /// is the backend's business; all of them work with any memory.
    ///
    /// `INVALID_ARGUMENT`: no access, or more than 65,535 buffers; for io_uring, buffers to be written that are not a power
    /// of two up to 32,768 in number, or larger than 4 GiB. `ALREADY_EXISTS`: a kernel before 5.19 knows one slab to be read
    /// at a time. `RESOURCE_EXHAUSTED`: there are 65,536 slabs to be written. `ABORTED`: the proactor is gone.
    /// `DEADLINE_EXCEEDED`: it would have to poll, and does not (see the module).
    ///
    /// A limit on locked memory is no failure: see [`Region::is_pinned`].
    pub fn register_slab(&self, slab: &Slab, access: Access) -> Result<Region> {
        self.register_slab_with(slab, RegionOptions::new(access))
    }

    /// The same, and says how receives use the buffers up. Fails as [`Handle::register_slab`], and with `INVALID_ARGUMENT` if
    /// buffers of 4 GiB or more are to be used up piece by piece.
    ///
    /// ```
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use std::sync::mpsc::channel;
    /// use weft_io::ops::RecvPoolMany;
    /// use weft_io::{
    ///     Access, BufferPool, Config, Consumption, RegionOptions, Slab, Socket, SocketKind, open_any,
    /// };
    /// use weft_sync::Deadline;
    /// let mut poller = open_any(&Config::new())?.into_poller()?;
    /// let handle = poller.handle().clone();
    /// let options = RegionOptions { access: Access::WRITE, consumption: Consumption::Incremental };
    /// let region = handle.register_slab_with(&Slab::new(1 << 16, 4)?, options)?;
    /// let pool = BufferPool::new(&region)?;
    /// let (mut near, far) = UnixStream::pair().expect("there are handles");
    /// let socket = Socket::import(far.into(), SocketKind::UnixStream, false).expect("a stream");
    /// let (send, received) = channel();
    /// handle.submit(RecvPoolMany::new(socket, pool, move |piece| send.send(piece).unwrap())).unwrap();
    /// let mut pieces = Vec::new();
    /// for text in ["one", "two"] {
    ///     near.write_all(text.as_bytes()).expect("the other end is there");
    ///     while pieces.len() < if text == "one" { 1 } else { 2 } {
    ///         poller.poll(Deadline::NEVER)?;
    ///         pieces.extend(received.try_iter().filter_map(|piece| piece.lease));
    ///     }
    /// }
    /// assert_eq!((&*pieces[0], &*pieces[1]), (b"one".as_slice(), b"two".as_slice()));
    /// assert_eq!(pieces[0].index(), pieces[1].index());
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn register_slab_with(&self, slab: &Slab, options: RegionOptions) -> Result<Region> {
        check(options.access)?;
        if options.consumption == Consumption::Incremental && u32::try_from(slab.buffer_size()).is_err() {
            bail!(
                InvalidArgument,
                "buffers of {} bytes to be used up piece by piece; less than 4 GiB are possible",
                slab.buffer_size()
            );
        }
        if slab.buffer_count() > BUFFERS_MAX {
            bail!(
                InvalidArgument,
                "{} buffers in one region; {BUFFERS_MAX} are possible",
                slab.buffer_count()
            );
        }
        let (kind, hold) = match &self.0.registry {
            Registry::Emulated => {
                if lock(&self.0.commands).is_none() {
                    return Err(gone());
                }
                (RegionKind::Emulated, Hold::None)
            }
            #[cfg(target_os = "linux")]
            Registry::Uring(memory) => {
                (RegionKind::Uring, Hold::Uring(memory.register_slab(&self.0, slab, options)?))
            }
        };
        Ok(Region::of_slab(kind, options, hold, self, slab))
    }

    /// Makes the proactor know one piece of memory: a slab of one buffer. Fails as [`Slab::of`] and
    /// [`Handle::register_slab`] do.
    pub fn register_buffer(&self, mut memory: impl Exclusive, access: Access) -> Result<Region> {
        if memory.count() != 1 {
            bail!(InvalidArgument, "a memory of {} spans is no buffer", memory.count());
        }
        let length = memory.span(0).length;
        self.register_slab(&Slab::of(memory, length)?, access)
    }
}
