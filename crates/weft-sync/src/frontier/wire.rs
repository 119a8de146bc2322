//! Frontiers as bytes, for other machines.
//!
//! | offset     | size | field                     |
//! |------------|------|---------------------------|
//! | 0          | 1    | entry count               |
//! | 1          | 7    | reserved, zero            |
//! | 8 + 16 × i | 8    | axis i, little-endian     |
//! | 16 + 16 × i | 8   | epoch i, little-endian    |
//!
//! Whatever is decoded was checked: length, reserved bytes, order, epochs, room. No allocation either way.

use super::{ENTRIES_MAX, Entry, Frontier, FrontierBuf, Overflow, is_canonical};
use crate::{Axis, Status, status};
use std::fmt;

const HEADER_BYTES: usize = 8;
const ENTRY_BYTES: usize = 16;

/// The longest wire form.
pub const WIRE_BYTES_MAX: usize = HEADER_BYTES + ENTRY_BYTES * ENTRIES_MAX;

/// Why bytes are not a frontier. Small and without allocation: bad input must not be expensive.
///
/// ```
/// use weft_sync::{FrontierBuf, WireError};
/// assert_eq!(FrontierBuf::<4>::decode(&[0; 7]), Err(WireError::Truncated { needed: 8, found: 7 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// There are fewer bytes than the header or the count asks for.
    Truncated {
        /// Bytes asked for.
        needed: usize,
        /// Bytes there.
        found: usize,
    },
    /// A reserved byte is not zero.
    Reserved,
    /// Not strictly ascending by axis, or an epoch of zero.
    NotCanonical,
    /// More entries than the storage holds.
    Overflow(Overflow),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Truncated { needed, found } => {
                write!(f, "a frontier of {needed} bytes is cut off after {found}")
            }
            WireError::Reserved => f.write_str("a reserved byte of a frontier is not zero"),
            WireError::NotCanonical => {
                f.write_str("the entries of a frontier are not strictly ascending with epochs from 1")
            }
            WireError::Overflow(overflow) => fmt::Display::fmt(overflow, f),
        }
    }
}

impl std::error::Error for WireError {}

impl From<WireError> for Status {
    fn from(error: WireError) -> Status {
        match error {
            WireError::Overflow(overflow) => overflow.into(),
            other => status!(InvalidArgument, "{other}"),
        }
    }
}

impl Frontier {
    /// The length of the wire form.
    ///
    /// ```
    /// assert_eq!(weft_sync::Frontier::EMPTY.wire_bytes(), 8);
    /// ```
    pub fn wire_bytes(&self) -> usize {
        HEADER_BYTES + ENTRY_BYTES * self.len()
    }

    /// Writes the wire form to the start of `bytes` and returns its length; `None` if it does not fit.
    ///
    /// ```
    /// use weft_sync::{FrontierBuf, Machine};
    /// let sent = FrontierBuf::single(Machine::LOCAL.host(1), 3);
    /// let mut bytes = [0; 64];
    /// let length = sent.encode(&mut bytes).expect("24 bytes fit");
    /// let (received, rest) = FrontierBuf::<8>::decode(&bytes[..length])?;
    /// assert_eq!(received.as_frontier(), sent.as_frontier());
    /// assert!(rest.is_empty());
    /// # Ok::<(), weft_sync::WireError>(())
    /// ```
    pub fn encode(&self, bytes: &mut [u8]) -> Option<usize> {
        let length = self.wire_bytes();
        let (header, body) = bytes.get_mut(..length)?.split_at_mut(HEADER_BYTES);
        header.copy_from_slice(&(self.len() as u64).to_le_bytes());
        for (field, entry) in body.chunks_exact_mut(ENTRY_BYTES).zip(self.entries()) {
            field[..8].copy_from_slice(&entry.axis.raw().to_le_bytes());
            field[8..].copy_from_slice(&entry.epoch.to_le_bytes());
        }
        Some(length)
    }
}

impl<const CAPACITY: usize> FrontierBuf<CAPACITY> {
    /// Reads one wire form from the start of `bytes`; also returns what follows it.
    pub fn decode(bytes: &[u8]) -> Result<(FrontierBuf<CAPACITY>, &[u8]), WireError> {
        let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(WireError::Truncated { needed: HEADER_BYTES, found: bytes.len() });
        };
        let count = usize::from(header[0]);
        if header[1..].iter().any(|&byte| byte != 0) {
            return Err(WireError::Reserved);
        }
        let Some((body, rest)) = body.split_at_checked(ENTRY_BYTES * count) else {
            return Err(WireError::Truncated {
                needed: HEADER_BYTES + ENTRY_BYTES * count,
                found: bytes.len(),
            });
        };
        if count > CAPACITY {
            return Err(WireError::Overflow(Overflow { needed: count, capacity: CAPACITY }));
        }
        let mut made = FrontierBuf::new();
        for (entry, field) in made.entries.iter_mut().zip(body.chunks_exact(ENTRY_BYTES)) {
            *entry = Entry::new(Axis::from_raw(word(&field[..8])), word(&field[8..]));
        }
        if !is_canonical(&made.entries[..count]) {
            return Err(WireError::NotCanonical);
        }
        made.count = header[0];
        Ok((made, rest))
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}
