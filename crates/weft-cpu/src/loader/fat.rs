//! Containers of several ELF files for different machines (`docs/spec/executables.md` §2.8).

use weft_sync::{Result, bail, status};

use super::elf::Machine;

const MAGIC: u32 = 0x1F0E_70FA;
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 8;
const RECORD_BYTES: usize = 24;
/// System V, GNU, standalone.
const OS_ABIS: [u8; 3] = [0, 3, 255];
const WORD_SIZE_64: u8 = 2;
/// Not the number that ELF uses for it.
const LITTLE_ENDIAN: u8 = 1;

/// Whether the bytes start like a container.
pub(super) fn is_container(data: &[u8]) -> bool {
    data.len() >= HEADER_BYTES + RECORD_BYTES && data.starts_with(&MAGIC.to_le_bytes())
}

/// The file for this machine: the first that matches, or the whole input if it is not a container.
pub fn select(data: &[u8], machine: Machine) -> Result<&[u8]> {
    if !is_container(data) {
        return Ok(data);
    }
    let version = u16::from_le_bytes([data[4], data[5]]);
    if version != VERSION {
        bail!(Unimplemented, "fat container of version {version}, expected {VERSION}");
    }
    let count = usize::from(data[6]);
    let records_end = HEADER_BYTES + RECORD_BYTES * count;
    let Some(records) = data.get(HEADER_BYTES..records_end) else {
        bail!(InvalidArgument, "fat container of {} bytes has no room for {count} records", data.len());
    };
    let none = || status!(InvalidArgument, "none of {count} files in the fat container is for {machine}");
    let record =
        records.chunks_exact(RECORD_BYTES).find(|record| matches(record, machine)).ok_or_else(none)?;
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&record[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let (offset, size) = (word(8), word(16));
    if offset == 0 || size == 0 {
        return Err(none());
    }
    let range =
        offset.checked_add(size).filter(|&end| end <= data.len() as u64 && offset >= records_end as u64);
    match range {
        Some(end) => Ok(&data[offset as usize..end as usize]),
        None => bail!(
            OutOfRange,
            "fat container: a file of {size} bytes at offset {offset} is not within {records_end}..{}",
            data.len()
        ),
    }
}

fn matches(record: &[u8], machine: Machine) -> bool {
    let number = u16::from_le_bytes([record[0], record[1]]);
    number == machine.elf_number()
        && OS_ABIS.contains(&record[2])
        && record[4] == WORD_SIZE_64
        && record[5] == LITTLE_ENDIAN
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    struct Record {
        machine: u16,
        os_abi: u8,
        offset: u64,
        size: u64,
    }

    fn container(version: u16, records: &[Record], bytes: usize) -> Vec<u8> {
        let mut data = MAGIC.to_le_bytes().to_vec();
        data.extend(version.to_le_bytes());
        data.extend([records.len() as u8, 0]);
        for record in records {
            data.extend(record.machine.to_le_bytes());
            data.extend([record.os_abi, 0, WORD_SIZE_64, LITTLE_ENDIAN, 0, 0]);
            data.extend(record.offset.to_le_bytes());
            data.extend(record.size.to_le_bytes());
        }
        data.resize(bytes, 0xEE);
        data
    }

    fn x86(os_abi: u8, offset: u64, size: u64) -> Record {
        Record { machine: 0x3E, os_abi, offset, size }
    }

    fn code(data: &[u8]) -> Code {
        select(data, Machine::X86_64).unwrap_err().code()
    }

    /// [exec 28]
    #[test]
    fn the_first_matching_record_is_selected() {
        let arm = Record { machine: 0xB7, os_abi: 0, offset: 100, size: 20 };
        let data = container(1, &[arm, x86(3, 200, 30)], 300);
        assert_eq!(select(&data, Machine::X86_64).unwrap(), &data[200..230]);
        assert_eq!(select(&data, Machine::Aarch64).unwrap(), &data[100..120]);
        for os_abi in [0, 3, 255] {
            let data = container(1, &[x86(9, 100, 8), x86(os_abi, 200, 30)], 300);
            assert_eq!(select(&data, Machine::X86_64).unwrap(), &data[200..230], "OS ABI {os_abi}");
        }
    }

    /// [exec 28]
    #[test]
    fn what_is_no_container_passes_through() {
        let data = container(1, &[x86(0, 32, 8)], 40);
        for input in [&data[..31], &[0x7F, b'E', b'L', b'F'], &[], &[0; 64]] {
            assert_eq!(select(input, Machine::X86_64).unwrap(), input);
        }
    }

    /// [exec 28]
    #[test]
    fn broken_containers_have_their_codes() {
        assert_eq!(code(&container(2, &[x86(0, 100, 8)], 300)), Code::Unimplemented);
        assert_eq!(code(&container(1, &[x86(9, 100, 8)], 300)), Code::InvalidArgument);
        assert_eq!(code(&container(1, &[x86(0, 0, 8)], 300)), Code::InvalidArgument);
        assert_eq!(code(&container(1, &[x86(0, 100, 0)], 300)), Code::InvalidArgument);
        assert_eq!(code(&container(1, &[x86(0, 31, 8)], 300)), Code::OutOfRange);
        assert_eq!(code(&container(1, &[x86(0, 100, 201)], 300)), Code::OutOfRange);
        assert_eq!(code(&container(1, &[x86(0, u64::MAX, 2)], 300)), Code::OutOfRange);
        let mut two = container(1, &[x86(0, 100, 8), x86(0, 100, 8)], 300);
        two.truncate(55);
        assert_eq!(code(&two), Code::InvalidArgument);
        let none = container(1, &[], 300);
        assert_eq!(code(&none), Code::InvalidArgument);
    }
}
