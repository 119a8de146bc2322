#![allow(
    unsafe_code,
    reason = "the kernel reads addresses from memory, and rustix gives those it wrote as a pointer"
)]
//! Addresses as the kernel gives and takes them.
//!
//! What lives here: [`Storage`], pointers for system calls, and what was filled in by them. What does not: what the bytes
//! mean (`mod.rs`).
#![cfg(unix)]

use super::{Address, Content, Family, STORAGE_BYTES};
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SocketAddrAny};

/// Where the kernel writes an address: as large and aligned as any needs.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Storage(pub(crate) [u8; STORAGE_BYTES]);

const _: () = assert!(size_of::<Storage>() == STORAGE_BYTES);

/// Whether an address begins with its length: one byte, then one of family; elsewhere the family has both.
const BEGINS_WITH_LENGTH: bool = !cfg!(any(target_os = "linux", target_os = "android"));

impl Storage {
    pub(crate) const ZERO: Storage = Storage([0; STORAGE_BYTES]);

    /// Zeros behind the family.
    pub(super) fn with_family(family: AddressFamily, length: u32) -> Storage {
        let mut storage = Storage::ZERO;
        if BEGINS_WITH_LENGTH {
            storage.0[0] = length as u8;
            storage.0[1] = family.as_raw() as u8;
        } else {
            storage.0[..2].copy_from_slice(&family.as_raw().to_ne_bytes());
        }
        storage
    }

    /// `None` if there are too few bytes for one.
    pub(super) fn family(&self, length: u32) -> Option<AddressFamily> {
        if length < 2 {
            return None;
        }
        let raw = match BEGINS_WITH_LENGTH {
            true => u16::from(self.0[1]),
            false => u16::from_ne_bytes([self.0[0], self.0[1]]),
        };
        Some(AddressFamily::from_raw(raw as _))
    }
}

impl Address {
    /// For the kernel to read; [`Address::length`] bytes of it.
    pub(crate) fn as_ptr(&self) -> *const Storage {
        &raw const self.storage
    }

    /// Bytes of the address; 0 if it is empty.
    pub(crate) fn length(&self) -> u32 {
        self.length
    }

    /// What the kernel wrote, and the length that it told, which may be more than there was room for.
    pub(crate) fn from_raw(storage: &Storage, length: u32) -> Address {
        let length = length.min(STORAGE_BYTES as u32);
        let mut address = Address { storage: *storage, length };
        address.storage.0[length as usize..].fill(0);
        match address.content() {
            Some(Content::V4(inner)) => inner.into(),
            Some(Content::V6(inner)) => inner.into(),
            Some(Content::Path(path)) => Address::of_path(path),
            // Every byte counts, also those that are 0.
            Some(Content::Abstract(_)) => address,
            // A Unix socket that has no name.
            None if address.family() == Some(Family::Unix) => Address::EMPTY,
            None => address,
        }
    }

    pub(crate) fn from_system(from: &SocketAddrAny) -> Address {
        let length = from.addr_len().min(STORAGE_BYTES as u32);
        // SAFETY: the first `addr_len` bytes behind the pointer are initialised, and it is borrowed for this function.
        let bytes = unsafe { std::slice::from_raw_parts(from.as_ptr().cast::<u8>(), length as usize) };
        let mut storage = Storage::ZERO;
        storage.0[..bytes.len()].copy_from_slice(bytes);
        Address::from_raw(&storage, length)
    }
}

// SAFETY: the pointer is to 128 initialised bytes that the address owns, of which `length` (at most 128) are the address;
// whether they make sense is the kernel's to say.
unsafe impl SocketAddrArg for Address {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        f(self.as_ptr().cast(), self.length)
    }
}
