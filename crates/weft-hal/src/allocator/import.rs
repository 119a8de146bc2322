//! Buffers over memory that somebody else owns, and addresses of buffers for somebody else.
//!
//! On success the buffer owns the memory's owner and drops it once; on refusal the owner comes back untouched.

#![allow(unsafe_code, reason = "makes buffers of raw address ranges that the caller vouches for")]

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;

use weft_sync::{Result, Status, bail, status};

use super::Allocator;
use crate::buffer::{Buffer, BufferMetadata};
use crate::host_block::{HostBlock, Lender, RawBlock};
use crate::mapping::Mapping;
use crate::memory::{BufferParams, ExternalKind, HOST_ALIGNMENT, MappingMode, MemoryAccess, WHOLE_BUFFER};

/// Memory that was offered for import and not taken, with the reason.
pub struct ImportRefused {
    /// Why.
    pub status: Status,
    /// What would have owned the memory; not touched.
    pub owner: Option<Box<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for ImportRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImportRefused({})", self.status)
    }
}

impl From<ImportRefused> for Status {
    fn from(refused: ImportRefused) -> Status {
        refused.status
    }
}

impl Allocator {
    /// A buffer over host memory that somebody else owns. `owner` is dropped exactly once, after the last reference to
    /// the buffer; if the import is refused it comes back. Access without WRITE makes a read-only buffer.
    ///
    /// # Safety
    /// `base` is valid for reads of `length` initialised bytes, and for writes if the access has WRITE, until `owner`
    /// is dropped (for ever if it is none). The owner's own accesses obey the order that `buffer.rs` asks for.
    pub unsafe fn import_host(
        &self,
        params: &BufferParams,
        base: NonNull<u8>,
        length: usize,
        owner: Option<Box<dyn Any + Send + Sync>>,
    ) -> std::result::Result<Arc<Buffer>, ImportRefused> {
        let params = match self.adjusted(params) {
            Ok(params) => params,
            Err(status) => return Err(ImportRefused { status, owner }),
        };
        let misaligned = !base.as_ptr().addr().is_multiple_of(HOST_ALIGNMENT);
        if misaligned && !params.access.contains(MemoryAccess::UNALIGNED) {
            let status =
                status!(OutOfRange, "imported memory at {base:p} is not aligned to {HOST_ALIGNMENT} bytes");
            return Err(ImportRefused { status, owner });
        }
        let raw = RawBlock { base, length, token: 0 };
        let home = Arc::new(Lender::new(owner));
        let block = if params.access.contains(MemoryAccess::WRITE) {
            // SAFETY: as the caller promises; `Lender` drops the owner when the block is reclaimed.
            unsafe { HostBlock::new(raw, home) }
        } else {
            // SAFETY: as above, and the buffer below has no WRITE.
            unsafe { HostBlock::read_only(raw, home) }
        };
        Ok(Buffer::resident(BufferMetadata::new(&params, self.device), length as u64, block))
    }

    /// A read-only buffer over shared bytes, at any alignment if the access has UNALIGNED.
    ///
    /// # Safety
    /// No kernel that the buffer is bound to writes to it. Transfers and mappings ask for WRITE and are refused, but
    /// compiled kernels do not say which of their bindings they write.
    pub unsafe fn import_shared(&self, params: &BufferParams, bytes: Arc<[u8]>) -> Result<Arc<Buffer>> {
        let mut params = *params;
        params.access = read_only(params.access);
        let base = NonNull::from(&*bytes).cast::<u8>();
        let length = bytes.len();
        // SAFETY: the bytes live as long as the `Arc` that the buffer owns; WRITE was taken away, and the caller
        // promises that no kernel writes.
        let buffer = unsafe { self.import_host(&params, base, length, Some(Box::new(bytes))) };
        Ok(buffer?)
    }

    /// Memory of other kinds cannot be imported by CPU devices.
    pub fn import_external(&self, kind: ExternalKind) -> Result<Arc<Buffer>> {
        bail!(Unavailable, "external buffers of kind {kind:?} cannot be imported; only host allocations can");
    }

    /// The address of a buffer's bytes, good as long as the returned mapping.
    pub fn export_host(&self, buffer: &Buffer, kind: ExternalKind) -> Result<Mapping> {
        if kind != ExternalKind::HostAllocation {
            bail!(Unavailable, "buffers cannot be exported as {kind:?}; only as host allocations");
        }
        buffer.map(MappingMode::Persistent, MemoryAccess::ANY, 0, WHOLE_BUFFER)
    }
}

fn read_only(access: MemoryAccess) -> MemoryAccess {
    access.difference(MemoryAccess::WRITE | MemoryAccess::DISCARD) | MemoryAccess::READ
}
