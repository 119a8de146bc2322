//! `weft dump --output=metadata`: what a module is made of, in the layout of the reference's tool
//! (`docs/spec/hal-module.md` §13.6).
//!
//! What does not live here: the code as text (`weft::vm`), JSON (see `json.rs`).

use std::io::{self, Write};

use weft::vm::Archive;
use weft::vm::archive::{Attribute, Features, Function};
use weft::vm::isa::Kind;
use weft::vm::signature::{Argument, Signature};

/// Constants show this many characters.
const QUOTED_BYTES_MAX: usize = 32;

/// What a ref global counts for in the total of a module's state.
const REF_BYTES: u64 = 16;

/// Writes everything; `locations` is the size of the debug database's location table, if there is one.
pub fn write(
    out: &mut dyn Write,
    archive: &Archive,
    bytes: &[u8],
    locations: Option<usize>,
) -> io::Result<()> {
    heading(out, &format!("@{} : version {}", archive.name, archive.version), &[])?;
    if !archive.requirements.is_empty() {
        writeln!(out, "Requirements: {}\n", feature_names(archive.requirements))?;
    }
    attributes(out, &archive.attributes, "  ", "Attributes:\n")?;
    if !archive.types.is_empty() {
        writeln!(out, "Required Types:")?;
        for (index, definition) in archive.types.iter().enumerate() {
            writeln!(out, "  [{index:3}] {}", definition.full_name)?;
        }
        writeln!(out)?;
    }
    dependencies(out, archive)?;
    functions(out, archive)?;
    sections(out, archive, bytes)?;
    bytecode(out, archive)?;
    if let Some(locations) = locations {
        heading(
            out,
            "Debug Information",
            &["NOTE: debug databases are large and should be stripped in deployed artifacts."],
        )?;
        writeln!(out, "Locations: {locations}\n")?;
    }
    Ok(())
}

fn heading(out: &mut dyn Write, title: &str, notes: &[&str]) -> io::Result<()> {
    let rule = format!("//==={}===//", "-".repeat(110));
    writeln!(out, "{rule}\n// {title}\n{rule}")?;
    for note in notes {
        writeln!(out, "// {note}")?;
    }
    writeln!(out)
}

/// Named bits first; what is left as a number.
fn feature_names(features: Features) -> String {
    let mut words = Vec::new();
    for (bit, name) in [(Features::EXT_F32, "EXT_F32"), (Features::EXT_F64, "EXT_F64")] {
        if features.contains(bit) {
            words.push(name.to_owned());
        }
    }
    let rest = features.difference(Features::EXT_F32 | Features::EXT_F64);
    if !rest.is_empty() {
        words.push(format!("{:08X}", rest.bits()));
    }
    words.join(" | ")
}

fn attributes(out: &mut dyn Write, all: &[Attribute], indent: &str, title: &str) -> io::Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    write!(out, "{title}")?;
    for attribute in all {
        writeln!(out, "{indent}{}: {}", attribute.key.as_deref().unwrap_or(""), attribute.value)?;
    }
    if title.is_empty() { Ok(()) } else { writeln!(out) }
}

fn dependencies(out: &mut dyn Write, archive: &Archive) -> io::Result<()> {
    if archive.dependencies.is_empty() {
        return Ok(());
    }
    writeln!(out, "Module Dependencies:")?;
    for dependency in &archive.dependencies {
        let presence = if dependency.optional { "optional" } else { "required" };
        writeln!(out, "  {}, version >= {}, {presence}", dependency.name, dependency.minimum_version)?;
    }
    writeln!(out)
}

fn functions(out: &mut dyn Write, archive: &Archive) -> io::Result<()> {
    if !archive.imports.is_empty() {
        writeln!(out, "Imported Functions:")?;
        for (index, import) in archive.imports.iter().enumerate() {
            let mark = if import.optional { "?" } else { "" };
            let signature = import.signature.as_ref().map_or("() -> ()".into(), signature_text);
            writeln!(out, "  [{index:3}] {mark}{}{signature}", import.full_name)?;
        }
        writeln!(out)?;
    }
    if !archive.exports.is_empty() {
        writeln!(out, "Exported Functions:")?;
        for (index, export) in archive.exports.iter().enumerate() {
            let function = &archive.functions[export.function as usize];
            writeln!(out, "  [{index:3}] {}{}", export.local_name, signature_text(&function.signature))?;
            attributes(out, &function.attributes, "        ", "")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// `(i32, tuple<i64>...) -> (f64)`.
fn signature_text(signature: &Signature) -> String {
    let argument = |argument: &Argument| match argument {
        Argument::Value(kind) => kind_name(*kind).to_owned(),
        Argument::Span(kinds) => {
            format!("tuple<{}>...", kinds.iter().map(|kind| kind_name(*kind)).collect::<Vec<_>>().join(", "))
        }
    };
    let arguments: Vec<String> = signature.arguments().iter().map(argument).collect();
    let results: Vec<&str> = signature.results().iter().map(|kind| kind_name(*kind)).collect();
    format!("({}) -> ({})", arguments.join(", "), results.join(", "))
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::I32 => "i32",
        Kind::I64 => "i64",
        Kind::F32 => "f32",
        Kind::F64 => "f64",
        Kind::Ref => "!vm.ref<?>",
    }
}

fn sections(out: &mut dyn Write, archive: &Archive, bytes: &[u8]) -> io::Result<()> {
    heading(out, "Sections", &[])?;
    let (value_bytes, refs) = (u64::from(archive.global_bytes), u64::from(archive.global_refs));
    if value_bytes + refs > 0 {
        let total = value_bytes + refs * REF_BYTES;
        writeln!(out, "Module State:\n  {value_bytes} bytes, {refs} refs, ~{total} bytes total\n")?;
    }
    writeln!(out, "FlatBuffer: {} bytes", archive.layout.flatbuffer.len())?;
    writeln!(out, "  Bytecode: {} bytes", archive.code.len())?;
    let mut external = 0;
    for (index, segment) in archive.rodata.iter().enumerate() {
        let data = &bytes[segment.range.clone()];
        let length = data.len();
        if segment.embedded {
            write!(out, "  .rodata[{index:3}] embedded {length:8} bytes")?;
        } else {
            external += length;
            let start = segment.range.start - archive.layout.rodata_base;
            let end = start + length;
            write!(
                out,
                "  .rodata[{index:3}] external {length:8} bytes (offset {start} / {start:X}h to {end:X}h)"
            )?;
        }
        match excerpt(data).filter(|_| segment.embedded) {
            Some(text) => writeln!(out, " {text}")?,
            None => writeln!(out)?,
        }
    }
    writeln!(out)?;
    if external > 0 {
        writeln!(out, "External .rodata: ~{external} bytes\n")?;
    }
    Ok(())
}

/// The beginning of a constant up to a NUL, if it is text.
fn excerpt(data: &[u8]) -> Option<String> {
    let head = &data[..data.len().min(QUOTED_BYTES_MAX)];
    let text = head.split(|byte| *byte == 0).next()?;
    if !text.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return None;
    }
    let dots = if text.len() == QUOTED_BYTES_MAX { "..." } else { "" };
    Some(format!("`{}`{dots}", String::from_utf8_lossy(text)))
}

fn bytecode(out: &mut dyn Write, archive: &Archive) -> io::Result<()> {
    // The minor and major version of the bytecode are checked when the module is read; this is the module's own.
    heading(out, &format!("Bytecode : version {}", archive.version), &[])?;
    writeln!(out, "  # | Offset   |   Length | Blocks | i32 # | ref # | Requirements | Aliases")?;
    writeln!(out, "----+----------+----------+--------+-------+-------+--------------+{}", "-".repeat(53))?;
    for (index, function) in archive.functions.iter().enumerate() {
        write_function(out, archive, index, function)?;
    }
    writeln!(out)
}

fn write_function(
    out: &mut dyn Write,
    archive: &Archive,
    index: usize,
    function: &Function,
) -> io::Result<()> {
    let aliases: Vec<&str> = archive
        .exports
        .iter()
        .filter(|export| export.function as usize == index)
        .map(|export| export.local_name.as_str())
        .collect();
    writeln!(
        out,
        "{index:3} | {:08X} | {:8} | {:6} | {:5} | {:5} | {:<12} | {}",
        function.code.start,
        function.code.len(),
        function.block_count,
        function.value_registers,
        function.ref_registers,
        feature_names(function.requirements),
        aliases.join(", ")
    )
}
