//! Format strings, and guessing them from bytes (`docs/spec/executables.md` §7.1, §7.2).
//!
//! Only slices are looked at: inference from a bare pointer would have to read past what is known to exist.

use weft_sync::{Result, bail, status};

/// Format of a container of embedded ELF files.
pub const EMBEDDED_FAT: &str = "embedded-fatelf";
/// Format of Rust kernels; the data is the library's name.
pub const NATIVE: &str = "weft-native";
/// Format of linked-in libraries; the data is the library's name.
pub const STATIC: &str = "static";

/// Name of the host's architecture in format strings, if it has one.
pub const HOST_ARCHITECTURE: Option<&str> = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => Some("x86_64"),
    b"x86" => Some("x86_32"),
    b"aarch64" => Some("arm_64"),
    b"arm" => Some("arm_32"),
    b"riscv64" => Some("riscv_64"),
    b"riscv32" => Some("riscv_32"),
    b"wasm32" => Some("wasm_32"),
    b"wasm64" => Some("wasm_64"),
    _ => None,
};

/// Whether `format` is `<prefix><arch>`, alone or followed by `-` and anything. `x86_64` does not claim `x86_64v9`.
pub(super) fn is_for(format: &str, prefix: &str, arch: &str) -> bool {
    let rest = format.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(arch));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The format of an executable, judged by its first bytes.
///
/// `INVALID_ARGUMENT` below four bytes, `INCOMPATIBLE` if nothing fits.
pub fn infer(data: &[u8]) -> Result<String> {
    let Some(magic) = data.first_chunk::<4>() else {
        bail!(InvalidArgument, "{} bytes are too few to tell an executable format", data.len());
    };
    match magic {
        [0xFA, 0x70, 0x0E, 0x1F] => Ok(EMBEDDED_FAT.to_owned()),
        [0x7F, b'E', b'L', b'F'] => Ok(format!("embedded-elf-{}", elf_architecture(data))),
        [b'M', b'Z', ..] => portable_executable(data),
        [0xFE, 0xED, 0xFA, 0xCE | 0xCF] => mach_o(data, u32::from_be_bytes),
        [0xCE | 0xCF, 0xFA, 0xED, 0xFE] => mach_o(data, u32::from_le_bytes),
        [0, b'a', b's', b'm'] => web_assembly(data),
        _ => Err(incompatible(data)),
    }
}

#[cold]
fn incompatible(data: &[u8]) -> weft_sync::Status {
    status!(Incompatible, "no executable format starts with bytes {:02X?}", &data[..data.len().min(8)])
}

fn elf_architecture(data: &[u8]) -> &'static str {
    match (u16_at(data, 18), data.get(4)) {
        (Some(0x3E), _) => "x86_64",
        (Some(0x03), _) => "x86_32",
        (Some(0xB7), _) => "arm_64",
        (Some(0x28), _) => "arm_32",
        (Some(0xF3), Some(2)) => "riscv_64",
        (Some(0xF3), Some(1)) => "riscv_32",
        _ => "unknown",
    }
}

fn portable_executable(data: &[u8]) -> Result<String> {
    let header = u32_at(data, 0x3C).map(|offset| offset as usize).ok_or_else(|| incompatible(data))?;
    if data.get(header..).is_none_or(|rest| !rest.starts_with(b"PE\0\0")) {
        return Err(incompatible(data));
    }
    let arch = match u16_at(data, header + 4) {
        Some(0x8664) => "x86_64",
        Some(0x014C) => "x86_32",
        Some(0xAA64) => "arm_64",
        Some(0x01C4) => "arm_32",
        _ => return Err(incompatible(data)),
    };
    Ok(format!("system-dll-{arch}"))
}

fn mach_o(data: &[u8], word: fn([u8; 4]) -> u32) -> Result<String> {
    let cpu = data.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(word);
    let arch = match cpu {
        Some(0x0100_0007) => "x86_64",
        Some(7) => "x86_32",
        Some(0x0100_000C) => "arm_64",
        Some(12) => "arm_32",
        _ => "unknown",
    };
    Ok(format!("system-dylib-{arch}"))
}

/// Version 1 modules; 64-bit if a memory, own or imported, has 64-bit limits.
fn web_assembly(data: &[u8]) -> Result<String> {
    if data.get(4..8) != Some(&[1, 0, 0, 0]) {
        return Err(incompatible(data));
    }
    let arch = if has_wide_memory(&data[8..]).unwrap_or(false) { "wasm_64" } else { "wasm_32" };
    Ok(format!("system-wasm-{arch}"))
}

/// Walks the sections; `None` if they are cut short or malformed.
fn has_wide_memory(data: &[u8]) -> Option<bool> {
    const IMPORT_SECTION: u8 = 2;
    const MEMORY_SECTION: u8 = 5;
    let mut sections = Varints(data);
    while let Some(section) = sections.byte() {
        let size = sections.u32()?;
        let mut content = Varints(sections.take(size)?);
        let wide = match section {
            IMPORT_SECTION => import_section_has_wide_memory(&mut content)?,
            MEMORY_SECTION => {
                let count = content.u32()?;
                (0..count).try_fold(false, |wide, _| Some(wide | content.limits()?))?
            }
            _ => false,
        };
        if wide {
            return Some(true);
        }
    }
    Some(false)
}

fn import_section_has_wide_memory(content: &mut Varints<'_>) -> Option<bool> {
    let mut wide = false;
    for _ in 0..content.u32()? {
        for _ in 0..2 {
            let name = content.u32()?;
            content.take(name)?;
        }
        match content.byte()? {
            0 => drop(content.u32()?),
            1 => {
                content.byte()?;
                content.limits()?;
            }
            2 => wide |= content.limits()?,
            3 => drop((content.byte()?, content.byte()?)),
            _ => return None,
        }
    }
    Some(wide)
}

/// A reader of the variable-length numbers of WebAssembly.
struct Varints<'a>(&'a [u8]);

impl<'a> Varints<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn take(&mut self, count: u32) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count as usize)?;
        self.0 = rest;
        Some(taken)
    }

    fn u64(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.u64()?).ok()
    }

    /// Skips limits; whether they are 64 bits wide.
    fn limits(&mut self) -> Option<bool> {
        let flags = self.byte()?;
        self.u64()?;
        if flags & 1 != 0 {
            self.u64()?;
        }
        Some(flags & 4 != 0)
    }
}

/// Size of an ELF file: the largest end of its header, its header tables and its sections.
pub fn elf_size(data: &[u8]) -> Result<u64> {
    let truncated = || status!(OutOfRange, "an ELF file of {} bytes is cut short", data.len());
    if !data.starts_with(&[0x7F, b'E', b'L', b'F']) {
        return Err(incompatible(data));
    }
    let wide = match data.get(4) {
        Some(1) => false,
        Some(2) => true,
        Some(class) => bail!(InvalidArgument, "ELF class is {class}, expected 1 or 2"),
        None => return Err(truncated()),
    };
    match data.get(5) {
        Some(1) => {}
        Some(order) => bail!(InvalidArgument, "ELF byte order is {order}, expected 1 (little-endian)"),
        None => return Err(truncated()),
    }
    let header_bytes: u64 = if wide { 64 } else { 52 };
    if (data.len() as u64) < header_bytes {
        return Err(truncated());
    }
    let word = |wide_at: usize, narrow_at: usize| {
        if wide { u64_at(data, wide_at) } else { u32_at(data, narrow_at).map(u64::from) }
    };
    let half = |wide_at: usize, narrow_at: usize| {
        u16_at(data, if wide { wide_at } else { narrow_at }).map(u64::from)
    };
    let mut size = header_bytes;
    let programs = table_end(word(32, 28), half(54, 42), half(56, 44)).ok_or_else(truncated)?;
    let sections = table_end(word(40, 32), half(58, 46), half(60, 48)).ok_or_else(truncated)?;
    size = size.max(programs).max(sections);
    if size > data.len() as u64 {
        return Err(truncated());
    }
    let (start, entry, count) =
        (word(40, 32).unwrap_or(0), half(58, 46).unwrap_or(0), half(60, 48).unwrap_or(0));
    let entry_min: u64 = if wide { 64 } else { 40 };
    if start != 0 && count != 0 && entry < entry_min {
        bail!(InvalidArgument, "ELF section headers of {entry} bytes, at least {entry_min} needed");
    }
    for index in 0..if start == 0 { 0 } else { count } {
        let end = section_end(data, (start + index * entry) as usize, wide).ok_or_else(truncated)?;
        size = size.max(end);
    }
    if size > data.len() as u64 {
        return Err(truncated());
    }
    Ok(size)
}

fn table_end(start: Option<u64>, entry: Option<u64>, count: Option<u64>) -> Option<u64> {
    match (start?, count?) {
        (0, _) | (_, 0) => Some(0),
        (start, count) => start.checked_add(entry?.checked_mul(count)?),
    }
}

fn section_end(data: &[u8], at: usize, wide: bool) -> Option<u64> {
    const NO_BITS: u32 = 8;
    const NULL: u32 = 0;
    if matches!(u32_at(data, at + 4)?, NO_BITS | NULL) {
        return Some(0);
    }
    if wide {
        u64_at(data, at + 24)?.checked_add(u64_at(data, at + 32)?)
    } else {
        u64::from(u32_at(data, at + 16)?).checked_add(u64::from(u32_at(data, at + 20)?))
    }
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*data.get(at..)?.first_chunk()?))
}
