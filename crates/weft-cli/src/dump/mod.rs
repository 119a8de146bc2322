//! `weft dump`: shows what a compiled module contains.
//!
//! What lives here: choosing what to show, reading the file. The parts have files of their own.

mod json;
mod metadata;

use std::io::{BufWriter, Write};

use weft::sync::{Status, WhileDoing, status};
use weft::vm::disassemble::{self, Options, Style};
use weft::vm::{Archive, ModuleBytes};

use crate::failure::{Failure, Outcome};
use crate::flags::Flags;
use crate::load;
use crate::plain_text::PlainText;
use crate::text_sink::TextSink;

/// Runs the command.
pub fn run(flags: &Flags) -> Outcome {
    let path = match flags.positionals.as_slice() {
        [path] => path,
        [] => return Err(Failure::usage("no module specified; usage: weft dump [--output=...] module.vmfb")),
        more => {
            return Err(Failure::usage(format!(
                "expected one module, found {}: {}",
                more.len(),
                more.join(", ")
            )));
        }
    };
    let bytes = load::read_module(path)?;
    let stdout = std::io::stdout().lock();
    if flags.text("output").starts_with("flatbuffer") {
        // Bytes, or text that escapes as JSON does.
        return show_all(BufWriter::new(stdout), flags, path, &bytes);
    }
    show_all(BufWriter::new(PlainText::new(stdout)), flags, path, &bytes)
}

fn show_all(mut out: impl Write, flags: &Flags, path: &str, bytes: &ModuleBytes) -> Outcome {
    show(&mut out, flags, path, bytes)?;
    out.flush()?;
    Ok(())
}

fn show(out: &mut dyn Write, flags: &Flags, path: &str, bytes: &ModuleBytes) -> Outcome {
    let loading = || format!("loading bytecode module at '{path}'");
    let archive = Archive::parse(bytes).while_doing(loading)?;
    let only = match flags.text("function") {
        "" => None,
        name => Some(find_function(&archive, name)?),
    };
    match flags.text("output") {
        "flatbuffer-binary" => out.write_all(&bytes[archive.layout.flatbuffer.clone()])?,
        "flatbuffer-json" => {
            let definition = Archive::definition(bytes).while_doing(loading)?;
            json::write(out, &definition, bytes, flags.switch("pretty"))?;
        }
        "metadata" => metadata::write(out, &archive, bytes, location_count(bytes))?,
        "disassembly" => disassemble(out, flags, &archive, bytes, only)?,
        _ => {
            metadata::write(out, &archive, bytes, location_count(bytes))?;
            writeln!(out)?;
            disassemble(out, flags, &archive, bytes, only)?;
        }
    }
    Ok(())
}

/// The size of the debug database's location table. Debug data that cannot be read is as good as none.
fn location_count(bytes: &[u8]) -> Option<usize> {
    Some(Archive::definition(bytes).ok()?.debug?.locations.len())
}

/// Writes tables and functions, or `only` one of the functions.
fn disassemble(
    out: &mut dyn Write,
    flags: &Flags,
    archive: &Archive,
    bytes: &[u8],
    only: Option<u32>,
) -> Outcome {
    let options = Options { pcs: flags.switch("bytecode_offsets"), style: Style::Reference };
    let mut sink = TextSink::new(out);
    let written = disassemble::write_tables(archive, bytes, &mut sink);
    sink.finish(written)?;
    for ordinal in 0..archive.functions.len() as u32 {
        if only.is_some_and(|only| only != ordinal) {
            continue;
        }
        let mut text = String::from("\n");
        disassemble::disassemble_function(archive, bytes, ordinal, &options, &mut text);
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// A function by the name of an export or by its ordinal.
fn find_function(archive: &Archive, name: &str) -> Result<u32, Status> {
    if let Some(export) = archive.exports.iter().find(|export| export.local_name == name) {
        return Ok(export.function);
    }
    let ordinal = name.parse::<u32>().ok().filter(|ordinal| (*ordinal as usize) < archive.functions.len());
    ordinal.ok_or_else(|| {
        let count = archive.functions.len();
        status!(NotFound, "no function `{name}` in module `{}`, which has {count} functions", archive.name)
    })
}
