//! `weft params`: looks into files of parameters, and makes archives.
//!
//! What lives here: what the three commands share: the table, copying bytes, writing archives. Each command has a file of
//! its own. What does not: the formats (`weft::parameters`).
//!
//! Tables are those of the reference's tools (`docs/spec/hal-module.md` §11.4), so that they can be compared.

pub mod convert;
pub mod create;
pub mod dump;
mod foreign;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use weft::parameters::{
    ArchiveFormat, ArchiveLayout, ParameterEntry, ParameterFile, ParameterKind, PlacedEntry, SplatPattern,
    Storage, read_archive, write_file,
};
use weft::sync::{Result, WhileDoing, bail};

use crate::failure::{Outcome, file_status};
use crate::plain_text::PlainText;
use crate::progress::Progress;

/// Bytes that are read and written at once.
const PIECE_BYTES: u64 = 4 << 20;

/// The longest pattern that is written out, in bytes: larger than any model, and the work of minutes.
const SPLAT_BYTES_MAX: u64 = 1 << 40;

/// A column more that tables may have: its heading, its width, and a text for each entry.
struct Column<'a> {
    title: &'static str,
    width: usize,
    text: &'a dyn Fn(&ParameterEntry) -> Result<String>,
}

/// Writes the table of one scope.
fn write_table(
    out: &mut dyn Write,
    scope: &str,
    entries: &[Arc<ParameterEntry>],
    extra: Option<&Column<'_>>,
) -> Outcome {
    let mut out = PlainText::new(out);
    let total = entries.iter().fold(0u64, |total, entry| total.saturating_add(entry.length));
    let extra_width = extra.map_or(0, |column| column.width + 3);
    writeln!(out, "//===---------{}---------===//", "-".repeat(92 + extra_width))?;
    let name = if scope.is_empty() { "<global>".to_owned() } else { format!("`{scope}`") };
    writeln!(out, "// Parameter scope {name} ({} entries, {total} total bytes)", entries.len())?;
    let widths = [16, 16, 16].into_iter().chain(extra.map(|column| column.width));
    let rule = |line: char, first: &str| {
        let mut text = String::from(first);
        for (index, width) in widths.clone().enumerate() {
            // The first column shares its place with the start of the line.
            let dashes = if index == 0 { width + 1 - first.len() } else { width + 2 };
            text.push_str(&line.to_string().repeat(dashes));
            text.push('+');
        }
        text
    };
    writeln!(out, "{}{}===//", rule('-', "//==="), "-".repeat(59))?;
    write!(out, "// {:>13} | {:>16} | {:>16} | ", "Start", "End", "Length")?;
    if let Some(column) = extra {
        write!(out, "{:>width$} | ", column.title, width = column.width)?;
    }
    writeln!(out, "Key")?;
    writeln!(out, "{}{}//", rule('-', "//"), "-".repeat(62))?;
    for entry in entries {
        match &entry.kind {
            ParameterKind::Splat(_) => write!(out, "{:>16} | {:>16} | ", "-", "-")?,
            ParameterKind::File { offset, .. } => {
                write!(out, "{offset:>16} | {:>16} | ", offset.saturating_add(entry.length))?;
            }
        }
        write!(out, "{:>16} | ", entry.length)?;
        if let Some(column) = extra {
            write!(out, "{:>width$} | ", (column.text)(entry)?, width = column.width)?;
        }
        out.write_all(b"`")?;
        out.write_all(&entry.key)?;
        out.write_all(b"`\n")?;
    }
    Ok(writeln!(out)?)
}

/// Hands the bytes of a parameter to `take`, a piece at a time. RESOURCE_EXHAUSTED for patterns of absurd length, which
/// a few bytes of an archive can claim.
fn each_piece(entry: &ParameterEntry, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    if matches!(entry.kind, ParameterKind::Splat(_)) && entry.length > SPLAT_BYTES_MAX {
        bail!(
            ResourceExhausted,
            "parameter `{}` is a pattern over {} bytes, at most {SPLAT_BYTES_MAX} are written out",
            entry.name(),
            entry.length
        );
    }
    let mut piece = Vec::new();
    let mut done = 0;
    while done < entry.length {
        let length = (entry.length - done).min(PIECE_BYTES);
        // At most a piece.
        piece.resize(length as usize, 0);
        match &entry.kind {
            ParameterKind::File { file, offset } => {
                file.read_exact_at(offset + done, &mut piece)
                    .while_doing(|| format!("reading parameter `{}`", entry.name()))?;
            }
            ParameterKind::Splat(pattern) => repeat(&mut piece, &pattern.from_offset(done)),
        }
        take(&piece)?;
        done += length;
    }
    Ok(())
}

fn repeat(target: &mut [u8], pattern: &SplatPattern) {
    for (byte, value) in target.iter_mut().zip(pattern.bytes().iter().cycle()) {
        *byte = *value;
    }
}

/// Where the bytes of an entry that is being written come from.
enum Source {
    /// Its room stays zero.
    Nothing,
    /// A parameter of the same length, whose bytes are copied.
    Entry(Arc<ParameterEntry>),
}

/// Writes a file of this format as a whole or not at all.
fn write_output(
    path: &str,
    format: ArchiveFormat,
    entries: &[PlacedEntry],
    sources: &[Source],
    alignment: u64,
) -> Result<()> {
    match format {
        ArchiveFormat::Irpa => write_archive(path, entries, sources, alignment),
        ArchiveFormat::Safetensors => foreign::write_safetensors(path, entries, sources),
        ArchiveFormat::Gguf => foreign::write_gguf(path, entries, sources),
    }
}

fn write_archive(path: &str, entries: &[PlacedEntry], sources: &[Source], alignment: u64) -> Result<()> {
    let layout = ArchiveLayout::new(entries, alignment)?;
    let total = entries
        .iter()
        .zip(sources)
        .filter(|(entry, source)| entry.storage == Storage::Data && matches!(source, Source::Entry(_)))
        .fold(0, |total, (entry, _)| total + entry.length);
    let mut progress = Progress::new("writing", path, Some(total));
    write_file(Path::new(path), |file| {
        let failed = |error: std::io::Error| file_status(&error, "write file", path);
        // Room that nobody writes takes none on the disk, where the file system can do that.
        file.set_len(layout.length()).map_err(failed)?;
        file.write_all(layout.head()).map_err(failed)?;
        for (index, source) in sources.iter().enumerate() {
            let (Some(offset), Source::Entry(entry)) = (layout.data_offset(index), source) else { continue };
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
            each_piece(entry, |piece| {
                file.write_all(piece).map_err(failed)?;
                progress.advance(piece.len() as u64);
                Ok(())
            })?;
        }
        Ok(())
    })
}

/// Shows what was written: read back from the file, so that the table is the file's.
fn show_archive(out: &mut dyn Write, path: &str, format: ArchiveFormat) -> Outcome {
    let entries = read_archive(&ParameterFile::open(path)?, format)?;
    let entries: Vec<Arc<ParameterEntry>> = entries.into_iter().map(Arc::new).collect();
    write_table(out, "", &entries, None)
}

/// The format that the name of the output asks for. Refuses what cannot be written before the work begins. An output that
/// is also an input is fine: the input is open, and the output takes its name when it is whole.
fn check_output(path: &str) -> Result<ArchiveFormat> {
    if path.is_empty() {
        bail!(InvalidArgument, "no output file specified; use --output=file.irpa");
    }
    // Not by opening it, which waits for the other end of a pipe.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        bail!(InvalidArgument, "output '{path}' is not a regular file");
    }
    ArchiveFormat::of_path(path).while_doing(|| "choosing the format of --output=")
}
