//! From a debug database to [`DebugDef`]: all of it at once, for listings. Diagnostics read single locations in place
//! instead (`debug_info.rs`).
//!
//! Unlike there, an inconsistency is an error here: a listing that leaves something out would be wrong.

use weft_sync::{Result, bail};

use super::definition::{DebugDef, LocationDef, SourceMapDef};
use super::flatbuffer::Table;

/// Reads the database whose table this is.
pub(super) fn read_debug(database: Table<'_>) -> Result<DebugDef> {
    let tags = database.scalars(0, 1, "debug location tags")?.unwrap_or(0..0);
    let values = database.offsets(1, "debug locations")?;
    if tags.len() != values.len() {
        bail!(
            InvalidArgument,
            "debug database has {} location tags for {} locations",
            tags.len(),
            values.len()
        );
    }
    let location = |index: usize| match database.byte(tags.start + index) {
        None | Some(0) => Ok(LocationDef::None),
        Some(tag) => match values.table(index)? {
            Some(table) => location(tag, &table),
            None => Ok(LocationDef::None),
        },
    };
    let map = |table: Result<Table<'_>>| {
        let table = table?;
        Ok(SourceMapDef {
            name: table.string(0, "debug function name")?,
            locations: table.chunks(1, 8, "debug function locations")?.map(pair).collect(),
        })
    };
    Ok(DebugDef {
        locations: (0..values.len()).map(location).collect::<Result<_>>()?,
        functions: database.offsets(2, "debug functions")?.tables().map(map).collect::<Result<_>>()?,
    })
}

fn location(tag: u8, table: &Table<'_>) -> Result<LocationDef> {
    Ok(match tag {
        1 => LocationDef::CallSite {
            callee: table.i32(0, "debug location callee")?,
            caller: table.i32(1, "debug location caller")?,
        },
        2 => LocationDef::FileLineColumn {
            file: table.string(0, "debug location filename")?,
            line: table.i32(1, "debug location line")?,
            column: table.i32(2, "debug location column")?,
        },
        3 => LocationDef::Fused {
            metadata: table.string(0, "debug location metadata")?,
            locations: table.chunks(1, 4, "debug fused locations")?.map(|bytes| word(bytes, 0)).collect(),
        },
        4 => LocationDef::Name {
            name: table.string(0, "debug location name")?,
            child: match table.has(1, "debug location child")? {
                true => Some(table.i32(1, "debug location child")?),
                false => None,
            },
        },
        unknown => LocationDef::Unknown(unknown),
    })
}

/// A `BytecodeLocationDef`: pc and location.
fn pair(bytes: &[u8]) -> (i32, i32) {
    (word(bytes, 0), word(bytes, 4))
}

fn word(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;
    use crate::archive::definition::{FunctionDescriptor, ModuleDef, RodataDef, SignatureDef};
    use crate::archive::write::write_flatbuffer;

    /// Every kind of location survives writing and reading, and data ranges point at the data.
    #[test]
    fn a_definition_is_read_back_as_written() {
        let debug = DebugDef {
            locations: vec![
                LocationDef::None,
                LocationDef::CallSite { callee: 2, caller: 3 },
                LocationDef::FileLineColumn { file: Some("a.mlir".into()), line: 7, column: 9 },
                LocationDef::Fused { metadata: Some("why".into()), locations: vec![1, 2] },
                LocationDef::Name { name: Some("label".into()), child: Some(2) },
                LocationDef::Name { name: None, child: None },
            ],
            functions: vec![SourceMapDef { name: Some("f".into()), locations: vec![(0, 1), (5, -1)] }],
        };
        let module = ModuleDef {
            name: Some("m".into()),
            signatures: vec![SignatureDef::default()],
            functions: vec![FunctionDescriptor { bytecode_length: 3, block_count: 1, ..Default::default() }],
            rodata: vec![RodataDef { embedded: Some(b"constant".to_vec()), ..Default::default() }],
            bytecode: Some(vec![1, 2, 3]),
            debug: Some(debug.clone()),
            ..ModuleDef::default()
        };
        let bytes = write_flatbuffer(&module);
        let read = Archive::definition(&bytes).unwrap();
        assert_eq!(read.debug, Some(debug));
        assert_eq!(bytes[read.rodata[0].embedded.clone().unwrap()], *b"constant");
        assert_eq!(bytes[read.bytecode.unwrap()], [1, 2, 3]);
        assert_eq!(read.functions, module.functions);
    }
}
