//! Little-endian fields at any address of a byte slice. Out of range is `None`, never a panic.

/// `count` bytes from `offset`.
pub(super) fn bytes(data: &[u8], offset: u64, count: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(count)?).ok()?;
    data.get(start..end)
}

fn array<const N: usize>(data: &[u8], offset: u64) -> Option<[u8; N]> {
    bytes(data, offset, N as u64)?.try_into().ok()
}

pub(super) fn u16_at(data: &[u8], offset: u64) -> Option<u16> {
    array(data, offset).map(u16::from_le_bytes)
}

pub(super) fn u32_at(data: &[u8], offset: u64) -> Option<u32> {
    array(data, offset).map(u32::from_le_bytes)
}

pub(super) fn u64_at(data: &[u8], offset: u64) -> Option<u64> {
    array(data, offset).map(u64::from_le_bytes)
}
