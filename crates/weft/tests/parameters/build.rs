//! Archives made by hand, byte by byte: good ones, and a way to spoil them.

use std::sync::Arc;

use weft::parameters::{ArchiveFormat, ParameterEntry, ParameterFile, read_archive};
use weft::{Code, Result};

/// An entry of an IRPA archive.
pub enum Entry<'a> {
    Skip,
    Splat(&'a str, u64, &'a [u8]),
    Data(&'a str, &'a [u8]),
}

/// Where the parts of a header are.
pub const COUNT: usize = 32;
pub const ENTRIES: usize = 40;
pub const METADATA: usize = 56;
pub const STORAGE: usize = 72;
/// Where the first entry is.
pub const FIRST: usize = 96;

/// One header with its entries, not padded at the end.
pub fn irpa(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut segment, mut names, mut storage) = (Vec::<u8>::new(), Vec::<u8>::new(), Vec::<u8>::new());
    for entry in entries {
        segment.resize(segment.len().next_multiple_of(16), 0);
        let (size, kind, name) = match entry {
            Entry::Skip => (60u64, 0u32, ""),
            Entry::Splat(name, ..) => (85, 1, *name),
            Entry::Data(name, _) => (76, 2, *name),
        };
        segment.extend(size.to_le_bytes());
        segment.extend(kind.to_le_bytes());
        for field in [0, names.len() as u64, name.len() as u64, 0, 0, 64] {
            segment.extend(field.to_le_bytes());
        }
        names.extend(name.as_bytes());
        match entry {
            Entry::Skip => {}
            Entry::Splat(_, length, pattern) => {
                segment.extend(length.to_le_bytes());
                let mut bytes = [0; 16];
                bytes[..pattern.len().min(16)].copy_from_slice(&pattern[..pattern.len().min(16)]);
                segment.extend(bytes);
                segment.push(pattern.len() as u8);
            }
            Entry::Data(_, bytes) => {
                storage.resize(storage.len().next_multiple_of(64), 0);
                segment.extend((storage.len() as u64).to_le_bytes());
                segment.extend((bytes.len() as u64).to_le_bytes());
                storage.extend(*bytes);
            }
        }
    }
    let metadata = FIRST + segment.len();
    let start = (metadata + names.len()).next_multiple_of(64);
    let mut out = b"IRPA\0\0\0\0".to_vec();
    let fields = [88, 0, 0, entries.len(), FIRST, segment.len(), metadata, names.len(), start, storage.len()];
    fields.iter().for_each(|field| out.extend((*field as u64).to_le_bytes()));
    out.resize(FIRST, 0);
    out.extend(segment);
    out.extend(names);
    out.resize(start, 0);
    out.extend(storage);
    out
}

/// The number at a place replaced.
pub fn with_u64(mut bytes: Vec<u8>, at: usize, value: u64) -> Vec<u8> {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    bytes
}

/// The entries of an archive in memory.
pub fn read(format: ArchiveFormat, bytes: &[u8]) -> Result<Vec<ParameterEntry>> {
    read_archive(&ParameterFile::from_memory("a test", Arc::new(bytes.to_vec())), format)
}

/// The code with which an archive is refused; the message names the file.
#[track_caller]
pub fn refusal(format: ArchiveFormat, bytes: &[u8]) -> Code {
    match read(format, bytes) {
        Ok(entries) => panic!("read {} entries", entries.len()),
        Err(status) => {
            assert!(status.to_string().contains("`a test`"), "{status}");
            status.code()
        }
    }
}

/// JSON with its length in front and data behind.
pub fn safetensors(json: &str, data: &[u8]) -> Vec<u8> {
    let mut out = (json.len() as u64).to_le_bytes().to_vec();
    out.extend(json.as_bytes());
    out.extend(data);
    out
}

/// A GGUF file in the making.
pub struct Gguf(pub Vec<u8>);

impl Gguf {
    pub fn new(version: u32, tensors: u64, pairs: u64) -> Gguf {
        let mut out = b"GGUF".to_vec();
        out.extend(version.to_le_bytes());
        out.extend(tensors.to_le_bytes());
        out.extend(pairs.to_le_bytes());
        Gguf(out)
    }

    pub fn text(mut self, text: &str) -> Gguf {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    pub fn u32(mut self, value: u32) -> Gguf {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn u64(mut self, value: u64) -> Gguf {
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn tensor(self, name: &str, extents: &[u64], kind: u32, offset: u64) -> Gguf {
        let head = self.text(name).u32(extents.len() as u32);
        extents.iter().fold(head, |head, extent| head.u64(*extent)).u32(kind).u64(offset)
    }

    pub fn data(mut self, alignment: usize, bytes: &[u8]) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
        self.0.extend(bytes);
        self.0
    }
}
