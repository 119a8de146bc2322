//! `weft dump --output=flatbuffer-json`: the tables of a module as JSON, by the field names of the schema.
//!
//! Fields that have their default value are left out, as in the archives that compilers write. What does not live
//! here: reading the tables (`weft::vm::Archive::definition`).

use std::io::{self, Write};
use std::ops::Range;

use weft::vm::archive::definition::{
    AttributeDef, DebugDef, FunctionDescriptor, ImportDef, LocationDef, ModuleDef, RodataDef, SignatureDef,
};

use crate::json::quoted;

/// Names of the feature bits.
const FEATURES: &[(u32, &str)] = &[(1, "EXT_F32"), (2, "EXT_F64"), (4, "YIELD"), (8, "UNWIND")];
/// Names of the bits of dependency and import flags. REQUIRED alone is the default.
const PRESENCE: &[(u32, &str)] = &[(1, "REQUIRED"), (2, "OPTIONAL")];

type Module = ModuleDef<Range<usize>>;

/// Writes the tables of the archive `bytes`; `pretty` puts every value on a line of its own.
pub fn write(out: &mut dyn Write, module: &Module, bytes: &[u8], pretty: bool) -> io::Result<()> {
    let mut writer = Writer { out, pretty, depth: 0, is_first: true };
    writer.table(|writer| write_module(writer, module, bytes))?;
    if pretty { writeln!(out) } else { Ok(()) }
}

fn write_module(writer: &mut Writer<'_>, module: &Module, bytes: &[u8]) -> io::Result<()> {
    writer.text("name", module.name.as_deref())?;
    writer.number("version", u64::from(module.version))?;
    writer.bits("requirements", module.requirements, 0, FEATURES)?;
    write_attributes(writer, &module.attributes)?;
    writer.tables("types", &module.types, |writer, name| writer.text("full_name", name.as_deref()))?;
    writer.tables("dependencies", &module.dependencies, |writer, dependency| {
        writer.text("name", dependency.name.as_deref())?;
        writer.number("minimum_version", u64::from(dependency.minimum_version))?;
        writer.bits("flags", dependency.flags, 1, PRESENCE)
    })?;
    writer.tables("imported_functions", &module.imports, write_import)?;
    writer.tables("exported_functions", &module.exports, |writer, export| {
        writer.text("local_name", export.local_name.as_deref())?;
        writer.signed("internal_ordinal", export.internal_ordinal)
    })?;
    writer.tables("function_signatures", &module.signatures, write_signature)?;
    writer
        .tables("rodata_segments", &module.rodata, |writer, segment| write_rodata(writer, segment, bytes))?;
    if let Some(state) = module.state {
        writer.key("module_state")?;
        writer.table(|writer| {
            writer.signed("global_bytes_capacity", state.global_bytes)?;
            writer.signed("global_ref_count", state.global_refs)
        })?;
    }
    writer.structs("function_descriptors", &module.functions, write_descriptor)?;
    writer.number("bytecode_version", u64::from(module.bytecode_version))?;
    if let Some(code) = &module.bytecode {
        writer.scalars("bytecode_data", &bytes[code.clone()], |byte| byte.to_string())?;
    }
    match &module.debug {
        Some(debug) => {
            writer.key("debug_database")?;
            writer.table(|writer| write_debug(writer, debug))
        }
        None => Ok(()),
    }
}

fn write_attributes(writer: &mut Writer<'_>, attributes: &[AttributeDef]) -> io::Result<()> {
    writer.tables("attrs", attributes, |writer, attribute| {
        writer.text("key", attribute.key.as_deref())?;
        writer.text("value", attribute.value.as_deref())
    })
}

fn write_signature(writer: &mut Writer<'_>, signature: &SignatureDef) -> io::Result<()> {
    writer.text("calling_convention", signature.calling_convention.as_deref())?;
    write_attributes(writer, &signature.attributes)
}

fn write_import(writer: &mut Writer<'_>, import: &ImportDef) -> io::Result<()> {
    writer.text("full_name", import.full_name.as_deref())?;
    if let Some(signature) = &import.signature {
        writer.key("signature")?;
        writer.table(|writer| write_signature(writer, signature))?;
    }
    writer.bits("flags", import.flags, 1, PRESENCE)
}

fn write_rodata(writer: &mut Writer<'_>, segment: &RodataDef<Range<usize>>, bytes: &[u8]) -> io::Result<()> {
    if segment.compression != 0 {
        writer.number("compression_type_type", u64::from(segment.compression))?;
    }
    if let Some(data) = &segment.embedded {
        writer.scalars("embedded_data", &bytes[data.clone()], |byte| byte.to_string())?;
    }
    writer.number("external_data_offset", segment.external_offset)?;
    writer.number("external_data_length", segment.external_length)
}

/// Structs have no defaults: all their fields are there.
fn write_descriptor(writer: &mut Writer<'_>, function: &FunctionDescriptor) -> io::Result<()> {
    let requirements = match function.requirements {
        0 => "0".into(),
        bits => bit_names(bits, FEATURES),
    };
    for (name, value) in [
        ("bytecode_offset", function.bytecode_offset.to_string()),
        ("bytecode_length", function.bytecode_length.to_string()),
        ("requirements", requirements),
        ("reserved", "0".into()),
        ("block_count", function.block_count.to_string()),
        ("i32_register_count", function.value_registers.to_string()),
        ("ref_register_count", function.ref_registers.to_string()),
    ] {
        writer.field(name, &value)?;
    }
    Ok(())
}

fn write_debug(writer: &mut Writer<'_>, debug: &DebugDef) -> io::Result<()> {
    writer.scalars("location_table_type", &debug.locations, |location| match location {
        LocationDef::None => quoted("NONE"),
        LocationDef::CallSite { .. } => quoted("CallSiteLocDef"),
        LocationDef::FileLineColumn { .. } => quoted("FileLineColLocDef"),
        LocationDef::Fused { .. } => quoted("FusedLocDef"),
        LocationDef::Name { .. } => quoted("NameLocDef"),
        LocationDef::Unknown(tag) => tag.to_string(),
    })?;
    writer.key("location_table")?;
    writer.open("[")?;
    for location in &debug.locations {
        writer.separate()?;
        match location {
            LocationDef::None => write!(writer.out, "null")?,
            known => writer.table(|writer| write_location(writer, known))?,
        }
        writer.is_first = false;
    }
    writer.close("]")?;
    writer.tables("functions", &debug.functions, |writer, function| {
        writer.text("local_name", function.name.as_deref())?;
        writer.structs("locations", &function.locations, |writer, (offset, location)| {
            writer.field("bytecode_offset", &offset.to_string())?;
            writer.field("location", &location.to_string())
        })
    })
}

fn write_location(writer: &mut Writer<'_>, location: &LocationDef) -> io::Result<()> {
    match location {
        LocationDef::None | LocationDef::Unknown(_) => Ok(()),
        LocationDef::CallSite { callee, caller } => {
            writer.signed("callee", *callee)?;
            writer.signed("caller", *caller)
        }
        LocationDef::FileLineColumn { file, line, column } => {
            writer.text("filename", file.as_deref())?;
            writer.signed("line", *line)?;
            writer.signed("column", *column)
        }
        LocationDef::Fused { metadata, locations } => {
            writer.text("metadata", metadata.as_deref())?;
            writer.scalars("locations", locations, i32::to_string)
        }
        LocationDef::Name { name, child } => {
            writer.text("name", name.as_deref())?;
            child.map_or(Ok(()), |child| writer.signed("child_location", child))
        }
    }
}

/// The names of the bits in quotes; the number when some have no name.
fn bit_names(bits: u32, names: &[(u32, &str)]) -> String {
    let known = names.iter().fold(0, |all, (bit, _)| all | bit);
    if bits & !known != 0 {
        return bits.to_string();
    }
    let set: Vec<&str> = names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    quoted(&set.join(" "))
}

/// Commas, line ends and indentation.
struct Writer<'a> {
    out: &'a mut dyn Write,
    pretty: bool,
    depth: usize,
    /// Nothing stands yet in the innermost bracket.
    is_first: bool,
}

impl Writer<'_> {
    fn line(&mut self) -> io::Result<()> {
        match self.pretty {
            true => write!(self.out, "\n{:1$}", "", 2 * self.depth),
            false => Ok(()),
        }
    }

    fn separate(&mut self) -> io::Result<()> {
        if self.is_first { Ok(()) } else { write!(self.out, ",") }
    }

    fn open(&mut self, bracket: &str) -> io::Result<()> {
        self.depth += 1;
        self.is_first = true;
        write!(self.out, "{bracket}")
    }

    fn close(&mut self, bracket: &str) -> io::Result<()> {
        self.depth -= 1;
        if !self.is_first {
            self.line()?;
        }
        self.is_first = false;
        write!(self.out, "{bracket}")
    }

    fn key(&mut self, name: &str) -> io::Result<()> {
        self.separate()?;
        self.is_first = false;
        self.line()?;
        write!(self.out, "\"{name}\":{}", if self.pretty { " " } else { "" })
    }

    fn field(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.key(name)?;
        write!(self.out, "{value}")
    }

    fn text(&mut self, name: &str, value: Option<&str>) -> io::Result<()> {
        value.map_or(Ok(()), |value| self.field(name, &quoted(value)))
    }

    fn number(&mut self, name: &str, value: u64) -> io::Result<()> {
        if value == 0 { Ok(()) } else { self.field(name, &value.to_string()) }
    }

    fn signed(&mut self, name: &str, value: i32) -> io::Result<()> {
        if value == 0 { Ok(()) } else { self.field(name, &value.to_string()) }
    }

    fn bits(&mut self, name: &str, bits: u32, default: u32, names: &[(u32, &str)]) -> io::Result<()> {
        if bits == default { Ok(()) } else { self.field(name, &bit_names(bits, names)) }
    }

    fn table(&mut self, fields: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.open("{")?;
        fields(self)?;
        self.close("}")
    }

    /// A vector of tables: their braces stand on the line of the bracket or of the brace before.
    fn tables<T>(
        &mut self,
        name: &str,
        all: &[T],
        fields: impl Fn(&mut Self, &T) -> io::Result<()>,
    ) -> io::Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        self.key(name)?;
        self.open("[")?;
        for element in all {
            self.separate()?;
            self.table(|writer| fields(writer, element))?;
        }
        self.close("]")
    }

    /// A vector of structs: each begins on a line of its own.
    fn structs<T>(
        &mut self,
        name: &str,
        all: &[T],
        fields: impl Fn(&mut Self, &T) -> io::Result<()>,
    ) -> io::Result<()> {
        self.key(name)?;
        self.open("[")?;
        for element in all {
            self.separate()?;
            self.line()?;
            self.table(|writer| fields(writer, element))?;
        }
        // An empty vector closes on a line of its own too.
        self.is_first = false;
        self.close("]")
    }

    fn scalars<T>(&mut self, name: &str, all: &[T], text: impl Fn(&T) -> String) -> io::Result<()> {
        self.key(name)?;
        self.open("[")?;
        for element in all {
            self.separate()?;
            self.is_first = false;
            self.line()?;
            write!(self.out, "{}", text(element))?;
        }
        // An empty vector closes on a line of its own too.
        self.is_first = false;
        self.close("]")
    }
}
