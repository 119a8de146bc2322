//! Safetensors: reading (`docs/spec/hal-module.md` §11.2).
//!
//! Element types and shapes are not looked at: programs know them. Keys are found by their text and, where that has
//! escapes, also as they are spelt in the file.
//!
//! What lives here: the reader. What does not: JSON itself (see `json.rs`).

use std::sync::Arc;

use weft_sync::{Result, WhileDoing, bail};

use super::file::ParameterFile;
use super::index::{ParameterEntry, ParameterKind, key_text};
use super::json::{JsonReader, RawString};

/// Bytes in front of the JSON text: its length.
const LENGTH_BYTES: u64 = 8;
/// The largest header that is read. Model files have a few megabytes; more is an accident or an attack.
const HEADER_BYTES_MAX: u64 = 256 << 20;

/// The parameters of a file.
pub(super) fn parse(file: &Arc<ParameterFile>) -> Result<Vec<ParameterEntry>> {
    let mut length = [0; LENGTH_BYTES as usize];
    if file.length() < LENGTH_BYTES {
        bail!(OutOfRange, "{} bytes are too few for the length of a header", file.length());
    }
    file.read_exact_at(0, &mut length)?;
    let header_bytes = u64::from_le_bytes(length);
    if header_bytes > file.length() - LENGTH_BYTES {
        bail!(OutOfRange, "header of {header_bytes} bytes in a file of {}", file.length());
    }
    if header_bytes > HEADER_BYTES_MAX {
        bail!(ResourceExhausted, "header of {header_bytes} bytes, at most {HEADER_BYTES_MAX} are read");
    }
    let mut header = vec![0; header_bytes as usize];
    file.read_exact_at(LENGTH_BYTES, &mut header)?;
    let data = Data { file, start: LENGTH_BYTES + header_bytes };
    let mut reader = JsonReader::new(&header);
    let mut entries = Vec::new();
    reader.object(|reader, key| {
        if key.0 == b"__metadata__" {
            return reader.skip();
        }
        let at = LENGTH_BYTES + reader.position() as u64;
        let entry = data.entry(reader, key);
        entries.push(entry.while_doing(|| format!("parameter `{}` at offset {at}", key_text(key.0)))?);
        Ok(())
    })?;
    reader.end()?;
    Ok(entries)
}

/// What follows the header.
struct Data<'a> {
    file: &'a Arc<ParameterFile>,
    start: u64,
}

impl Data<'_> {
    fn entry(&self, reader: &mut JsonReader<'_>, key: RawString<'_>) -> Result<ParameterEntry> {
        let mut offsets = None;
        reader.object(|reader, field| {
            if field.0 == b"data_offsets" {
                offsets = Some(reader.pair().while_doing(|| "data_offsets")?);
                return Ok(());
            }
            reader.skip()
        })?;
        let Some([begin, end]) = offsets else {
            bail!(NotFound, "the parameter has no `data_offsets`");
        };
        let available = self.file.length() - self.start;
        if begin > end || end > available {
            bail!(InvalidArgument, "data_offsets [{begin}, {end}] of data of {available} bytes");
        }
        let kind = ParameterKind::File { file: Arc::clone(self.file), offset: self.start + begin };
        let (key, spelling) = match key.unescaped() {
            Some(text) => (text.into(), Some(key.0.into())),
            None => (key.0.into(), None),
        };
        Ok(ParameterEntry { key, spelling, metadata: Box::default(), length: end - begin, kind })
    }
}
