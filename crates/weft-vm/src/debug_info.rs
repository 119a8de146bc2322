//! Source locations and function names from a module's debug database (`docs/spec/vm-bytecode.md` §17).
//!
//! The database is read in place when somebody asks: errors are rare, and a large module's locations would
//! otherwise cost more to load than its code. Nothing in it is trusted and no inconsistency is an error: what
//! cannot be read is unknown.
//!
//! The trust rule: the per-function maps are used only if there is one for each function. Compilers have written
//! a single map, at index 0, that belongs to the last function.

use std::fmt::Write as _;
use std::ops::Range;

use crate::archive::Archive;
use crate::archive::flatbuffer::{FlatBuffer, Offsets, Table};
use crate::isa::{BLOCK_MARKER, Cursor, decode};

/// How many locations deep a location may refer to others.
const DEPTH_MAX: usize = 16;
/// How many bytes of text a location may have, since shared children multiply.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// What is printed for a location that is not known.
const UNKNOWN: &str = "[unknown]";

/// The debug database of one archive.
pub struct DebugInfo<'a> {
    buffer: FlatBuffer<'a>,
    position: usize,
    functions: usize,
}

impl<'a> DebugInfo<'a> {
    /// The debug database of an archive whose bytes these are; `None` if it has none.
    pub fn open(archive: &Archive, bytes: &'a [u8]) -> Option<DebugInfo<'a>> {
        let buffer = FlatBuffer::new(bytes.get(archive.layout.flatbuffer.clone())?);
        let position = archive.debug_database?;
        buffer.table(position, "debug_database").ok()?;
        Some(DebugInfo { buffer, position, functions: archive.functions.len() })
    }

    /// The source location of `pc` in a function, as text; `None` if it has none. `code` is the function's code.
    pub fn location(&self, function: u32, code: &[u8], pc: u32) -> Option<String> {
        let index = self.location_index(function, code, pc)?;
        let mut text = String::new();
        Locations::read(self.table()?)?.write(index, 0, &mut text);
        Some(text)
    }

    /// The text of an entry of the location table.
    pub fn location_text(&self, index: i32) -> String {
        let mut text = String::new();
        match self.table().and_then(Locations::read) {
            Some(locations) => locations.write(index, 0, &mut text),
            None => text.push_str(UNKNOWN),
        }
        text
    }

    /// The name that the trustworthy part of the database gives a function.
    pub fn function_name(&self, function: u32) -> Option<String> {
        named(self.trusted_map(function)?)
    }

    /// The name at an index of the function list, whether or not the list can be trusted. Only listings that must
    /// equal other tools' want this.
    pub fn raw_function_name(&self, function: u32) -> Option<String> {
        named(self.maps()?.table(function as usize).ok()??)
    }

    fn location_index(&self, function: u32, code: &[u8], pc: u32) -> Option<i32> {
        let entries: Vec<(u32, i32)> = self
            .trusted_map(function)?
            .chunks(1, 8, "debug locations")
            .ok()?
            .map(|entry| {
                let word = |at: usize| [entry[at], entry[at + 1], entry[at + 2], entry[at + 3]];
                (u32::from_le_bytes(word(0)), i32::from_le_bytes(word(4)))
            })
            .collect();
        let found = entries.partition_point(|(start, _)| *start <= pc).checked_sub(1)?;
        let (start, location) = entries[found];
        (start == pc || start >= block_start(code, pc)?).then_some(location)
    }

    fn table(&self) -> Option<Table<'_>> {
        self.buffer.table(self.position, "debug_database").ok()
    }

    fn maps(&self) -> Option<Offsets<'_>> {
        self.table()?.offsets(2, "debug functions").ok()
    }

    fn trusted_map(&self, function: u32) -> Option<Table<'_>> {
        let maps = self.maps()?;
        if maps.len() != self.functions {
            return None;
        }
        maps.table(function as usize).ok()?
    }
}

fn named(map: Table<'_>) -> Option<String> {
    map.string(0, "debug function name").ok()?.filter(|name| !name.is_empty())
}

/// The name of a function for diagnostics: from the debug database if it can be trusted, else from an export.
pub fn function_name(archive: &Archive, bytes: &[u8], function: u32) -> Option<String> {
    let debug = DebugInfo::open(archive, bytes);
    debug.and_then(|debug| debug.function_name(function)).or_else(|| export_name(archive, function))
}

/// The name of the first export of a function.
pub fn export_name(archive: &Archive, function: u32) -> Option<String> {
    let export = archive.exports.iter().find(|export| export.function == function);
    export.map(|export| export.local_name.clone())
}

/// The pc of the marker of the block that contains `pc`.
fn block_start(code: &[u8], pc: u32) -> Option<u32> {
    let mut cursor = Cursor::new(code, 0);
    let mut block = None;
    while cursor.pc() <= pc as usize && !cursor.is_at_end() {
        if code[cursor.pc()] == BLOCK_MARKER {
            block = Some(cursor.pc() as u32);
        }
        decode(&mut cursor).ok()?;
    }
    block
}

/// The location table.
struct Locations<'a> {
    database: Table<'a>,
    tags: Range<usize>,
    values: Offsets<'a>,
}

impl<'a> Locations<'a> {
    fn read(database: Table<'a>) -> Option<Locations<'a>> {
        let tags = database.scalars(0, 1, "location tags").ok()??;
        let values = database.offsets(1, "locations").ok()?;
        (tags.len() == values.len()).then_some(Locations { database, tags, values })
    }

    /// Writes the text of a location; cycles end at the depth limit, bad indices at once.
    fn write(&self, index: i32, depth: usize, out: &mut String) {
        if depth >= DEPTH_MAX || out.len() > TEXT_BYTES_MAX || self.try_write(index, depth, out).is_none() {
            out.push_str(UNKNOWN);
        }
    }

    /// `None`, with nothing written, if the location cannot be read.
    fn try_write(&self, index: i32, depth: usize, out: &mut String) -> Option<()> {
        let index = usize::try_from(index).ok().filter(|index| *index < self.tags.len())?;
        let tag = self.database.byte(self.tags.start + index)?;
        if tag == 0 {
            return None;
        }
        let table = self.values.table(index).ok()??;
        match tag {
            1 => {
                let (callee, caller) = (table.i32(0, "callee").ok()?, table.i32(1, "caller").ok()?);
                self.write(callee, depth + 1, out);
                out.push_str("\n      at ");
                self.write(caller, depth + 1, out);
            }
            2 => {
                let file = table.string(0, "filename").ok()?.unwrap_or_default();
                let (line, column) = (table.i32(1, "line").ok()?, table.i32(2, "column").ok()?);
                // Writing to a string cannot fail.
                let _ = write!(out, "{file}:{line}:{column}");
            }
            3 => self.write_fused(table, depth, out)?,
            4 => {
                let name = table.string(0, "name").ok()?.unwrap_or_default();
                let child = table.has(1, "child").ok()?.then(|| table.i32(1, "child").ok()).flatten();
                let _ = write!(out, "\"{name}\"");
                if let Some(child) = child {
                    out.push('(');
                    self.write(child, depth + 1, out);
                    out.push(')');
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn write_fused(&self, table: Table<'_>, depth: usize, out: &mut String) -> Option<()> {
        let metadata = table.string(0, "metadata").ok()?;
        let children = table.chunks(1, 4, "fused locations").ok()?;
        if let Some(metadata) = metadata {
            let _ = write!(out, "<{metadata}>");
        }
        out.push_str("[\n");
        for (position, child) in children.enumerate() {
            if position > 0 {
                out.push_str(",\n");
            }
            if out.len() > TEXT_BYTES_MAX {
                break;
            }
            out.push_str("    ");
            self.write(i32::from_le_bytes([child[0], child[1], child[2], child[3]]), depth + 1, out);
        }
        out.push_str("\n  ]");
        Some(())
    }
}
