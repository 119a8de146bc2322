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
        Address::from_sockaddr(bytes)
    }
}

// SAFETY: the pointer is to 128 initialised bytes that the address owns, of which `length` (at most 128) are the address;
// whether they make sense is the kernel's to say.
unsafe impl SocketAddrArg for Address {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        f(self.as_ptr().cast(), self.length)
    }
}

#[cfg(all(test, not(loom), target_os = "linux"))]
mod tests {
    use super::*;
    use weft_sync::Code;

    /// What the kernel would write: a family and bytes behind it.
    fn written(family: AddressFamily, rest: &[u8]) -> (Storage, u32) {
        let mut storage = Storage::with_family(family, 0);
        storage.0[2..][..rest.len()].copy_from_slice(rest);
        (storage, 2 + rest.len() as u32)
    }

    fn text(storage: &Storage, length: u32) -> Result<String, Code> {
        let address = Address::from_raw(storage, length);
        address.write_to(&mut [0; 128]).map_err(|why| why.code())?;
        Ok(address.to_string())
    }

    /// [async 252]
    #[test]
    fn what_is_cut_off_has_no_text() {
        for text_of in ["1.2.3.4:80", "[1:2:3:4:5:6:7:8]:80"] {
            let whole = Address::parse(text_of).unwrap();
            for length in 0..whole.length {
                assert_eq!(
                    text(&whole.storage, length),
                    Err(Code::InvalidArgument),
                    "{text_of}, {length} bytes"
                );
            }
            assert_eq!(text(&whole.storage, whole.length).as_deref(), Ok(text_of));
            assert_eq!(text(&whole.storage, 128).as_deref(), Ok(text_of), "more than it needs");
            assert_eq!(text(&whole.storage, u32::MAX).as_deref(), Ok(text_of), "more than there is");
        }
        let (storage, length) = written(AddressFamily::NETLINK, &[0; 10]);
        assert_eq!(text(&storage, length), Err(Code::InvalidArgument));
    }

    /// [async 252]
    #[test]
    fn a_path_need_not_end_in_a_nul() {
        let made = Address::unix("/run/a").unwrap();
        for path in [b"/run/a".as_slice(), b"/run/a\0", b"/run/a\0\0\0", b"/run/a\0rest"] {
            let (storage, length) = written(AddressFamily::UNIX, path);
            assert_eq!(Address::from_raw(&storage, length), made);
        }
        // As long as there is room; the kernel then counts a NUL behind it.
        let (storage, length) = written(AddressFamily::UNIX, &[b'p'; 108]);
        assert_eq!(text(&storage, length).unwrap(), format!("unix:{}", "p".repeat(108)));
        assert_eq!(text(&storage, length + 1).unwrap(), format!("unix:{}", "p".repeat(108)));
    }

    #[test]
    fn a_unix_socket_without_a_name_has_no_address() {
        let (storage, length) = written(AddressFamily::UNIX, &[]);
        assert_eq!(Address::from_raw(&storage, length), Address::EMPTY);
        assert_eq!(Address::from_raw(&storage, 0), Address::EMPTY);
        let (storage, length) = written(AddressFamily::UNIX, b"\0");
        assert_eq!(text(&storage, length).as_deref(), Ok("unix:@"), "the empty name is one");
        let (storage, length) = written(AddressFamily::UNIX, b"\x0000001");
        assert_eq!(Address::from_raw(&storage, length), Address::unix("@00001").unwrap());
    }

    #[test]
    fn a_path_with_an_at_sign_is_not_taken_for_a_name() {
        let (storage, length) = written(AddressFamily::UNIX, b"@file\0");
        assert_eq!(text(&storage, length).as_deref(), Ok("unix:./@file"));
    }

    #[test]
    fn padding_makes_no_difference() {
        let made = Address::ipv4("1.2.3.4", 80).unwrap();
        let mut storage = made.storage;
        storage.0[8..].fill(0xFF);
        assert_eq!(Address::from_raw(&storage, 16), made);
    }

    /// [async 254]
    #[test]
    fn any_bytes_are_refused_or_have_a_text() {
        let mut seed = 1_u64;
        for _ in 0..50_000 {
            let mut storage = Storage::ZERO;
            for byte in &mut storage.0 {
                seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                *byte = (seed >> 56) as u8;
            }
            let family =
                [AddressFamily::INET, AddressFamily::INET6, AddressFamily::UNIX][(seed >> 20) as usize % 3];
            storage.0[..2].copy_from_slice(&family.as_raw().to_ne_bytes());
            let address = Address::from_raw(&storage, (seed >> 33) as u32 % 140);
            let mut buffer = [0; Address::TEXT_BYTES_MAX];
            let Ok(length) = address.write_to(&mut buffer) else { continue };
            assert!(Address::parse(&buffer[..length]).is_ok() || length > 112, "{address}");
        }
    }
}
