//! The canonical text of addresses.
//!
//! What lives here: [`Text`]. What does not: reading it again (`parse.rs`).
//!
//! 1. IPv6: lower case, no leading zeros; the longest run of at least two zero groups is `::`, the first of equally long
//!    ones; an IPv4 address within ends in dots. The standard library prints exactly that.
//! 2. An interface is printed as a number, and only if there is one.
//! 3. A path from the kernel that begins with `@` prints with `./` before it, so that it is not taken for an abstract name.
#![cfg(unix)]

use super::{Address, Content};
use std::fmt::Write;
use weft_sync::{Result, bail};

/// The text of an address, without a terminator. A path may be any bytes.
pub(super) struct Text {
    bytes: [u8; Address::TEXT_BYTES_MAX],
    length: usize,
}

impl Text {
    pub(super) fn of(address: &Address) -> Result<Text> {
        let mut text = Text { bytes: [0; Address::TEXT_BYTES_MAX], length: 0 };
        let Some(content) = address.content() else {
            bail!(InvalidArgument, "the address is empty, cut off or of a foreign family");
        };
        let fits = match content {
            Content::V4(inner) => write!(text, "{}:{}", inner.ip(), inner.port()).is_ok(),
            Content::V6(inner) => match inner.scope_id() {
                0 => write!(text, "[{}]:{}", inner.ip(), inner.port()).is_ok(),
                zone => write!(text, "[{}%{zone}]:{}", inner.ip(), inner.port()).is_ok(),
            },
            Content::Path(path) if path[0] == b'@' => text.push(b"unix:./") && text.push(path),
            Content::Path(path) => text.push(b"unix:") && text.push(path),
            Content::Abstract(name) => text.push(b"unix:@") && text.push(name),
        };
        if !fits {
            // Only abstract names from the kernel could, and it makes none that long.
            bail!(
                InvalidArgument,
                "the text of the address is longer than {} bytes",
                Address::TEXT_BYTES_MAX
            );
        }
        Ok(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// `false`: no room.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self.bytes[self.length..].get_mut(..bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        self.length += bytes.len();
        true
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.push(text.as_bytes()) { Ok(()) } else { Err(std::fmt::Error) }
    }
}
