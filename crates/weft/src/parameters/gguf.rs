//! GGUF, versions 2 and 3: reading (`docs/spec/hal-module.md` §11.3).
//!
//! Bytes are passed through as they are: what a block of a quantised type means is the program's business. Of the
//! key-values only the alignment is understood; work and memory are bounded by the file's length.
//!
//! What lives here: the reader and the table of element types.

use std::sync::Arc;

use weft_sync::{Result, WhileDoing, bail};

use super::file::ParameterFile;
use super::header_reader::HeaderReader;
use super::index::{ParameterEntry, ParameterKind, key_text};

/// `GGUF`.
const MAGIC: u32 = 0x4655_4747;
/// Where data begins, unless the file says otherwise.
const ALIGNMENT_DEFAULT: u64 = 32;
const ALIGNMENT_KEY: &[u8] = b"general.alignment";
/// The longest name that is read.
const NAME_BYTES_MAX: u64 = 64 << 10;
/// Least bytes of a tensor's description: empty name, no extents, type, offset.
const TENSOR_BYTES_MIN: u64 = 24;

const VALUE_U32: u32 = 4;
const VALUE_STRING: u32 = 8;
const VALUE_ARRAY: u32 = 9;

/// Bytes of a value of fixed size.
fn value_bytes(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Elements and bytes of a block of an element type.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 18 => (1, 4),
        1 | 17 => (1, 2),
        2 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 40),
        10 => (256, 84),
        11 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 => (1, 1),
        _ => return None,
    })
}

/// A tensor before the place of the data is known.
struct Tensor {
    key: Box<[u8]>,
    offset: u64,
    length: u64,
}

/// The parameters of a file.
pub(super) fn parse(file: &Arc<ParameterFile>) -> Result<Vec<ParameterEntry>> {
    let mut parser = Parser { reader: HeaderReader::new(file), at: 0 };
    let magic = parser.u32("magic")?;
    if magic != MAGIC {
        bail!(InvalidArgument, "magic {magic:#010x} is not that of GGUF, {MAGIC:#010x}");
    }
    let version = parser.u32("version")?;
    if !(2..=3).contains(&version) {
        bail!(Unimplemented, "version {version} is not supported, only 2 and 3");
    }
    let tensor_count = parser.u64("tensor count")?;
    let pair_count = parser.u64("key-value count")?;
    let mut alignment = ALIGNMENT_DEFAULT;
    for ordinal in 0..pair_count {
        let at = parser.at;
        let found = parser
            .key_value()
            .while_doing(|| format!("key-value {ordinal} of {pair_count} at offset {at}"))?;
        alignment = found.unwrap_or(alignment);
    }
    if tensor_count > (file.length() - parser.at) / TENSOR_BYTES_MIN {
        bail!(OutOfRange, "{tensor_count} tensors in a file of {} bytes", file.length());
    }
    let mut tensors = Vec::new();
    for ordinal in 0..tensor_count {
        let at = parser.at;
        let tensor =
            parser.tensor().while_doing(|| format!("tensor {ordinal} of {tensor_count} at offset {at}"))?;
        tensors.push(tensor);
    }
    let start = parser.at.checked_next_multiple_of(alignment);
    tensors.into_iter().map(|tensor| place(tensor, start, file)).collect()
}

/// The entry of a tensor whose data lie behind `start`.
fn place(tensor: Tensor, start: Option<u64>, file: &Arc<ParameterFile>) -> Result<ParameterEntry> {
    let Tensor { key, offset, length } = tensor;
    let begin = start.and_then(|start| start.checked_add(offset));
    match begin.filter(|begin| begin.checked_add(length).is_some_and(|end| end <= file.length())) {
        Some(offset) => {
            Ok(ParameterEntry::new(key, length, ParameterKind::File { file: Arc::clone(file), offset }))
        }
        None => bail!(
            InvalidArgument,
            "parameter `{}`: {length} bytes at {offset} of the data lie outside the file of {} bytes",
            key_text(&key),
            file.length()
        ),
    }
}

struct Parser<'a> {
    reader: HeaderReader<'a>,
    at: u64,
}

impl Parser<'_> {
    fn u32(&mut self, what: &str) -> Result<u32> {
        let value = self.reader.u32(self.at, what)?;
        self.at += 4;
        Ok(value)
    }

    fn u64(&mut self, what: &str) -> Result<u64> {
        let value = self.reader.u64(self.at, what)?;
        self.at += 8;
        Ok(value)
    }

    /// Goes past bytes that must be there.
    fn skip(&mut self, bytes: Option<u64>, what: &str) -> Result<()> {
        let end = bytes.and_then(|bytes| self.at.checked_add(bytes));
        match end.filter(|end| *end <= self.reader.length()) {
            Some(end) => self.at = end,
            None => {
                bail!(OutOfRange, "{what} at {} goes beyond the file of {}", self.at, self.reader.length())
            }
        }
        Ok(())
    }

    /// A name, kept.
    fn name(&mut self) -> Result<Box<[u8]>> {
        let length = self.u64("length of a name")?;
        let start = self.at;
        self.skip(Some(length), "name")?;
        if length > NAME_BYTES_MAX {
            bail!(ResourceExhausted, "name of {length} bytes, at most {NAME_BYTES_MAX} are read");
        }
        Ok(self.reader.bytes(start, length as usize, "name")?.into())
    }

    fn skip_string(&mut self) -> Result<()> {
        let length = self.u64("length of a string")?;
        self.skip(Some(length), "string")
    }

    /// Goes past a key and its value. The alignment, if it says that.
    fn key_value(&mut self) -> Result<Option<u64>> {
        let key = self.name()?;
        let kind = self.u32("type of a value")?;
        if *key == *ALIGNMENT_KEY {
            if kind != VALUE_U32 {
                bail!(InvalidArgument, "general.alignment is of type {kind}, expected {VALUE_U32} (u32)");
            }
            let alignment = self.u32("general.alignment")?;
            if !alignment.is_power_of_two() {
                bail!(InvalidArgument, "general.alignment {alignment} is not a power of two");
            }
            return Ok(Some(u64::from(alignment)));
        }
        match kind {
            VALUE_STRING => self.skip_string(),
            VALUE_ARRAY => self.skip_array(),
            _ => match value_bytes(kind) {
                Some(bytes) => self.skip(Some(bytes), "value"),
                None => bail!(InvalidArgument, "value `{}` is of unknown type {kind}", key_text(&key)),
            },
        }
        .map(|()| None)
    }

    fn skip_array(&mut self) -> Result<()> {
        let kind = self.u32("type of elements")?;
        let count = self.u64("number of elements")?;
        match (kind, value_bytes(kind)) {
            // Each takes eight bytes at least, so the end of the file ends this.
            (VALUE_STRING, _) => (0..count).try_for_each(|_| self.skip_string()),
            (_, Some(bytes)) => self.skip(count.checked_mul(bytes), "array"),
            (VALUE_ARRAY, None) => bail!(InvalidArgument, "arrays of arrays are not part of the format"),
            (_, None) => bail!(InvalidArgument, "array of unknown type {kind}"),
        }
    }

    fn tensor(&mut self) -> Result<Tensor> {
        let key = self.name()?;
        self.tensor_named(key.clone()).while_doing(|| format!("parameter `{}`", key_text(&key)))
    }

    fn tensor_named(&mut self, key: Box<[u8]>) -> Result<Tensor> {
        let rank = self.u32("rank")?;
        let mut elements = Some(1u64);
        let mut is_empty = false;
        for _ in 0..rank {
            let extent = self.u64("extent")?;
            is_empty |= extent == 0;
            elements = elements.and_then(|elements| elements.checked_mul(extent));
        }
        let kind = self.u32("element type")?;
        let offset = self.u64("offset")?;
        let Some((block_elements, block_bytes)) = block(kind) else {
            bail!(Unimplemented, "element type {kind} is not supported");
        };
        // An extent of zero makes the order in which the others overflow irrelevant.
        let elements = if is_empty { Some(0) } else { elements };
        let Some(elements) = elements else {
            bail!(InvalidArgument, "more elements than 64 bits count");
        };
        if !elements.is_multiple_of(block_elements) {
            bail!(InvalidArgument, "{elements} elements of type {kind}, whose blocks have {block_elements}");
        }
        match (elements / block_elements).checked_mul(block_bytes) {
            Some(length) => Ok(Tensor { key, offset, length }),
            None => bail!(
                InvalidArgument,
                "{elements} elements of type {kind} have more bytes than 64 bits count"
            ),
        }
    }
}
