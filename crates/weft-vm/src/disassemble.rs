//! Code as text that a person can read and `assemble.rs` can read back (`docs/spec/vm-bytecode.md` §19.2).
//!
//! Lives here: the listing of a whole module, and of single functions. `disassemble/instruction.rs` writes the
//! instructions, `disassemble/number.rs` floats as C's `%g` does.
//!
//! The text equals that of the reference's dump tool byte for byte (apart from its known bugs, D18), so strings
//! are printed raw by default. [`Style::Exact`] escapes them, and spells floats that decimal text cannot hold, for
//! text that is to be assembled again.
//!
//! Total: code that cannot be decoded ends the function's listing with a line that says why. (That parts are not
//! shared without end, which would make listings endless, is checked when the archive is read.)

mod instruction;
mod number;

use std::fmt::{self, Write as _};

use crate::archive::Archive;
use crate::debug_info::{DebugInfo, export_name};
use crate::isa::{BLOCK_MARKER, Cursor, Kind, decode};
use crate::signature::Signature;

/// How strings and floats are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As the reference's dump tool does: strings raw, floats rounded.
    Reference,
    /// So that assembling the text gives the same bytes.
    Exact,
}

/// What a listing contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A `[%08X]` prefix with the pc of each instruction.
    pub pcs: bool,
    /// Spelling.
    pub style: Style,
}

/// The listing of a module: its tables, then every function.
pub fn disassemble_module(archive: &Archive, bytes: &[u8], options: &Options) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_tables(archive, bytes, &mut out);
    for ordinal in 0..archive.functions.len() as u32 {
        out.push('\n');
        disassemble_function(archive, bytes, ordinal, options, &mut out);
    }
    out
}

/// The listing of one function: header, body, closing brace. Writes nothing for an ordinal out of range.
pub fn disassemble_function(
    archive: &Archive,
    bytes: &[u8],
    ordinal: u32,
    options: &Options,
    out: &mut String,
) {
    let Some(function) = archive.functions.get(ordinal as usize) else { return };
    let listing = Listing { archive, debug: DebugInfo::open(archive, bytes), options: *options };
    let name = listing.function_name(ordinal);
    for export in archive.exports.iter().filter(|export| export.function == ordinal) {
        if export.local_name == name {
            line(out, format_args!("vm.export @{name}"));
        } else {
            line(out, format_args!("vm.export @{} = @{name}", export.local_name));
        }
    }
    let (arguments, results) = signature_text(&function.signature);
    line(out, format_args!("vm.func @{name}({arguments}) -> ({results}) {{"));
    let code = bytes.get(archive.code.clone()).and_then(|code| code.get(function.code.clone()));
    listing.body(code.unwrap_or(&[]), out);
    out.push_str("}\n");
}

/// The body of a function as [`disassemble_function`] prints it, from code that lies anywhere.
pub fn disassemble_code(archive: &Archive, bytes: &[u8], code: &[u8], options: &Options) -> String {
    let mut out = String::new();
    Listing { archive, debug: DebugInfo::open(archive, bytes), options: *options }.body(code, &mut out);
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}

/// The tables that precede the functions. Constants may be large, so this writes as it goes.
pub fn write_tables(archive: &Archive, bytes: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    writeln!(out, "vm.module @{} version {}", archive.name, archive.version)?;
    for entry in &archive.types {
        writeln!(out, "vm.type {}", entry.full_name)?;
    }
    for import in &archive.imports {
        let signature = import.signature.as_ref().map_or("", Signature::text);
        let optional = if import.optional { "optional " } else { "" };
        writeln!(out, "vm.import {optional}@{} cconv \"{signature}\"", import.full_name)?;
    }
    for (index, segment) in archive.rodata.iter().enumerate() {
        write!(out, "vm.rodata[{index}] = ")?;
        for byte in bytes.get(segment.range.clone()).unwrap_or(&[]) {
            write!(out, "{byte:02X}")?;
        }
        out.write_char('\n')?;
    }
    Ok(())
}

/// Arguments and results as a function's header shows them.
fn signature_text(signature: &Signature) -> (String, String) {
    let mut arguments = String::new();
    let registers = signature.entry_registers().map(|entry| entry.registers).unwrap_or_default();
    for (kind, ordinal) in registers {
        if !arguments.is_empty() {
            arguments.push_str(", ");
        }
        let _ = match kind {
            Kind::Ref => write!(arguments, "%r{ordinal}: {}", type_text(kind)),
            Kind::I32 | Kind::F32 => write!(arguments, "%i{ordinal}: {}", type_text(kind)),
            Kind::I64 | Kind::F64 => write!(arguments, "%i{ordinal}:{}: {}", ordinal + 1, type_text(kind)),
        };
    }
    let results: Vec<&str> = signature.results().iter().map(|kind| type_text(*kind)).collect();
    (arguments, results.join(", "))
}

fn type_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Ref => "!vm.ref<?>",
        value => value.name(),
    }
}

struct Listing<'a> {
    archive: &'a Archive,
    debug: Option<DebugInfo<'a>>,
    options: Options,
}

impl Listing<'_> {
    /// The name in a function's header: an export's, then that of the debug entry at the ordinal, however wrong,
    /// then the ordinal.
    fn function_name(&self, ordinal: u32) -> String {
        let debug = || self.debug.as_ref().and_then(|debug| debug.raw_function_name(ordinal));
        export_name(self.archive, ordinal).or_else(debug).unwrap_or_else(|| format!("fn{ordinal}"))
    }

    /// How calls name an internal function.
    fn callee_name(&self, ordinal: u32) -> String {
        let debug = self.debug.as_ref().and_then(|debug| debug.raw_function_name(ordinal));
        match debug.or_else(|| export_name(self.archive, ordinal)) {
            Some(name) => format!("{}.{name}", self.archive.name),
            None => format!("{}:{ordinal}", self.archive.name),
        }
    }

    fn body(&self, code: &[u8], out: &mut String) {
        let blocks = block_pcs(code);
        let mut cursor = Cursor::new(code, 0);
        while !cursor.is_at_end() {
            let pc = cursor.pc();
            if self.options.pcs {
                let _ = write!(out, "[{pc:08X}]");
            }
            if code[pc] == BLOCK_MARKER {
                line(out, format_args!("^{}:", block_name(&blocks, pc as u32)));
                // A marker is one byte that is there, so this cannot fail.
                let _ = cursor.u8();
                continue;
            }
            out.push_str("  ");
            match decode(&mut cursor) {
                Ok(instruction) => {
                    self.instruction(&instruction, &blocks, out);
                    out.push('\n');
                }
                Err(error) => {
                    line(out, format_args!("// {error}"));
                    return;
                }
            }
        }
    }
}

/// The pcs of all markers, ascending, as far as the code can be decoded.
fn block_pcs(code: &[u8]) -> Vec<u32> {
    let mut cursor = Cursor::new(code, 0);
    let mut blocks = Vec::new();
    while !cursor.is_at_end() {
        let pc = cursor.pc();
        if code[pc] == BLOCK_MARKER {
            blocks.push(pc as u32);
        }
        if decode(&mut cursor).is_err() {
            break;
        }
    }
    blocks
}

/// `bbN` by ascending pc; a target that is no block, which verified code does not have, shows its pc.
fn block_name(blocks: &[u32], pc: u32) -> String {
    match blocks.binary_search(&pc) {
        Ok(index) => format!("bb{index}"),
        Err(_) => format!("0x{pc:X}"),
    }
}
