//! Addresses of sockets, as values.
//!
//! What lives here: [`Address`], its constructors and its text into a buffer. What does not: the grammar (`parse.rs`), the
//! canonical text (`format.rs`), how the kernel gets and gives addresses (`raw.rs`), names of interfaces (`zone.rs`).
//!
//! 1. **An address is what the kernel sees**: the bytes of a `sockaddr`, at most 128 of them, and their count. None at all is
//!    the empty address.
//! 2. **Equal addresses have equal bytes.** What the kernel gave is brought into the one form that the constructors make:
//!    no padding, one NUL behind a path where there is room for it.
//! 3. Every address that can be made from text prints to the text that makes it again.
#![cfg(unix)]

mod format;
mod parse;
mod raw;
mod zone;

pub(crate) use raw::Storage;

use rustix::net::AddressFamily;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;
use weft_sync::{Result, Status, bail};

/// Bytes of the largest address.
const STORAGE_BYTES: usize = 128;
/// Bytes of a `sockaddr_in` and of a `sockaddr_in6`.
const V4_BYTES: usize = 16;
const V6_BYTES: usize = 28;
/// Where the path of a `sockaddr_un` begins, and the room for it.
const PATH_AT: usize = 2;
const PATH_BYTES: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 108 } else { 104 };
/// Whether Unix sockets have names that are not in the file system.
const HAS_ABSTRACT_NAMES: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Where a socket is, or is to be: an IPv4 or IPv6 address and a port, or a name of a Unix socket.
///
/// A value without identity, cheap to copy; making one does nothing but look up the name of an interface, if it has one.
///
/// ```
/// use weft_io::Address;
/// let address: Address = "[2001:DB8:0:0:0:0:0:1]:443".parse()?;
/// assert_eq!(address.to_string(), "[2001:db8::1]:443");
/// assert_eq!(address, Address::ipv6("2001:db8::1", 443)?);
/// assert_eq!(Address::unix("/run/weft.sock")?.to_string(), "unix:/run/weft.sock");
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Copy)]
pub struct Address {
    /// Zero behind the address.
    storage: Storage,
    /// At most [`STORAGE_BYTES`].
    length: u32,
}

/// What sockets of an address can talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
    Unix,
}

/// What an address says, if it says anything.
enum Content<'a> {
    V4(SocketAddrV4),
    V6(SocketAddrV6),
    Path(&'a [u8]),
    Abstract(&'a [u8]),
}

impl Family {
    const ALL: [Family; 3] = [Family::V4, Family::V6, Family::Unix];

    pub(crate) fn system(self) -> AddressFamily {
        match self {
            Family::V4 => AddressFamily::INET,
            Family::V6 => AddressFamily::INET6,
            Family::Unix => AddressFamily::UNIX,
        }
    }
}

impl Address {
    /// No address: what a socket without a name has.
    pub const EMPTY: Address = Address { storage: Storage::ZERO, length: 0 };

    /// Longest text of an address.
    pub const TEXT_BYTES_MAX: usize = 128;

    /// Four decimal numbers with dots, or nothing for any address; and a port, 0 for one that the system chooses.
    pub fn ipv4(host: impl AsRef<[u8]>, port: u16) -> Result<Address> {
        Ok(SocketAddrV4::new(parse::ipv4_host(host.as_ref())?, port).into())
    }

    /// The usual text of an IPv6 address, or nothing for any address; and a port. After a `%` comes the number or the name
    /// of an interface, which `NOT_FOUND` says does not exist.
    pub fn ipv6(host: impl AsRef<[u8]>, port: u16) -> Result<Address> {
        let (host, zone) = parse::ipv6_host(host.as_ref())?;
        Ok(SocketAddrV6::new(host, port, 0, zone).into())
    }

    /// A path in the file system, absolute or relative; or `@` and an abstract name, which only Linux has.
    pub fn unix(path: impl AsRef<[u8]>) -> Result<Address> {
        let path = path.as_ref();
        match path {
            [] => bail!(InvalidArgument, "the path of a Unix socket is empty"),
            [b'@', name @ ..] => Address::of_abstract(name),
            _ if path.contains(&0) => bail!(InvalidArgument, "the path of a Unix socket has a NUL in it"),
            _ if path.len() >= PATH_BYTES => {
                bail!(InvalidArgument, "a path of {} bytes: {} at most", path.len(), PATH_BYTES - 1)
            }
            _ => Ok(Address::of_path(path)),
        }
    }

    /// Any of `1.2.3.4:80`, `:80`, `[fe80::1%2]:80`, `[]:80`, `unix:/path`, `unix:@name`. Paths may be any bytes.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Address> {
        parse::address(text.as_ref())
    }

    /// The system's own form of an address, as others got it from it; no more than 128 bytes count.
    ///
    /// ```
    /// # use weft_io::Address;
    /// let address = Address::ipv4("127.0.0.1", 80)?;
    /// assert_eq!(Address::from_sockaddr(address.as_sockaddr()), address);
    /// # weft_sync::Result::Ok(())
    /// ```
    pub fn from_sockaddr(bytes: &[u8]) -> Address {
        let length = bytes.len().min(STORAGE_BYTES);
        let mut storage = Storage::ZERO;
        storage.0[..length].copy_from_slice(&bytes[..length]);
        Address::from_raw(&storage, length as u32)
    }

    /// The system's own form, a `sockaddr` of some family; nothing if the address is empty.
    pub fn as_sockaddr(&self) -> &[u8] {
        &self.storage.0[..self.length as usize]
    }

    /// Writes the text, without a terminator, and says how long it is. `OUT_OF_RANGE` if there is no room; an empty address
    /// has no text.
    pub fn write_to(&self, out: &mut [u8]) -> Result<usize> {
        let text = format::Text::of(self)?;
        let bytes = text.as_bytes();
        let Some(out) = out.get_mut(..bytes.len()) else {
            bail!(OutOfRange, "the text of the address has {} bytes, the buffer {}", bytes.len(), out.len());
        };
        out.copy_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The internet address; `None` for any other.
    pub fn to_socket_addr(&self) -> Option<SocketAddr> {
        match self.content()? {
            Content::V4(address) => Some(address.into()),
            Content::V6(address) => Some(address.into()),
            Content::Path(_) | Content::Abstract(_) => None,
        }
    }

    /// The port; `None` if it is no internet address.
    pub fn port(&self) -> Option<u16> {
        self.to_socket_addr().map(|address| address.port())
    }

    /// The family that the bytes claim, even if they are too few for it.
    pub(crate) fn family(&self) -> Option<Family> {
        let claimed = self.storage.family(self.length)?;
        Family::ALL.into_iter().find(|family| family.system() == claimed)
    }

    /// `None` if it is empty, of a foreign family, or cut off.
    fn content(&self) -> Option<Content<'_>> {
        let bytes = self.as_sockaddr();
        match self.family()? {
            Family::V4 => {
                let host: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
                let port = self.read_port().filter(|_| bytes.len() >= V4_BYTES)?;
                Some(Content::V4(SocketAddrV4::new(host.into(), port)))
            }
            Family::V6 => {
                let host: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
                let flow = u32::from_ne_bytes(bytes.get(4..8)?.try_into().ok()?);
                let zone = u32::from_ne_bytes(bytes.get(24..28)?.try_into().ok()?);
                Some(Content::V6(SocketAddrV6::new(host.into(), self.read_port()?, flow, zone)))
            }
            Family::Unix => match bytes.get(PATH_AT..)? {
                [0, name @ ..] if HAS_ABSTRACT_NAMES => Some(Content::Abstract(name)),
                // What the kernel gives need not end in a NUL.
                path => {
                    let path = path.split(|&byte| byte == 0).next()?;
                    (!path.is_empty()).then_some(Content::Path(path))
                }
            },
        }
    }

    fn read_port(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.as_sockaddr().get(2..4)?.try_into().ok()?))
    }

    /// The path has no NUL, is not empty, and is what the constructor or the kernel allows.
    fn of_path(path: &[u8]) -> Address {
        // A path that fills the room has no NUL behind it; only the kernel makes those.
        let terminated = if path.len() < PATH_BYTES { path.len() + 1 } else { path.len() };
        let mut address = Address::of_family(Family::Unix, PATH_AT + terminated);
        address.storage.0[PATH_AT..PATH_AT + path.len()].copy_from_slice(path);
        address
    }

    fn of_abstract(name: &[u8]) -> Result<Address> {
        if !HAS_ABSTRACT_NAMES {
            bail!(Unavailable, "abstract names of Unix sockets exist on Linux only");
        }
        if name.len() >= PATH_BYTES {
            bail!(InvalidArgument, "an abstract name of {} bytes: {} at most", name.len(), PATH_BYTES - 1);
        }
        let mut address = Address::of_family(Family::Unix, PATH_AT + 1 + name.len());
        address.storage.0[PATH_AT + 1..][..name.len()].copy_from_slice(name);
        Ok(address)
    }

    /// A family and a length; the rest is zero.
    fn of_family(family: Family, length: usize) -> Address {
        debug_assert!(length <= STORAGE_BYTES, "the longest is a Unix path");
        let length = length as u32;
        Address { storage: Storage::with_family(family.system(), length), length }
    }
}

impl From<SocketAddrV4> for Address {
    fn from(from: SocketAddrV4) -> Address {
        let mut address = Address::of_family(Family::V4, V4_BYTES);
        let bytes = &mut address.storage.0;
        bytes[2..4].copy_from_slice(&from.port().to_be_bytes());
        bytes[4..8].copy_from_slice(&from.ip().octets());
        address
    }
}

impl From<SocketAddrV6> for Address {
    fn from(from: SocketAddrV6) -> Address {
        let mut address = Address::of_family(Family::V6, V6_BYTES);
        let bytes = &mut address.storage.0;
        bytes[2..4].copy_from_slice(&from.port().to_be_bytes());
        bytes[4..8].copy_from_slice(&from.flowinfo().to_ne_bytes());
        bytes[8..24].copy_from_slice(&from.ip().octets());
        bytes[24..28].copy_from_slice(&from.scope_id().to_ne_bytes());
        address
    }
}

impl From<SocketAddr> for Address {
    fn from(from: SocketAddr) -> Address {
        match from {
            SocketAddr::V4(from) => from.into(),
            SocketAddr::V6(from) => from.into(),
        }
    }
}

impl From<(Ipv4Addr, u16)> for Address {
    fn from((host, port): (Ipv4Addr, u16)) -> Address {
        SocketAddrV4::new(host, port).into()
    }
}

impl From<(Ipv6Addr, u16)> for Address {
    fn from((host, port): (Ipv6Addr, u16)) -> Address {
        SocketAddrV6::new(host, port, 0, 0).into()
    }
}

impl FromStr for Address {
    type Err = Status;

    fn from_str(text: &str) -> Result<Address> {
        Address::parse(text)
    }
}

impl Default for Address {
    fn default() -> Address {
        Address::EMPTY
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Address) -> bool {
        self.as_sockaddr() == other.as_sockaddr()
    }
}

impl Eq for Address {}

impl std::hash::Hash for Address {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_sockaddr().hash(state);
    }
}

impl fmt::Display for Address {
    /// The canonical text. Bytes of a path that are no text are replaced; [`Address::write_to`] keeps them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format::Text::of(self) {
            Ok(text) => f.pad(&String::from_utf8_lossy(text.as_bytes())),
            Err(_) => f.pad("(no address)"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
