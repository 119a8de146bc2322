//! Memory that one proactor knows.
//!
//! What lives here: [`Region`], [`Access`], [`RegionKind`]. What does not: how a proactor learns of it (`registry.rs`), who
//! has which buffer of it (`pool.rs`).
//!
//! 1. **A region is one registration**, of one slab with one proactor. It never changes, and ends when the last of its
//!    clones is gone: those of pools, of leases, and so of operations under way. Nothing is ever deregistered under an
//!    operation.
//! 2. **The end cannot fail** and does not wait: a kernel that hears of it from one thread only hears of it when that
//!    thread polls. Until then it keeps pages, and nothing uses them.
//! 3. A proactor that is gone knows nothing any more; its regions go on as memory like any.

use super::registry::Hold;
use super::slab::Slab;
use crate::handle::Handle;
use crate::span::{Registered, Span};
use std::fmt;
use std::sync::Arc;
use weft_sync::{Result, bail};

bitflags::bitflags! {
    /// Who does what to registered memory.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Access: u32 {
        /// Operations read it: sends, writes to files.
        const READ = 1;
        /// Operations write it: receives, reads from files.
        const WRITE = 2;
        /// Other machines read it.
        const REMOTE_READ = 4;
        /// Other machines write it.
        const REMOTE_WRITE = 8;
    }
}

/// How receives use the buffers of a region up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consumption {
    /// What one receive brings has a buffer of its own, however little it is.
    #[default]
    Whole,
    /// Piece after piece of a stream comes into the same buffer, each behind the one before, until it is full; then into the
    /// next. So a few large buffers hold many small messages. Each piece is a [`Lease`](crate::Lease) by itself, of just the
    /// bytes that came; the buffer is free again when all of its pieces are back. Receiving messages, not streams, into such
    /// buffers is refused: what is left of a buffer would cut them.
    ///
    /// Kernels do that from 6.12 ([`Capabilities::INCREMENTAL_BUFFERS`](crate::Capabilities::INCREMENTAL_BUFFERS)). For others
    /// it is done by the receives themselves, each of which waits for data first; nothing else differs.
    Incremental,
}

/// What a slab is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionOptions {
    /// Who does what to it.
    pub access: Access,
    /// How receives use its buffers up.
    pub consumption: Consumption,
}

impl RegionOptions {
    /// For this access, with buffers that are used up whole.
    pub fn new(access: Access) -> RegionOptions {
        RegionOptions { access, consumption: Consumption::Whole }
    }
}

/// What a registration is. The numbers are those of traces and dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RegionKind {
    /// Memory that no proactor knows.
    None = 0,
    /// Memory that a network card reads and writes. Made by no backend yet.
    Rdma = 1,
    /// Memory that io_uring knows.
    Uring = 2,
    /// Memory of a device.
    Dmabuf = 3,
    /// A backend without registrations: memory like any.
    Emulated = 4,
}

/// See the header. Cheap to clone; clones are the same registration.
///
/// ```
/// use weft_io::{Access, BufferPool, Config, Slab, open_any};
/// let proactor = open_any(&Config::new())?;
/// let slab = Slab::new(4096, 16)?;
/// let region = proactor.handle().register_slab(&slab, Access::READ)?;
/// let pool = BufferPool::new(&region)?;
/// drop(region); // The pool keeps it.
/// let mut lease = pool.acquire()?;
/// lease[..5].copy_from_slice(b"hello");
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Region(Arc<Inner>);

struct Inner {
    kind: RegionKind,
    options: RegionOptions,
    /// Dropped before the memory.
    hold: Hold,
    proactor: Option<Handle>,
    memory: Memory,
}

/// What is registered.
enum Memory {
    Slab(Slab),
    #[cfg(target_os = "linux")]
    Device(super::dmabuf::Device),
}

impl Region {
    /// A region of no proactor, for pools of memory that needs no registration. Every proactor takes its buffers as memory
    /// like any, but for receiving into pools. `INVALID_ARGUMENT`: no access at all.
    pub fn unregistered(slab: &Slab, access: Access) -> Result<Region> {
        check(access)?;
        let options = RegionOptions::new(access);
        Ok(Region::assemble(RegionKind::None, options, Hold::None, None, Memory::Slab(slab.clone())))
    }

    pub(super) fn of_slab(
        kind: RegionKind,
        options: RegionOptions,
        hold: Hold,
        proactor: &Handle,
        slab: &Slab,
    ) -> Region {
        Region::assemble(kind, options, hold, Some(proactor.clone()), Memory::Slab(slab.clone()))
    }

    #[cfg(target_os = "linux")]
    pub(super) fn of_device(
        access: Access,
        hold: Hold,
        proactor: &Handle,
        device: super::dmabuf::Device,
    ) -> Region {
        let options = RegionOptions::new(access);
        Region::assemble(RegionKind::Dmabuf, options, hold, Some(proactor.clone()), Memory::Device(device))
    }

    fn assemble(
        kind: RegionKind,
        options: RegionOptions,
        hold: Hold,
        proactor: Option<Handle>,
        memory: Memory,
    ) -> Region {
        Region(Arc::new(Inner { kind, options, hold, proactor, memory }))
    }

    /// What kind of registration.
    pub fn kind(&self) -> RegionKind {
        self.0.kind
    }

    /// Who does what to it.
    pub fn access(&self) -> Access {
        self.0.options.access
    }

    /// How receives use its buffers up.
    pub fn consumption(&self) -> Consumption {
        self.0.options.consumption
    }

    /// How many bytes.
    pub fn bytes(&self) -> usize {
        match &self.0.memory {
            Memory::Slab(slab) => slab.bytes(),
            #[cfg(target_os = "linux")]
            Memory::Device(device) => device.bytes(),
        }
    }

    /// The slab; `None` for memory of a device, which has no buffers.
    pub fn slab(&self) -> Option<&Slab> {
        match &self.0.memory {
            Memory::Slab(slab) => Some(slab),
            #[cfg(target_os = "linux")]
            Memory::Device(_) => None,
        }
    }

    /// Whether the kernel keeps its pages at hand. If not, for lack of lockable memory or of places, operations look for
    /// them or copy: they are slower, and nothing else differs.
    pub fn is_pinned(&self) -> bool {
        self.0.hold.slot(0).is_some()
    }

    /// Whether this is a region of that proactor.
    pub fn is_of(&self, proactor: &Handle) -> bool {
        self.0.proactor.as_ref().is_some_and(|own| Arc::ptr_eq(&own.0, &proactor.0))
    }

    /// The number of its proactor, for operations that need one of their own. Zero is none.
    pub(crate) fn proactor_id(&self) -> u32 {
        self.0.proactor.as_ref().map_or(0, |proactor| proactor.0.id)
    }

    /// What the backend has for it.
    pub(super) fn hold(&self) -> &Hold {
        &self.0.hold
    }

    /// A piece of it for an operation that does this to it; within one buffer of the slab.
    pub(super) fn span(&self, offset: usize, length: usize, access: Access) -> Span {
        let (start, slot) = match &self.0.memory {
            Memory::Slab(slab) => (slab.start(), self.0.hold.slot(offset / slab.buffer_size())),
            #[cfg(target_os = "linux")]
            Memory::Device(device) => (device.start(), self.0.hold.slot(0)),
        };
        let is_allowed = self.access().contains(access);
        let registered =
            slot.filter(|_| is_allowed).map(|index| Registered { proactor: self.proactor_id(), index });
        Span { address: start.wrapping_add(offset), length, registered }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({:?}, {} bytes, {:?})", self.kind(), self.bytes(), self.access())
    }
}

/// A region that nobody may do anything to is a mistake.
pub(super) fn check(access: Access) -> Result<()> {
    if access.is_empty() {
        bail!(InvalidArgument, "a region that operations neither read nor write");
    }
    Ok(())
}
