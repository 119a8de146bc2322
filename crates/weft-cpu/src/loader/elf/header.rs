//! The file header and the program headers (`docs/spec/executables.md` §2.2, §2.4). Section headers are never read.

use weft_sync::{Result, bail, status};

use super::Machine;
use super::fields::{bytes, u16_at, u32_at, u64_at};

/// Bytes in the file header.
pub(super) const FILE_HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: u16 = 56;
/// More program headers than any linker writes.
const PROGRAM_HEADER_COUNT_MAX: u16 = 64;
const MAGIC: [u8; 4] = [0x7F, b'E', b'L', b'F'];
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const CURRENT_VERSION: u8 = 1;
const TYPE_SHARED: u16 = 3;
/// System V, GNU, standalone.
const OS_ABIS: [u8; 3] = [0, 3, 255];

pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_DYNAMIC: u32 = 2;
pub(super) const PT_INTERP: u32 = 3;
pub(super) const PT_TLS: u32 = 7;
pub(super) const PT_GNU_STACK: u32 = 0x6474_E551;
pub(super) const PT_GNU_RELRO: u32 = 0x6474_E552;

/// One program header as it stands in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProgramHeader {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub file_bytes: u64,
    pub memory_bytes: u64,
    pub alignment: u64,
}

/// Checks the file header and reads the program headers.
pub(super) fn program_headers(data: &[u8], machine: Machine) -> Result<Vec<ProgramHeader>> {
    if data.len() < FILE_HEADER_BYTES {
        bail!(FailedPrecondition, "ELF header: {} bytes, at least {FILE_HEADER_BYTES} needed", data.len());
    }
    check_identity(data)?;
    let truncated = || status!(FailedPrecondition, "ELF header is truncated");
    let half = |offset| u16_at(data, offset).ok_or_else(truncated);
    expect(u64::from(half(16)?), u64::from(TYPE_SHARED), "type")?;
    expect(u64::from(half(18)?), u64::from(machine.elf_number()), "machine")?;
    expect(u64::from(u32_at(data, 20).ok_or_else(truncated)?), u64::from(CURRENT_VERSION), "version")?;
    expect(u64::from(half(52)?), FILE_HEADER_BYTES as u64, "header size")?;
    expect(u64::from(half(54)?), u64::from(PROGRAM_HEADER_BYTES), "program header size")?;
    let table = u64_at(data, 32).ok_or_else(truncated)?;
    let count = half(56)?;
    if table == 0 || count == 0 {
        bail!(FailedPrecondition, "ELF header: no program headers (offset {table}, count {count})");
    }
    if count == 0xFFFF {
        bail!(FailedPrecondition, "ELF header: extended program header count is not supported");
    }
    if count > PROGRAM_HEADER_COUNT_MAX {
        bail!(ResourceExhausted, "ELF header: {count} program headers, at most {PROGRAM_HEADER_COUNT_MAX}");
    }
    let size = u64::from(count) * u64::from(PROGRAM_HEADER_BYTES);
    let Some(table) = bytes(data, table, size) else {
        bail!(
            FailedPrecondition,
            "ELF program headers: {size} bytes at offset {table} exceed the file of {} bytes",
            data.len()
        );
    };
    table
        .chunks_exact(usize::from(PROGRAM_HEADER_BYTES))
        .map(|entry| parse_program_header(entry).ok_or_else(truncated))
        .collect()
}

fn check_identity(data: &[u8]) -> Result<()> {
    if data[..4] != MAGIC {
        bail!(FailedPrecondition, "ELF header: magic is {:02X?}, expected {MAGIC:02X?}", &data[..4]);
    }
    expect(u64::from(data[4]), u64::from(CLASS_64), "class")?;
    expect(u64::from(data[5]), u64::from(LITTLE_ENDIAN), "byte order")?;
    expect(u64::from(data[6]), u64::from(CURRENT_VERSION), "identification version")?;
    if !OS_ABIS.contains(&data[7]) {
        bail!(FailedPrecondition, "ELF header: OS ABI is {}, expected one of {OS_ABIS:?}", data[7]);
    }
    Ok(())
}

fn expect(found: u64, wanted: u64, what: &str) -> Result<()> {
    if found != wanted {
        bail!(FailedPrecondition, "ELF header: {what} is {found}, expected {wanted}");
    }
    Ok(())
}

fn parse_program_header(entry: &[u8]) -> Option<ProgramHeader> {
    Some(ProgramHeader {
        kind: u32_at(entry, 0)?,
        flags: u32_at(entry, 4)?,
        offset: u64_at(entry, 8)?,
        address: u64_at(entry, 16)?,
        file_bytes: u64_at(entry, 32)?,
        memory_bytes: u64_at(entry, 40)?,
        alignment: u64_at(entry, 48)?,
    })
}
