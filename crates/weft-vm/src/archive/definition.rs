//! [`ModuleDef`]: a module's tables as plain data, one struct a table, nothing checked.
//!
//! The same structs serve both directions: `read.rs` fills them from an archive (with `Data` = a range of it),
//! builders and tests fill them by hand (with `Data` = bytes) for `write.rs`. Field by field they mirror
//! `docs/spec/vm-bytecode.md` §4. What may be in them is decided by `check.rs`.

/// Root table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleDef<Data> {
    /// Module name.
    pub name: Option<String>,
    /// Module version.
    pub version: u32,
    /// Union of the functions' feature bits.
    pub requirements: u32,
    /// Module attributes.
    pub attributes: Vec<AttributeDef>,
    /// Spellings of the type table.
    pub types: Vec<Option<String>>,
    /// Modules that must or may be present.
    pub dependencies: Vec<DependencyDef>,
    /// Functions of other modules.
    pub imports: Vec<ImportDef>,
    /// Functions visible by name.
    pub exports: Vec<ExportDef>,
    /// One for each function descriptor.
    pub signatures: Vec<SignatureDef>,
    /// Constants.
    pub rodata: Vec<RodataDef<Data>>,
    /// Sizes of the per-context state.
    pub state: Option<StateDef>,
    /// Where each function's code is.
    pub functions: Vec<FunctionDescriptor>,
    /// Major << 16 | minor.
    pub bytecode_version: u32,
    /// All functions' code.
    pub bytecode: Option<Data>,
    /// Source locations. Loading leaves them to [`crate::debug_info`]; only listings read all of them.
    pub debug: Option<DebugDef>,
}

/// A key and its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeDef {
    /// Attribute name.
    pub key: Option<String>,
    /// Attribute text.
    pub value: Option<String>,
}

/// A module that must or may be present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencyDef {
    /// Module name.
    pub name: Option<String>,
    /// Lowest acceptable version.
    pub minimum_version: u32,
    /// REQUIRED 1, OPTIONAL 2.
    pub flags: u32,
}

/// What a function takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureDef {
    /// The cconv string.
    pub calling_convention: Option<String>,
    /// Function attributes.
    pub attributes: Vec<AttributeDef>,
}

/// A function of another module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportDef {
    /// `module.function`.
    pub full_name: Option<String>,
    /// Expected signature.
    pub signature: Option<SignatureDef>,
    /// REQUIRED 1, OPTIONAL 2.
    pub flags: u32,
}

/// A function visible by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportDef {
    /// Name without the module's.
    pub local_name: Option<String>,
    /// Index of the function descriptor.
    pub internal_ordinal: i32,
}

/// A constant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RodataDef<Data> {
    /// Union tag of the compression; 0 is none.
    pub compression: u8,
    /// The bytes, when they are inside the FlatBuffer.
    pub embedded: Option<Data>,
    /// Otherwise where they start, from the rodata base.
    pub external_offset: u64,
    /// And how many.
    pub external_length: u64,
}

/// Sizes of the per-context state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateDef {
    /// Bytes of value globals.
    pub global_bytes: i32,
    /// Number of ref globals.
    pub global_refs: i32,
}

/// Where a function's code is and what it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionDescriptor {
    /// Start within the bytecode.
    pub bytecode_offset: i32,
    /// Bytes of code.
    pub bytecode_length: i32,
    /// Feature bits.
    pub requirements: u32,
    /// Number of blocks.
    pub block_count: i16,
    /// Value registers.
    pub value_registers: i16,
    /// Ref registers.
    pub ref_registers: i16,
}

impl FunctionDescriptor {
    /// Bytes of the encoded struct.
    pub const BYTES: usize = 20;

    /// From its encoding; the caller gives exactly [`Self::BYTES`] bytes.
    pub(super) fn decode(bytes: &[u8]) -> FunctionDescriptor {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let half = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
        FunctionDescriptor {
            bytecode_offset: word(0) as i32,
            bytecode_length: word(4) as i32,
            requirements: word(8),
            // Bytes 12..14 are reserved and ignored.
            block_count: half(14),
            value_registers: half(16),
            ref_registers: half(18),
        }
    }

    /// To its encoding.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.bytecode_offset.to_le_bytes());
        out.extend(self.bytecode_length.to_le_bytes());
        out.extend(self.requirements.to_le_bytes());
        out.extend(0i16.to_le_bytes());
        out.extend(self.block_count.to_le_bytes());
        out.extend(self.value_registers.to_le_bytes());
        out.extend(self.ref_registers.to_le_bytes());
    }
}

/// Source locations and which pcs have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugDef {
    /// The location table.
    pub locations: Vec<LocationDef>,
    /// By internal ordinal, if complete.
    pub functions: Vec<SourceMapDef>,
}

/// An entry of the location table. Numbers are indices into the same table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocationDef {
    /// Unknown.
    None,
    /// A call.
    CallSite {
        /// Where in the callee.
        callee: i32,
        /// Where it is called.
        caller: i32,
    },
    /// A place in a file.
    FileLineColumn {
        /// File name.
        file: Option<String>,
        /// Line, from 1.
        line: i32,
        /// Column, from 1.
        column: i32,
    },
    /// Several places.
    Fused {
        /// Text about them.
        metadata: Option<String>,
        /// Which.
        locations: Vec<i32>,
    },
    /// A label.
    Name {
        /// Its text.
        name: Option<String>,
        /// What it labels; `None` leaves the field out.
        child: Option<i32>,
    },
    /// A tag that readers do not know, with an empty table.
    Unknown(u8),
}

/// Locations of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMapDef {
    /// The function's name.
    pub name: Option<String>,
    /// Pairs of pc and location, ascending by pc.
    pub locations: Vec<(i32, i32)>,
}
