//! The checked form of a module archive: everything of a `.vmfb` except what the code does.
//!
//! Lives here: [`Archive`] and its parts, the result of reading. `zip.rs` finds the FlatBuffer in the container,
//! `flatbuffer.rs` reads tables without trusting them, `read.rs` makes an [`Archive`] and applies the rules of
//! `docs/spec/vm-bytecode.md` §5, `write.rs` and `definition.rs` go the other way.
//! Not here: the code (`verify/`), source locations (`debug_info.rs`).
//!
//! Names and strings are owned, so an `Archive` borrows nothing; what may be large (code, rodata) stays in the
//! archive's bytes and is given as ranges, all checked against their length.

mod check;
pub mod container;
pub mod definition;
pub(crate) mod flatbuffer;
mod read;
mod read_debug;
pub mod write;
mod zip;

pub(crate) use zip::begins_like_module;

use std::ops::Range;

use weft_sync::Result;

use definition::ModuleDef;

use crate::signature::Signature;
use crate::type_table::TypeSpelling;

bitflags::bitflags! {
    /// What a module or function needs of the runtime (§4.1, §10.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Features: u32 {
        /// The f32 opcodes.
        const EXT_F32 = 1;
        /// The f64 opcodes.
        const EXT_F64 = 2;
        /// May suspend. A hint.
        const YIELD = 4;
        /// Holds refs when it fails. A hint.
        const UNWIND = 8;
    }
}

impl Features {
    /// What this build can run.
    pub const AVAILABLE: Features = Features::all();
}

/// External rodata starts at a multiple of this, counted from the start of the archive.
pub const RODATA_BASE_ALIGNMENT: usize = 64;

/// One module archive, read and checked (§5), its code not yet verified (§16).
#[derive(Clone, Debug)]
pub struct Archive {
    /// The module's name.
    pub name: String,
    /// The module's version, compared with what dependents ask for.
    pub version: u32,
    /// Union of what the functions need.
    pub requirements: Features,
    /// Major version << 16 | minor version of the bytecode.
    pub bytecode_version: u32,
    /// Reflection attributes of the module.
    pub attributes: Vec<Attribute>,
    /// The type table.
    pub types: Vec<TypeDef>,
    /// Modules that must or may be present.
    pub dependencies: Vec<Dependency>,
    /// Functions of other modules, by import ordinal.
    pub imports: Vec<Import>,
    /// Functions visible by name, by export ordinal.
    pub exports: Vec<Export>,
    /// The functions, by internal ordinal.
    pub functions: Vec<Function>,
    /// The constants, by rodata ordinal.
    pub rodata: Vec<Rodata>,
    /// Bytes of value globals that each context needs.
    pub global_bytes: u32,
    /// Ref globals that each context needs.
    pub global_refs: u32,
    /// All functions' code, as a range of the archive.
    pub code: Range<usize>,
    /// Where the parts of the container lie.
    pub layout: Layout,
    /// Position of the debug database in the FlatBuffer; read by [`crate::debug_info`].
    pub(crate) debug_database: Option<usize>,
}

impl Archive {
    /// Reads and checks everything of an archive but its code: container, FlatBuffer, and the rules of §5 in that
    /// order. Ref types are taken by name; whether they exist is asked when the module is loaded.
    ///
    /// ```
    /// use weft_vm::Archive;
    /// assert!(Archive::parse(b"certainly no module").is_err());
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Archive> {
        let container = zip::locate(bytes)?;
        let tables = read::read_tables(&bytes[container.flatbuffer.clone()])?;
        let mut archive = check::check(tables.module, &container, bytes.len(), Features::AVAILABLE)?;
        archive.debug_database = tables.debug_database;
        Ok(archive)
    }

    /// The tables of an archive as they are written, for listings: checked for structure only, debug data included.
    /// Data is given as ranges of `bytes`.
    pub fn definition(bytes: &[u8]) -> Result<ModuleDef<Range<usize>>> {
        let container = zip::locate(bytes)?;
        let flatbuffer = &bytes[container.flatbuffer.clone()];
        let read::Tables { mut module, debug_database } = read::read_tables(flatbuffer)?;
        let start = container.flatbuffer.start;
        let in_archive = |range: &mut Range<usize>| *range = range.start + start..range.end + start;
        module.rodata.iter_mut().filter_map(|segment| segment.embedded.as_mut()).for_each(in_archive);
        module.bytecode.iter_mut().for_each(in_archive);
        if let Some(position) = debug_database {
            let buffer = flatbuffer::FlatBuffer::new(flatbuffer);
            module.debug = Some(read_debug::read_debug(buffer.table(position, "debug_database")?)?);
        }
        Ok(module)
    }

    /// What a module needs of the runtime, without loading it and without needing the features to be there: only
    /// the structure of the tables is checked.
    pub fn query_requirements(bytes: &[u8]) -> Result<Features> {
        let container = zip::locate(bytes)?;
        let tables = read::read_tables(&bytes[container.flatbuffer])?;
        Ok(Features::from_bits_retain(tables.module.requirements))
    }
}

/// Where the parts of the container lie, in bytes from the start of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the zip local file header in front; 0 in flat archives.
    pub zip_bytes: usize,
    /// The FlatBuffer, without its size prefix.
    pub flatbuffer: Range<usize>,
    /// What external rodata offsets count from.
    pub rodata_base: usize,
    /// The size of the archive as far as the module goes; the zip directory after it does not count.
    pub inferred_bytes: usize,
}

/// A key and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name, if the entry has one.
    pub key: Option<String>,
    /// The text; empty if the entry has none.
    pub value: String,
}

/// An entry of the type table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeDef {
    /// As written.
    pub full_name: String,
    /// What it means.
    pub spelling: TypeSpelling,
}

/// A module that must or may be present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The module's name.
    pub name: String,
    /// Compared when `required`.
    pub minimum_version: u32,
    /// The REQUIRED bit: the version is checked when the module is present.
    pub required: bool,
    /// The OPTIONAL bit: the module may be absent.
    pub optional: bool,
}

/// A function of another module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `module.function`.
    pub full_name: String,
    /// What the call sites were compiled against; `None` if the archive does not say (absent or empty cconv).
    pub signature: Option<Signature>,
    /// The OPTIONAL bit: the function may be absent.
    pub optional: bool,
}

/// A function visible by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The name, without the module's.
    pub local_name: String,
    /// Index into [`Archive::functions`].
    pub function: u32,
}

/// A function of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its code, as a range within [`Archive::code`].
    pub code: Range<usize>,
    /// What it needs.
    pub requirements: Features,
    /// The exact number of blocks, at least 1.
    pub block_count: u16,
    /// Registers of the value bank, at most 0x7FFF.
    pub value_registers: u16,
    /// Registers of the ref bank, at most 0x3FFF.
    pub ref_registers: u16,
    /// What it takes and gives.
    pub signature: Signature,
    /// Reflection attributes; those of an export are those of its function.
    pub attributes: Vec<Attribute>,
}

/// A constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rodata {
    /// Its bytes, as a range of the archive.
    pub range: Range<usize>,
    /// Inside the FlatBuffer, or after it.
    pub embedded: bool,
}
