#![allow(unsafe_code, reason = "only the system's library knows interfaces by name on all systems")]
//! The interfaces of link-local addresses.
//!
//! What lives here: the text behind `%` of an IPv6 host. What does not: the host (`parse.rs`).
#![cfg(unix)]

use std::ffi::CString;
use weft_sync::{Result, bail};

/// The number of the interface that a number or a name stands for; 0 is none.
pub(super) fn number(text: &[u8]) -> Result<u32> {
    if text.is_empty() {
        bail!(InvalidArgument, "no interface behind the `%`");
    }
    if text.iter().all(u8::is_ascii_digit) {
        return match std::str::from_utf8(text).ok().and_then(|digits| digits.parse().ok()) {
            Some(number) => Ok(number),
            None => bail!(InvalidArgument, "interface {}: numbers have 32 bits", text.escape_ascii()),
        };
    }
    // The size counts the NUL.
    if text.len() >= libc::IF_NAMESIZE {
        bail!(InvalidArgument, "the name of an interface has {} bytes at most", libc::IF_NAMESIZE - 1);
    }
    let Ok(name) = CString::new(text) else {
        bail!(InvalidArgument, "the name of an interface has a NUL in it");
    };
    // SAFETY: the name ends in a NUL and is borrowed for the call, which only reads it.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => bail!(NotFound, "there is no interface `{}`", text.escape_ascii()),
        number => Ok(number),
    }
}
