//! Addresses from text.
//!
//! What lives here: the grammar of hosts, ports and whole addresses. What does not: interfaces by name (`zone.rs`).
//!
//! 1. Hosts follow the standard library's grammar, which is as strict as it can be: no octal or hexadecimal octets, no
//!    shortened IPv4, `::` for at least one group, an IPv4 tail only where two groups are left.
//! 2. An empty host is any address.
//! 3. A port is 0 to 65535 in decimal digits, without leading zeros.
#![cfg(unix)]

use super::{Address, zone};
use std::net::{Ipv4Addr, Ipv6Addr};
use weft_sync::{Result, bail, status};

pub(super) fn address(text: &[u8]) -> Result<Address> {
    if let Some(path) = text.strip_prefix(b"unix:") {
        return Address::unix(path);
    }
    if let Some(bracketed) = text.strip_prefix(b"[") {
        let Some(end) = bracketed.iter().position(|&byte| byte == b']') else {
            bail!(InvalidArgument, "`{}`: no `]` behind the host", text.escape_ascii());
        };
        let Some(digits) = bracketed[end + 1..].strip_prefix(b":") else {
            bail!(InvalidArgument, "`{}`: no `:` and port behind the `]`", text.escape_ascii());
        };
        return Address::ipv6(&bracketed[..end], port(digits)?);
    }
    let Some(colon) = text.iter().rposition(|&byte| byte == b':') else {
        bail!(InvalidArgument, "`{}`: no `:` and port", text.escape_ascii());
    };
    Address::ipv4(&text[..colon], port(&text[colon + 1..])?)
}

pub(super) fn ipv4_host(text: &[u8]) -> Result<Ipv4Addr> {
    if text.is_empty() {
        return Ok(Ipv4Addr::UNSPECIFIED);
    }
    let host = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    host.ok_or_else(|| status!(InvalidArgument, "`{}` is no IPv4 address", text.escape_ascii()))
}

/// The host, and the number of the interface behind `%`, 0 if there is none.
pub(super) fn ipv6_host(text: &[u8]) -> Result<(Ipv6Addr, u32)> {
    let (host, zone) = match text.iter().position(|&byte| byte == b'%') {
        Some(at) => (&text[..at], zone::number(&text[at + 1..])?),
        None => (text, 0),
    };
    if host.is_empty() {
        return Ok((Ipv6Addr::UNSPECIFIED, zone));
    }
    match std::str::from_utf8(host).ok().and_then(|host| host.parse().ok()) {
        Some(host) => Ok((host, zone)),
        None => bail!(InvalidArgument, "`{}` is no IPv6 address", host.escape_ascii()),
    }
}

fn port(digits: &[u8]) -> Result<u16> {
    let is_plain = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || !digits.starts_with(b"0"));
    let port = std::str::from_utf8(digits).ok().filter(|_| is_plain).and_then(|digits| digits.parse().ok());
    port.ok_or_else(|| status!(InvalidArgument, "`{}` is no port", digits.escape_ascii()))
}
