//! Parameters as safetensors and GGUF: for tools that read nothing else.
//!
//! Archives know neither element types nor shapes, so every parameter is written as a row of bytes (`U8`, or `I8` in GGUF,
//! which has no unsigned bytes). Patterns become bytes.
//!
//! What lives here: the two layouts. What does not: reading them (`weft::parameters`).

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use weft::parameters::{ParameterEntry, ParameterKind, PlacedEntry, Storage, write_file};
use weft::sync::{Result, WhileDoing, bail};

use super::{Source, each_piece};
use crate::failure::file_status;
use crate::json;
use crate::progress::Progress;

/// GGUF's alignment unless a file says otherwise.
const GGUF_ALIGNMENT: u64 = 32;
const GGUF_TYPE_I8: u32 = 16;

/// The bytes of an entry as a parameter, whatever they come from.
fn parameter(entry: &PlacedEntry, source: &Source) -> Arc<ParameterEntry> {
    match (entry.storage, source) {
        (Storage::Data, Source::Entry(entry)) => Arc::clone(entry),
        (Storage::Splat(pattern), _) => {
            Arc::new(ParameterEntry::new(entry.key.clone(), entry.length, ParameterKind::Splat(pattern)))
        }
        (Storage::Data, Source::Nothing) => Arc::new(ParameterEntry::new(
            entry.key.clone(),
            entry.length,
            ParameterKind::Splat(weft::parameters::SplatPattern::ZERO),
        )),
    }
}

/// A key as these formats have it: text, and not that of an entry before, which is in `seen` then.
fn name_of<'a>(entry: &'a PlacedEntry, format: &str, seen: &mut HashSet<&'a str>) -> Result<&'a str> {
    let Ok(name) = std::str::from_utf8(&entry.key) else {
        let name = String::from_utf8_lossy(&entry.key);
        bail!(InvalidArgument, "{format} cannot have a parameter of the name `{name}`, which is no UTF-8");
    };
    if !seen.insert(name) {
        bail!(InvalidArgument, "{format} cannot have two parameters of the name `{name}`");
    }
    Ok(name)
}

/// Writes safetensors. Keys must be text, and differ.
pub fn write_safetensors(path: &str, entries: &[PlacedEntry], sources: &[Source]) -> Result<()> {
    let mut header = String::from("{");
    let mut end = 0u64;
    let mut seen = HashSet::new();
    for entry in entries {
        let name = name_of(entry, "safetensors", &mut seen)?;
        if name == "__metadata__" {
            bail!(InvalidArgument, "safetensors cannot have a parameter of the name `{name}`");
        }
        let start = end;
        end = start.saturating_add(entry.length);
        let comma = if header.len() > 1 { "," } else { "" };
        header.push_str(comma);
        header.push_str(&json::quoted(name));
        header.push_str(&format!(
            ":{{\"dtype\":\"U8\",\"shape\":[{}],\"data_offsets\":[{start},{end}]}}",
            entry.length
        ));
    }
    header.push('}');
    // Spaces at the end bring the data to a multiple of eight, as the format asks for.
    let padded = header.len().next_multiple_of(8);
    header.extend(std::iter::repeat_n(' ', padded - header.len()));
    let mut head = (padded as u64).to_le_bytes().to_vec();
    head.extend(header.as_bytes());
    write_with_data(path, &head, entries, sources, 1)
}

/// Writes GGUF version 3. Keys must be text, and differ.
pub fn write_gguf(path: &str, entries: &[PlacedEntry], sources: &[Source]) -> Result<()> {
    let mut head = b"GGUF".to_vec();
    head.extend(3u32.to_le_bytes());
    head.extend((entries.len() as u64).to_le_bytes());
    head.extend(0u64.to_le_bytes());
    let mut start = 0u64;
    let mut seen = HashSet::new();
    for entry in entries {
        let name = name_of(entry, "GGUF", &mut seen)?;
        head.extend((name.len() as u64).to_le_bytes());
        head.extend(name.as_bytes());
        head.extend(1u32.to_le_bytes());
        head.extend(entry.length.to_le_bytes());
        head.extend(GGUF_TYPE_I8.to_le_bytes());
        head.extend(start.to_le_bytes());
        let end =
            start.checked_add(entry.length).and_then(|end| end.checked_next_multiple_of(GGUF_ALIGNMENT));
        let Some(end) = end else {
            bail!(OutOfRange, "the file would be longer than files can be");
        };
        start = end;
    }
    head.resize(head.len().next_multiple_of(GGUF_ALIGNMENT as usize), 0);
    write_with_data(path, &head, entries, sources, GGUF_ALIGNMENT)
}

/// The head, then every entry's bytes, each padded to a multiple of `alignment`.
fn write_with_data(
    path: &str,
    head: &[u8],
    entries: &[PlacedEntry],
    sources: &[Source],
    alignment: u64,
) -> Result<()> {
    let total = entries.iter().fold(0u64, |total, entry| total.saturating_add(entry.length));
    let mut progress = Progress::new("writing", path, Some(total));
    write_file(Path::new(path), |file: &mut File| {
        let failed = |error: std::io::Error| file_status(&error, "write file", path);
        let mut out = BufWriter::new(file);
        out.write_all(head).map_err(failed)?;
        for (entry, source) in entries.iter().zip(sources) {
            let parameter = parameter(entry, source);
            each_piece(&parameter, |piece| {
                out.write_all(piece).map_err(failed)?;
                progress.advance(piece.len() as u64);
                Ok(())
            })
            .while_doing(|| format!("writing parameter `{}`", parameter.name()))?;
            let padding = entry.length.next_multiple_of(alignment) - entry.length;
            out.write_all(&vec![0; padding as usize]).map_err(failed)?;
        }
        out.flush().map_err(failed)
    })
}
