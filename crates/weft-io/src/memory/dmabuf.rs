#![allow(unsafe_code, reason = "what operations may do to mapped memory is promised here")]
//! Memory of devices, by the handle that stands for it.
//!
//! What lives here: [`Device`], [`RegionSpan`], and [`Handle::register_dmabuf`]. What does not: fences of devices
//! (`fence.rs`).
//!
//! The handle is mapped, and the kernel asked to keep its pages at hand; where it cannot, as for memory that is no
//! ordinary pages, operations go through the mapping. Caches of a device that does not share the processor's are its
//! owner's business.
//!
//! # Safety
//!
//! No reference to the memory is ever made, and nothing here reads or writes it: the kernel does, for operations. The
//! device, and whoever else maps the handle, may write to it at any time, and even make it shorter; operations then have
//! whatever is there, or fail. Nothing else of this process is at risk, for the mapping stays as long as anything that
//! names it.

use super::mapping::{Mapping, page_size};
use super::region::{Access, Region, check};
use super::registry::{Hold, Registry};
use crate::Capabilities;
use crate::errno::failure;
use crate::handle::Handle;
use crate::span::{Measured, Source, Span, Target};
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use weft_sync::{Result, WhileDoing, bail, status};

/// A mapped piece of a handle's memory. Clones are the same mapping.
#[derive(Clone, Debug)]
pub(crate) struct Device(Arc<Mapped>);

#[derive(Debug)]
struct Mapped {
    mapping: Mapping,
    /// Where the piece begins in the mapping, which begins with a page.
    delta: usize,
    bytes: usize,
}

impl Device {
    fn map(handle: BorrowedFd<'_>, offset: u64, bytes: usize, access: Access) -> Result<Device> {
        let end = offset.checked_add(bytes as u64).filter(|_| bytes > 0);
        let Some(end) = end else { bail!(InvalidArgument, "{bytes} bytes at {offset} of a handle") };
        // Neither an ordinary file nor a device that is none of memory says how long it is this way; and what is shorter
        // than was asked for would fault where it ends.
        let has = rustix::fs::seek(handle, SeekFrom::End(0))
            .map_err(|errno| status!(InvalidArgument, "this handle has no memory ({errno})"))?;
        // A memory file's place is shared by its clones; whoever reads one by place is not disturbed.
        let _ = rustix::fs::seek(handle, SeekFrom::Start(0));
        if end > has {
            bail!(OutOfRange, "bytes {offset}..{end} of a handle that has {has}");
        }
        let delta = (offset % page_size() as u64) as usize;
        let from =
            i64::try_from(offset - delta as u64).map_err(|_| status!(OutOfRange, "an offset of {offset}"))?;
        let is_written = access.intersects(Access::WRITE | Access::REMOTE_WRITE);
        let Some(whole) = bytes.checked_add(delta) else { bail!(OutOfRange, "{bytes} bytes of a handle") };
        let mapping = Mapping::shared(handle, from, whole, is_written).map_err(|errno| match errno {
            Errno::NODEV | Errno::ACCESS => {
                status!(InvalidArgument, "this handle cannot be mapped so ({errno})")
            }
            errno => failure(errno, "mapping a handle"),
        })?;
        Ok(Device(Arc::new(Mapped { mapping, delta, bytes })))
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.0.mapping.start().as_ptr().wrapping_add(self.0.delta)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes
    }
}

impl Handle {
    /// Makes the proactor know a piece of the memory that a handle of a device stands for (a dma-buf; or a memory file). The
    /// handle is borrowed for the call. What operations may do to it goes by [`Region::device_span`].
    ///
    /// `UNAVAILABLE`: this proactor has no [`Capabilities::DMABUF`]: no io_uring, or it may register nothing.
    /// `INVALID_ARGUMENT`: no bytes, no access, or no handle of memory. `OUT_OF_RANGE`: it has fewer bytes.
    pub fn register_dmabuf(
        &self,
        handle: BorrowedFd<'_>,
        offset: u64,
        length: usize,
        access: Access,
    ) -> Result<Region> {
        if !self.capabilities().contains(Capabilities::DMABUF) {
            bail!(
                Unavailable,
                "the backend `{}` does not register memory of devices here: it needs io_uring, with registered buffers",
                self.describe().backend
            );
        }
        check(access)?;
        let device =
            Device::map(handle, offset, length, access).while_doing(|| "registering memory of a device")?;
        let hold = match &self.0.registry {
            Registry::Emulated => Hold::None,
            Registry::Uring(memory) => Hold::Uring(memory.register_mapped(&self.0, &device, access)?),
        };
        Ok(Region::of_device(access, hold, self, device))
    }
}

/// A piece of a region without buffers, for operations. Its bytes are out of reach: other parties write to them. Operations
/// that would write to one of a region without [`Access::WRITE`] are refused with `PERMISSION_DENIED`.
#[derive(Clone, Debug)]
pub struct RegionSpan {
    region: Region,
    range: Range<usize>,
}

impl Region {
    /// A piece of memory of a device. Several may overlap: operations that write to the same bytes leave one or the other
    /// there. `OUT_OF_RANGE`: there is less. `INVALID_ARGUMENT`: a region of buffers, which go by
    /// [`BufferPool`](crate::BufferPool).
    pub fn device_span(&self, range: Range<usize>) -> Result<RegionSpan> {
        if self.slab().is_some() {
            bail!(InvalidArgument, "{self:?} has buffers, which are leased");
        }
        if range.start > range.end || range.end > self.bytes() {
            bail!(OutOfRange, "bytes {range:?} of {self:?}");
        }
        Ok(RegionSpan { region: self.clone(), range })
    }
}

impl RegionSpan {
    fn piece(&self, access: Access) -> Span {
        self.region.span(self.range.start, self.range.len(), access)
    }
}

// SAFETY: the region keeps the mapping, which stays where it is. Others may write to it: see the header.
unsafe impl Source for RegionSpan {
    fn span(&self, index: usize) -> Span {
        assert_eq!(index, 0, "the piece has one span");
        self.piece(Access::READ)
    }
}

// SAFETY: as above.
unsafe impl Target for RegionSpan {
    fn span(&mut self, index: usize) -> Span {
        assert_eq!(index, 0, "the piece has one span");
        self.piece(Access::WRITE)
    }

    fn check_writes(&self) -> Result<()> {
        // What may only be read is mapped so: the kernel would find that out too late to say where.
        if !self.region.access().contains(Access::WRITE) {
            bail!(
                PermissionDenied,
                "writing bytes {:?} of {:?}, which was registered without that",
                self.range,
                self.region
            );
        }
        Ok(())
    }
}

impl Measured for RegionSpan {
    fn length(&mut self) -> Result<usize> {
        Ok(self.range.len())
    }
}
