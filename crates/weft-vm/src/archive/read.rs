//! From the bytes of an archive to [`ModuleDef`]: the schema of `docs/spec/vm-bytecode.md` §4, read field by field.
//!
//! What is checked here is structure (`flatbuffer.rs`), not meaning (`check.rs`). Fields beyond the ids listed and
//! union tags that are not known are skipped, since the schema only ever grows.

use std::ops::Range;

use weft_sync::{Result, bail};

use super::definition::{
    AttributeDef, DependencyDef, ExportDef, FunctionDescriptor, ImportDef, ModuleDef, RodataDef,
    SignatureDef, StateDef,
};
use super::flatbuffer::{FlatBuffer, Table};

/// A module's tables with data given as ranges of the FlatBuffer, and the position of its debug database.
pub(super) struct Tables {
    pub module: ModuleDef<Range<usize>>,
    pub debug_database: Option<usize>,
}

/// Reads the tables of a FlatBuffer.
pub(super) fn read_tables(flatbuffer: &[u8]) -> Result<Tables> {
    let buffer = FlatBuffer::new(flatbuffer);
    let root = buffer.root()?;
    let state = match root.table(11, "module_state")? {
        Some(table) => Some(StateDef {
            global_bytes: table.i32(0, "module_state.global_bytes_capacity")?,
            global_refs: table.i32(1, "module_state.global_ref_count")?,
        }),
        None => None,
    };
    let module = ModuleDef {
        name: root.string(0, "name")?,
        version: root.u32(1, 0, "version")?,
        requirements: root.u32(2, 0, "requirements")?,
        attributes: attributes(&root, 3, "attrs")?,
        types: each(&root, 4, "types", |table| table.string(0, "types.full_name"))?,
        dependencies: each(&root, 5, "dependencies", dependency)?,
        imports: each(&root, 6, "imported_functions", import)?,
        exports: each(&root, 7, "exported_functions", export)?,
        signatures: each(&root, 8, "function_signatures", signature)?,
        rodata: each(&root, 9, "rodata_segments", rodata)?,
        state,
        functions: root
            .chunks(12, FunctionDescriptor::BYTES, "function_descriptors")?
            .map(FunctionDescriptor::decode)
            .collect(),
        bytecode_version: root.u32(13, 0, "bytecode_version")?,
        bytecode: root.scalars(14, 1, "bytecode_data")?,
        debug: None,
    };
    // Debug data never decides whether a module loads, so even a broken offset only makes it unavailable.
    let debug_database = root.table_position(15, "debug_database").unwrap_or(None);
    Ok(Tables { module, debug_database })
}

fn each<'a, T>(
    table: &Table<'a>,
    id: usize,
    what: &'static str,
    read: impl Fn(Table<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    table.offsets(id, what)?.tables().map(|table| read(table?)).collect()
}

fn attributes(table: &Table<'_>, id: usize, what: &'static str) -> Result<Vec<AttributeDef>> {
    each(table, id, what, |table| {
        Ok(AttributeDef { key: table.string(0, "attr.key")?, value: table.string(1, "attr.value")? })
    })
}

fn dependency(table: Table<'_>) -> Result<DependencyDef> {
    Ok(DependencyDef {
        name: table.string(0, "dependencies.name")?,
        minimum_version: table.u32(1, 0, "dependencies.minimum_version")?,
        flags: table.u32(2, 1, "dependencies.flags")?,
    })
}

fn signature(table: Table<'_>) -> Result<SignatureDef> {
    Ok(SignatureDef {
        calling_convention: table.string(0, "signature.calling_convention")?,
        attributes: attributes(&table, 1, "signature.attrs")?,
    })
}

fn import(table: Table<'_>) -> Result<ImportDef> {
    Ok(ImportDef {
        full_name: table.string(0, "imported_functions.full_name")?,
        signature: table.table(1, "imported_functions.signature")?.map(signature).transpose()?,
        flags: table.u32(2, 1, "imported_functions.flags")?,
    })
}

fn export(table: Table<'_>) -> Result<ExportDef> {
    Ok(ExportDef {
        local_name: table.string(0, "exported_functions.local_name")?,
        internal_ordinal: table.i32(1, "exported_functions.internal_ordinal")?,
    })
}

fn rodata(table: Table<'_>) -> Result<RodataDef<Range<usize>>> {
    let compression = table.u8(0, "rodata_segments.compression_type_type")?;
    if (compression != 0) != table.has(1, "rodata_segments.compression_type")? {
        bail!(
            InvalidArgument,
            "FlatBuffer: rodata_segments: compression tag {compression} and value disagree"
        );
    }
    Ok(RodataDef {
        compression,
        embedded: table.scalars(2, 1, "rodata_segments.embedded_data")?,
        external_offset: table.u64(3, "rodata_segments.external_data_offset")?,
        external_length: table.u64(4, "rodata_segments.external_data_length")?,
    })
}
