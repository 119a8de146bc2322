//! Damaging ELF files field by field. Reads trusted samples only, so it may panic.
#![allow(dead_code, reason = "not every machine runs every sample")]

/// A program header and where it stands in the file.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub at: usize,
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub file_bytes: u64,
}

/// Offsets of the fields of a program header.
pub const KIND: usize = 0;
pub const FLAGS: usize = 4;
pub const OFFSET: usize = 8;
pub const ADDRESS: usize = 16;
pub const FILE_BYTES: usize = 32;
pub const MEMORY_BYTES: usize = 40;
pub const ALIGNMENT: usize = 48;

pub const LOAD: u32 = 1;
pub const DYNAMIC: u32 = 2;
pub const STACK: u32 = 0x6474_E551;
pub const RELRO: u32 = 0x6474_E552;

pub fn put16(data: &mut [u8], at: usize, value: u16) {
    data[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub fn put32(data: &mut [u8], at: usize, value: u32) {
    data[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub fn put64(data: &mut [u8], at: usize, value: u64) {
    data[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

pub fn get32(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(data[at..at + 4].try_into().unwrap())
}

pub fn get64(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(data[at..at + 8].try_into().unwrap())
}

/// The parts of a good file.
pub struct Elf<'a> {
    data: &'a [u8],
    pub headers: Vec<Header>,
}

impl<'a> Elf<'a> {
    pub fn parse(data: &'a [u8]) -> Elf<'a> {
        let table = get64(data, 32) as usize;
        let count = u16::from_le_bytes([data[56], data[57]]) as usize;
        let header = |at: usize| Header {
            at,
            kind: get32(data, at + KIND),
            flags: get32(data, at + FLAGS),
            offset: get64(data, at + OFFSET),
            address: get64(data, at + ADDRESS),
            file_bytes: get64(data, at + FILE_BYTES),
        };
        Elf { data, headers: (0..count).map(|index| header(table + 56 * index)).collect() }
    }

    pub fn loads(&self) -> impl Iterator<Item = Header> + '_ {
        self.headers.iter().copied().filter(|header| header.kind == LOAD)
    }

    /// The load with these flags (4 = read, 5 = read and execute, 6 = read and write).
    pub fn load(&self, flags: u32) -> Header {
        self.loads().find(|load| load.flags == flags).unwrap()
    }

    pub fn header(&self, kind: u32) -> Header {
        *self.headers.iter().find(|header| header.kind == kind).unwrap()
    }

    /// Where the byte at an address stands in the file.
    pub fn file_offset(&self, address: u64) -> usize {
        let holds = |load: &Header| (load.address..load.address + load.file_bytes).contains(&address);
        let load = self.loads().find(holds).unwrap();
        (load.offset + (address - load.address)) as usize
    }

    /// Where the entry with this tag stands in the file.
    pub fn dynamic(&self, tag: u64) -> usize {
        let start = self.header(DYNAMIC).offset as usize;
        (start..).step_by(16).find(|&at| get64(self.data, at) == tag).unwrap()
    }

    pub fn dynamic_value(&self, tag: u64) -> u64 {
        get64(self.data, self.dynamic(tag) + 8)
    }

    /// Where relocation `index` of DT_RELA stands in the file.
    pub fn relocation(&self, index: usize) -> usize {
        self.file_offset(self.dynamic_value(7)) + 24 * index
    }

    /// Where symbol `index` stands in the file.
    pub fn symbol(&self, index: usize) -> usize {
        self.file_offset(self.dynamic_value(6)) + 24 * index
    }
}

/// File offset of the library table of the handmade sample: its first relocation is that of the table's first field.
pub fn library_table(data: &[u8]) -> usize {
    let elf = Elf::parse(data);
    elf.file_offset(get64(data, elf.relocation(0)))
}

/// File offset of what the pointer at this file offset leads to.
pub fn follow(data: &[u8], pointer_at: usize) -> usize {
    let elf = Elf::parse(data);
    let count = elf.dynamic_value(8) as usize / 24;
    let target = |index: usize| elf.file_offset(get64(data, elf.relocation(index)));
    let index = (0..count).find(|&index| target(index) == pointer_at).unwrap();
    elf.file_offset(get64(data, elf.relocation(index) + 16))
}

/// Changes the declared constants and bindings of one export of the handmade sample.
pub fn set_operand_counts(data: &mut [u8], ordinal: usize, constants: u8, bindings: u8) {
    let attributes = follow(data, library_table(data) + 40) + 64 * ordinal;
    data[attributes + 10] = constants;
    data[attributes + 11] = bindings;
}

/// Numbers that look random and are the same in each run.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
