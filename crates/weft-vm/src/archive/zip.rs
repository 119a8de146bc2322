//! Finding the FlatBuffer inside the container (`docs/spec/vm-bytecode.md` §2.2).
//!
//! A polyglot archive is a zip file whose first, stored member is the module. Only that member's local header is
//! looked at, and of it only the lengths that must be skipped. Not here: writing zip files (`container.rs`).

use std::ops::Range;

use weft_sync::{Result, bail};

use super::RODATA_BASE_ALIGNMENT;

/// The first four bytes of a zip local file header.
const LOCAL_HEADER_MAGIC: u32 = 0x0403_4B50;
/// Its size without name and extra field.
const LOCAL_HEADER_BYTES: usize = 30;
/// The size prefix, the root offset, the identifier and what the smallest table needs.
const MODULE_BYTES_MIN: usize = 16;
/// Marks a FlatBuffer as a module.
pub(super) const IDENTIFIER: &[u8; 4] = b"IREE";

/// Where the parts of an archive lie, before anything of the FlatBuffer is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// Bytes of zip header in front.
    pub zip_bytes: usize,
    /// The FlatBuffer without its size prefix.
    pub flatbuffer: Range<usize>,
    /// What external rodata counts from; may lie past the end.
    pub rodata_base: usize,
}

/// Finds the parts of an archive.
pub(super) fn locate(bytes: &[u8]) -> Result<Container> {
    let zip_bytes = zip_header_bytes(bytes)?;
    let module = &bytes[zip_bytes..];
    if module.len() < MODULE_BYTES_MIN {
        bail!(
            InvalidArgument,
            "not a module, or truncated: {} bytes, at least {MODULE_BYTES_MIN} are needed",
            module.len()
        );
    }
    if &module[8..12] != IDENTIFIER {
        bail!(
            InvalidArgument,
            "not a module: identifier `{}`, expected `IREE`",
            module[8..12].escape_ascii()
        );
    }
    let prefix = u32_at(module, 0) as usize;
    let left = module.len() - 4;
    if prefix > left {
        bail!(InvalidArgument, "truncated module: its size prefix says {prefix} bytes, {left} follow");
    }
    if prefix < MODULE_BYTES_MIN - 4 {
        bail!(InvalidArgument, "not a module: its size prefix says {prefix} bytes");
    }
    let start = zip_bytes + 4;
    let end = start + prefix;
    Ok(Container {
        zip_bytes,
        flatbuffer: start..end,
        rodata_base: end.next_multiple_of(RODATA_BASE_ALIGNMENT),
    })
}

/// Whether a stream that begins with `head` is worth reading on: a zip archive, or a module.
pub(crate) fn begins_like_module(head: &[u8]) -> bool {
    let is_zip = head.len() >= 4 && u32_at(head, 0) == LOCAL_HEADER_MAGIC;
    is_zip || head.get(8..12) == Some(IDENTIFIER)
}

fn zip_header_bytes(bytes: &[u8]) -> Result<usize> {
    if bytes.len() < LOCAL_HEADER_BYTES || u32_at(bytes, 0) != LOCAL_HEADER_MAGIC {
        return Ok(0);
    }
    let name = usize::from(u16::from_le_bytes([bytes[26], bytes[27]]));
    let extra = usize::from(u16::from_le_bytes([bytes[28], bytes[29]]));
    let skip = LOCAL_HEADER_BYTES + name + extra;
    if skip > bytes.len() {
        bail!(InvalidArgument, "zip header of {skip} bytes in an archive of {} bytes", bytes.len());
    }
    Ok(skip)
}

/// The caller has checked that four bytes are there.
fn u32_at(bytes: &[u8], position: usize) -> u32 {
    u32::from_le_bytes([bytes[position], bytes[position + 1], bytes[position + 2], bytes[position + 3]])
}
