//! Archives around a FlatBuffer: flat, or readable by zip tools as well (`docs/spec/vm-bytecode.md` §2.3).
//!
//! External constants come after the FlatBuffer. [`ExternalArea`] decides where, which does not depend on the
//! size of the FlatBuffer, so the offsets can be written into the tables before the tables are sized.

use super::RODATA_BASE_ALIGNMENT;

/// The name of the member that holds the FlatBuffer.
const MODULE_MEMBER: &str = "module.fb";
/// Bytes of the first member's header, so that the FlatBuffer's size prefix starts aligned.
const MODULE_HEADER_BYTES: usize = 64;
const LOCAL_MAGIC: u32 = 0x0403_4B50;
const CENTRAL_MAGIC: u32 = 0x0201_4B50;
const END_MAGIC: u32 = 0x0605_4B50;
const END64_MAGIC: u32 = 0x0606_4B50;
const LOCATOR64_MAGIC: u32 = 0x0706_4B50;
/// "Version needed" 4.5, the first with 64-bit sizes.
const ZIP_VERSION: u16 = 45;
/// 1980-01-01, the earliest date that the format can say.
const ZIP_DATE: u16 = 0x0021;
/// Extra field with the 64-bit sizes.
const EXTRA_ZIP64: u16 = 0x0001;
/// Extra field of any content, used to fill up to an alignment.
const EXTRA_FILLER: u16 = 0xFECA;
/// Local header, 64-bit sizes, and the header of a filler.
const LOCAL_BYTES_MIN: usize = 30 + 20 + 4;

/// Which container to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerKind {
    /// The FlatBuffer, then external constants.
    Flat,
    /// A zip file whose first member is the FlatBuffer.
    Polyglot,
}

/// The external constants of an archive being written.
#[derive(Clone, Debug)]
pub struct ExternalArea {
    kind: ContainerKind,
    bytes: Vec<u8>,
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    /// Start of its local header: within the external area, or within the archive for the module itself.
    header: usize,
    size: usize,
    checksum: u32,
}

impl ExternalArea {
    /// Nothing external yet.
    pub fn new(kind: ContainerKind) -> ExternalArea {
        ExternalArea { kind, bytes: Vec::new(), members: Vec::new() }
    }

    /// Adds a constant; returns its offset from the rodata base, a multiple of `align`.
    pub fn add(&mut self, name: &str, align: usize, data: &[u8]) -> u64 {
        let offset = match self.kind {
            ContainerKind::Flat => self.bytes.len().next_multiple_of(align),
            ContainerKind::Polyglot => {
                let header = self.bytes.len();
                let offset = (header + LOCAL_BYTES_MIN + name.len()).next_multiple_of(align);
                let member = Member { name: name.into(), header, size: data.len(), checksum: crc32(data) };
                write_local_header(&mut self.bytes, &member, offset - header);
                self.members.push(member);
                offset
            }
        };
        self.bytes.resize(offset, 0);
        self.bytes.extend(data);
        offset as u64
    }

    /// The archive around a FlatBuffer that has its size prefix in front.
    pub fn wrap(&self, flatbuffer: &[u8]) -> Vec<u8> {
        match self.kind {
            ContainerKind::Flat => {
                let mut archive = flatbuffer.to_vec();
                archive.resize(archive.len().next_multiple_of(RODATA_BASE_ALIGNMENT), 0);
                archive.extend(&self.bytes);
                archive
            }
            ContainerKind::Polyglot => self.wrap_zip(flatbuffer),
        }
    }

    fn wrap_zip(&self, flatbuffer: &[u8]) -> Vec<u8> {
        // The prefix says the size of the member, which counts the prefix itself.
        let mut data = flatbuffer.to_vec();
        data[..4].copy_from_slice(&(flatbuffer.len() as u32).to_le_bytes());
        let module =
            Member { name: MODULE_MEMBER.into(), header: 0, size: data.len(), checksum: crc32(&data) };
        let mut archive = Vec::new();
        write_local_header(&mut archive, &module, MODULE_HEADER_BYTES);
        archive.extend(&data);
        // The prefix reaches four bytes further than the FlatBuffer does, and the base counts from there.
        let base = (archive.len() + 4).next_multiple_of(RODATA_BASE_ALIGNMENT);
        archive.resize(base, 0);
        archive.extend(&self.bytes);
        let directory = archive.len();
        let members =
            self.members.iter().map(|member| Member { header: base + member.header, ..member.clone() });
        let members: Vec<Member> = std::iter::once(module).chain(members).collect();
        for member in &members {
            write_central_header(&mut archive, member);
        }
        write_end_records(&mut archive, members.len(), directory);
        archive
    }
}

fn write_local_header(out: &mut Vec<u8>, member: &Member, bytes: usize) {
    let start = out.len();
    put32(out, LOCAL_MAGIC);
    put16(out, &[ZIP_VERSION, 0, 0, 0, ZIP_DATE]);
    put32(out, member.checksum);
    put32(out, u32::MAX);
    put32(out, u32::MAX);
    put16(out, &[member.name.len() as u16, (bytes - 30 - member.name.len()) as u16]);
    out.extend(member.name.as_bytes());
    put16(out, &[EXTRA_ZIP64, 16]);
    put64(out, member.size as u64);
    put64(out, member.size as u64);
    let filler = bytes - (out.len() - start) - 4;
    put16(out, &[EXTRA_FILLER, filler as u16]);
    out.resize(start + bytes, 0);
}

fn write_central_header(out: &mut Vec<u8>, member: &Member) {
    put32(out, CENTRAL_MAGIC);
    put16(out, &[ZIP_VERSION, ZIP_VERSION, 0, 0, 0, ZIP_DATE]);
    put32(out, member.checksum);
    put32(out, u32::MAX);
    put32(out, u32::MAX);
    put16(out, &[member.name.len() as u16, 28, 0, 0, 0]);
    put32(out, 0);
    put32(out, u32::MAX);
    out.extend(member.name.as_bytes());
    put16(out, &[EXTRA_ZIP64, 24]);
    put64(out, member.size as u64);
    put64(out, member.size as u64);
    put64(out, member.header as u64);
}

fn write_end_records(out: &mut Vec<u8>, members: usize, directory: usize) {
    let end64 = out.len();
    let directory_bytes = (end64 - directory) as u64;
    put32(out, END64_MAGIC);
    put64(out, 44);
    put16(out, &[ZIP_VERSION, ZIP_VERSION]);
    put32(out, 0);
    put32(out, 0);
    put64(out, members as u64);
    put64(out, members as u64);
    put64(out, directory_bytes);
    put64(out, directory as u64);
    put32(out, LOCATOR64_MAGIC);
    put32(out, 0);
    put64(out, end64 as u64);
    put32(out, 1);
    put32(out, END_MAGIC);
    put16(out, &[0, 0, u16::MAX, u16::MAX]);
    put32(out, u32::MAX);
    put32(out, u32::MAX);
    put16(out, &[0]);
}

fn put16(out: &mut Vec<u8>, values: &[u16]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

/// The checksum of zip files: reflected polynomial 0xEDB88320, bit by bit. Archives are written by tests and
/// tools only, so no table is worth its space.
fn crc32(data: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in data {
        remainder ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (remainder & 1).wrapping_neg();
            remainder = (remainder >> 1) ^ (0xEDB8_8320 & mask);
        }
    }
    !remainder
}
