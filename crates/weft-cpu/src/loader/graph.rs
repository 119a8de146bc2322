//! Reading the table that a library publishes into owned structures (`docs/spec/executables.md` §1.3-1.8, §1.14, §2.9).
//!
//! What lives here: the walk over the table, the same for every kind of library, and the checks of §1.14. What it may
//! touch is decided by a [`LibraryMemory`]: [`ImageMemory`] knows every readable byte of an embedded image, so a corrupt
//! table is an error; `dylib.rs` and `bundled.rs` read the process and check what can be checked.
//!
//! 1. Pointers of zero-length arrays are not looked at.
//! 2. Everything is read once; nothing refers to the image afterwards but the function addresses.

use std::mem::offset_of;

use weft_hal::{FunctionParameter, ParameterKind};
use weft_sync::{Result, bail, status};

use crate::abi::{
    BINDING_COUNT_MAX, CONSTANT_COUNT_MAX, DispatchAttributes, ExportTable, ImportTable, LIBRARY_VERSIONS,
    LibraryHeader, LibraryTable, Parameter, SourceLocation, StageLocations,
};
use crate::executable::{Export, Location};

/// Exports that fit the 16-bit ordinals of recorded commands.
const EXPORT_COUNT_MAX: u32 = 65535;
const IMPORT_COUNT_MAX: u32 = 4096;
const NAME_BYTES_MAX: usize = 4096;
/// Parameters of all exports together: tables may be shared, so the size of the file does not bound them.
const PARAMETER_COUNT_MAX: usize = 1 << 20;
/// Bytes of all names together, for the same reason.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Memory in which a library lies. Addresses are those of the process.
pub trait LibraryMemory {
    /// Bytes at an address that must be aligned; `FAILED_PRECONDITION` if they are not known to be readable.
    fn bytes(&self, address: u64, size: u64, alignment: u64) -> Result<&[u8]>;

    /// The string at an address without its NUL; `RESOURCE_EXHAUSTED` if it is longer than `bytes_max`.
    fn c_string(&self, address: u64, bytes_max: usize) -> Result<&[u8]>;

    /// Whether a function may lie at this address.
    fn check_function(&self, address: u64) -> Result<()>;
}

/// One readable segment of an image.
#[derive(Clone, Copy, Debug)]
pub struct ImageRange<'a> {
    /// Address of the first byte.
    pub address: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether functions may lie in it.
    pub executable: bool,
}

/// An image all of whose readable bytes are known.
#[derive(Clone, Debug)]
pub struct ImageMemory<'a> {
    ranges: Vec<ImageRange<'a>>,
}

impl<'a> ImageMemory<'a> {
    /// These ranges and nothing else.
    pub fn new(ranges: Vec<ImageRange<'a>>) -> ImageMemory<'a> {
        ImageMemory { ranges }
    }

    /// The range that holds `address`, and the offset in it.
    fn find(&self, address: u64) -> Option<(&ImageRange<'a>, usize)> {
        self.ranges.iter().find_map(|range| {
            let offset = usize::try_from(address.checked_sub(range.address)?).ok()?;
            (offset < range.bytes.len()).then_some((range, offset))
        })
    }
}

impl LibraryMemory for ImageMemory<'_> {
    fn bytes(&self, address: u64, size: u64, alignment: u64) -> Result<&[u8]> {
        if !address.is_multiple_of(alignment) {
            bail!(FailedPrecondition, "library table: address {address:#x} is not aligned to {alignment}");
        }
        let found = self.find(address).and_then(|(range, offset)| {
            range.bytes.get(offset..offset.checked_add(usize::try_from(size).ok()?)?)
        });
        found.ok_or_else(|| {
            status!(
                FailedPrecondition,
                "library table: {size} bytes at {address:#x} are outside of the image"
            )
        })
    }

    fn c_string(&self, address: u64, bytes_max: usize) -> Result<&[u8]> {
        let Some((range, offset)) = self.find(address) else {
            bail!(FailedPrecondition, "library table: a string at {address:#x} is outside of the image");
        };
        let tail = &range.bytes[offset..];
        let window = &tail[..tail.len().min(bytes_max.saturating_add(1))];
        match window.iter().position(|&byte| byte == 0) {
            Some(length) => Ok(&window[..length]),
            None if window.len() > bytes_max => {
                bail!(ResourceExhausted, "library table: a string is longer than {bytes_max} bytes")
            }
            None => bail!(FailedPrecondition, "library table: the string at {address:#x} is not terminated"),
        }
    }

    fn check_function(&self, address: u64) -> Result<()> {
        match self.find(address) {
            Some((range, _)) if range.executable => Ok(()),
            _ => bail!(
                FailedPrecondition,
                "library table: function {address:#x} is not in an executable segment"
            ),
        }
    }
}

/// An import that a library names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportName {
    /// Symbol without the mark.
    pub name: Box<str>,
    /// Whether it may stay unresolved.
    pub optional: bool,
}

/// A library table, owned.
#[derive(Clone, Debug)]
pub struct Library {
    /// Name for diagnostics.
    pub name: Box<str>,
    /// Sanitizer that the code was built with; 0 for none.
    pub sanitizer: u32,
    /// Imports by ordinal.
    pub imports: Vec<ImportName>,
    /// Exports by ordinal.
    pub exports: Vec<Export>,
    /// Addresses of the kernels by ordinal.
    pub functions: Vec<u64>,
    /// Specialization constants that the library says it reads.
    pub constant_count: u32,
}

/// Reads the header alone: name and sanitizer, checked version and features.
pub fn read_header(memory: &impl LibraryMemory, table: u64) -> Result<(Box<str>, u32)> {
    if cfg!(not(all(target_pointer_width = "64", target_endian = "little"))) {
        bail!(Unavailable, "library tables are read on 64-bit little-endian machines only");
    }
    let reader = &mut Reader::new(memory);
    let header = reader.record::<{ size_of::<LibraryTable>() }>(table)?.u64(offset_of!(LibraryTable, header));
    if header == 0 {
        bail!(FailedPrecondition, "library table: no header");
    }
    let header = reader.record::<{ size_of::<LibraryHeader>() }>(header)?;
    let version = header.u32(offset_of!(LibraryHeader, version));
    if !LIBRARY_VERSIONS.contains(&version) {
        bail!(FailedPrecondition, "library version {version} is not one of {LIBRARY_VERSIONS:?}");
    }
    let features = header.u32(offset_of!(LibraryHeader, features));
    if features != 0 {
        bail!(Unavailable, "library needs unknown features {features:#x}");
    }
    let name = match header.u64(offset_of!(LibraryHeader, name)) {
        0 => "".into(),
        name => reader.text(name)?,
    };
    Ok((name, header.u32(offset_of!(LibraryHeader, sanitizer))))
}

/// Reads a whole table. `verify` adds the consistency checks of §1.14; those of memory safety are always made.
pub fn read_library(memory: &impl LibraryMemory, table: u64, verify: bool) -> Result<Library> {
    let (name, sanitizer) = read_header(memory, table)?;
    let reader = &mut Reader::new(memory);
    let table = reader.record::<{ size_of::<LibraryTable>() }>(table)?;
    let imports = read_imports(reader, &table)?;
    let exports_at = ExportsAt::from(&table);
    if exports_at.count > EXPORT_COUNT_MAX {
        bail!(
            FailedPrecondition,
            "library exports {} functions, at most {EXPORT_COUNT_MAX}",
            exports_at.count
        );
    }
    let functions = read_functions(reader, &exports_at)?;
    let mut exports = Vec::with_capacity(functions.len());
    for ordinal in 0..exports_at.count {
        exports.push(read_export(reader, &exports_at, ordinal, verify)?);
    }
    let constant_count = table.u32(offset_of!(LibraryTable, constants));
    Ok(Library { name, sanitizer, imports, exports, functions, constant_count })
}

/// Where the arrays of exports are.
struct ExportsAt {
    count: u32,
    functions: u64,
    attributes: u64,
    parameters: u64,
    names: u64,
    tags: u64,
    parameter_names: u64,
    source_locations: u64,
    stage_locations: u64,
}

impl ExportsAt {
    fn from(table: &Record<{ size_of::<LibraryTable>() }>) -> ExportsAt {
        let base = offset_of!(LibraryTable, exports);
        let at = |offset| table.u64(base + offset);
        ExportsAt {
            count: table.u32(base + offset_of!(ExportTable, count)),
            functions: at(offset_of!(ExportTable, functions)),
            attributes: at(offset_of!(ExportTable, attributes)),
            parameters: at(offset_of!(ExportTable, parameters)),
            names: at(offset_of!(ExportTable, names)),
            tags: at(offset_of!(ExportTable, tags)),
            parameter_names: at(offset_of!(ExportTable, parameter_names)),
            source_locations: at(offset_of!(ExportTable, source_locations)),
            stage_locations: at(offset_of!(ExportTable, stage_locations)),
        }
    }
}

fn read_imports(
    reader: &mut Reader<'_, impl LibraryMemory>,
    table: &Record<{ size_of::<LibraryTable>() }>,
) -> Result<Vec<ImportName>> {
    let base = offset_of!(LibraryTable, imports);
    let count = table.u32(base + offset_of!(ImportTable, count));
    let symbols = table.u64(base + offset_of!(ImportTable, symbols));
    if count > IMPORT_COUNT_MAX {
        bail!(ResourceExhausted, "library imports {count} functions, at most {IMPORT_COUNT_MAX}");
    }
    (0..count)
        .map(|ordinal| {
            let name = reader.pointer(symbols, ordinal)?;
            let name = reader.text(name)?;
            Ok(match name.strip_prefix('?') {
                Some(name) => ImportName { name: name.into(), optional: true },
                None => ImportName { name, optional: false },
            })
        })
        .collect()
}

fn read_functions(reader: &mut Reader<'_, impl LibraryMemory>, exports: &ExportsAt) -> Result<Vec<u64>> {
    if exports.count != 0 && exports.functions == 0 {
        bail!(FailedPrecondition, "library table: no functions for {} exports", exports.count);
    }
    (0..exports.count)
        .map(|ordinal| {
            let address = reader.pointer(exports.functions, ordinal)?;
            if address == 0 {
                bail!(FailedPrecondition, "library table: export {ordinal} has no function");
            }
            reader.memory.check_function(address)?;
            Ok(address)
        })
        .collect()
}

fn read_export(
    reader: &mut Reader<'_, impl LibraryMemory>,
    exports: &ExportsAt,
    ordinal: u32,
    verify: bool,
) -> Result<Export> {
    let name = match exports.names {
        0 => 0,
        names => reader.pointer(names, ordinal)?,
    };
    let name = if name == 0 { "".into() } else { reader.text(name)? };
    if verify && exports.names == 0 {
        bail!(FailedPrecondition, "library table: no names for {} exports", exports.count);
    }
    if verify && name.is_empty() {
        bail!(FailedPrecondition, "library table: export {ordinal} has no name");
    }
    if verify && exports.attributes == 0 {
        bail!(FailedPrecondition, "library table: no attributes for {} exports", exports.count);
    }
    let attributes = match exports.attributes {
        0 => DispatchAttributes::default(),
        attributes => read_attributes(reader, attributes, ordinal)?,
    };
    if verify {
        check_operand_counts(&attributes, ordinal, &name)?;
    }
    let parameters = read_parameters(reader, exports, ordinal, attributes.parameter_count)?;
    let tag = match reader.optional_pointer(exports.tags, ordinal)? {
        0 => None,
        tag => Some(reader.text(tag)?),
    };
    let location = read_location(reader, exports, ordinal)?;
    Ok(Export { name, attributes, parameters, tag, location, bindings: None })
}

fn check_operand_counts(attributes: &DispatchAttributes, ordinal: u32, name: &str) -> Result<()> {
    let (constants, bindings) = (attributes.constant_count, attributes.binding_count);
    if usize::from(constants) > CONSTANT_COUNT_MAX {
        bail!(
            OutOfRange,
            "export {ordinal} `{name}` takes {constants} constants, at most {CONSTANT_COUNT_MAX}"
        );
    }
    if usize::from(bindings) > BINDING_COUNT_MAX {
        bail!(OutOfRange, "export {ordinal} `{name}` takes {bindings} bindings, at most {BINDING_COUNT_MAX}");
    }
    Ok(())
}

fn read_attributes(
    reader: &mut Reader<'_, impl LibraryMemory>,
    table: u64,
    ordinal: u32,
) -> Result<DispatchAttributes> {
    const SIZE: usize = size_of::<DispatchAttributes>();
    let record = reader.record::<SIZE>(element(table, ordinal, SIZE)?)?;
    Ok(DispatchAttributes {
        flags: record.u64(offset_of!(DispatchAttributes, flags)),
        local_memory_pages: record.u16(offset_of!(DispatchAttributes, local_memory_pages)),
        constant_count: record.u8(offset_of!(DispatchAttributes, constant_count)),
        binding_count: record.u8(offset_of!(DispatchAttributes, binding_count)),
        workgroup_size_x: record.u32(offset_of!(DispatchAttributes, workgroup_size_x)),
        workgroup_size_y: record.u32(offset_of!(DispatchAttributes, workgroup_size_y)),
        workgroup_size_z: record.u16(offset_of!(DispatchAttributes, workgroup_size_z)),
        parameter_count: record.u16(offset_of!(DispatchAttributes, parameter_count)),
        reserved: [0; 5],
    })
}

fn read_parameters(
    reader: &mut Reader<'_, impl LibraryMemory>,
    exports: &ExportsAt,
    ordinal: u32,
    count: u16,
) -> Result<Option<Box<[FunctionParameter]>>> {
    const SIZE: usize = size_of::<Parameter>();
    let table = reader.optional_pointer(exports.parameters, ordinal)?;
    if table == 0 {
        return Ok(None);
    }
    reader.take_parameters(usize::from(count))?;
    let mut parameters = Vec::with_capacity(usize::from(count));
    for index in 0..u32::from(count) {
        let address = element(table, index, SIZE)?;
        let record = Record::<SIZE>::read(reader.memory, address, 2)?;
        let kind = match record.u8(offset_of!(Parameter, kind)) {
            1 => ParameterKind::Binding,
            2 => ParameterKind::BufferPointer,
            // Unknown kinds count as constants.
            _ => ParameterKind::Constant,
        };
        let name = match record.u16(offset_of!(Parameter, name)) {
            Parameter::UNNAMED => 0,
            name => reader.optional_pointer(exports.parameter_names, u32::from(name))?,
        };
        let name = if name == 0 { String::new() } else { reader.text(name)?.into() };
        parameters.push(FunctionParameter {
            kind,
            size: record.u8(offset_of!(Parameter, size)),
            flags: record.u16(offset_of!(Parameter, flags)),
            offset: record.u16(offset_of!(Parameter, offset)),
            name,
        });
    }
    Ok(Some(parameters.into()))
}

/// First entry of the export's stage table if there is any, else its source location.
fn read_location(
    reader: &mut Reader<'_, impl LibraryMemory>,
    exports: &ExportsAt,
    ordinal: u32,
) -> Result<Option<Location>> {
    const STAGE_SIZE: usize = size_of::<StageLocations>();
    const SIZE: usize = size_of::<SourceLocation>();
    let mut at = 0;
    if exports.stage_locations != 0 {
        let stages = reader.record::<STAGE_SIZE>(element(exports.stage_locations, ordinal, STAGE_SIZE)?)?;
        if stages.u32(offset_of!(StageLocations, count)) != 0 {
            at = stages.u64(offset_of!(StageLocations, locations));
        }
    }
    if at == 0 && exports.source_locations != 0 {
        at = element(exports.source_locations, ordinal, SIZE)?;
    }
    if at == 0 {
        return Ok(None);
    }
    let location = reader.record::<SIZE>(at)?;
    let line = location.u32(offset_of!(SourceLocation, line));
    let length = location.u32(offset_of!(SourceLocation, path_length));
    let path = match (length, location.u64(offset_of!(SourceLocation, path))) {
        (0, _) | (_, 0) => "".into(),
        (length, path) => reader.sized_text(path, length)?,
    };
    Ok(Some(Location { path, line }))
}

/// Address of element `index` of an array.
fn element(array: u64, index: u32, size: usize) -> Result<u64> {
    array.checked_add(u64::from(index) * size as u64).ok_or_else(|| {
        status!(FailedPrecondition, "library table: array at {array:#x} leaves the address space")
    })
}

/// Reads with a budget for what is copied.
struct Reader<'a, M> {
    memory: &'a M,
    text_bytes_left: usize,
    parameters_left: usize,
}

impl<'a, M: LibraryMemory> Reader<'a, M> {
    fn new(memory: &'a M) -> Reader<'a, M> {
        Reader { memory, text_bytes_left: TEXT_BYTES_MAX, parameters_left: PARAMETER_COUNT_MAX }
    }

    /// A structure with pointer alignment.
    fn record<const N: usize>(&self, address: u64) -> Result<Record<N>> {
        Record::read(self.memory, address, 8)
    }

    /// Element of an array of pointers.
    fn pointer(&self, array: u64, index: u32) -> Result<u64> {
        Ok(self.record::<8>(element(array, index, 8)?)?.u64(0))
    }

    /// Element of an array of pointers that may be missing.
    fn optional_pointer(&self, array: u64, index: u32) -> Result<u64> {
        if array == 0 { Ok(0) } else { self.pointer(array, index) }
    }

    fn text(&mut self, address: u64) -> Result<Box<str>> {
        let bytes = self.memory.c_string(address, NAME_BYTES_MAX)?;
        self.copy_text(bytes)
    }

    fn sized_text(&mut self, address: u64, length: u32) -> Result<Box<str>> {
        if length as usize > NAME_BYTES_MAX {
            bail!(ResourceExhausted, "library table: a path of {length} bytes, at most {NAME_BYTES_MAX}");
        }
        let bytes = self.memory.bytes(address, u64::from(length), 1)?;
        self.copy_text(bytes)
    }

    fn copy_text(&mut self, bytes: &[u8]) -> Result<Box<str>> {
        let Some(left) = self.text_bytes_left.checked_sub(bytes.len()) else {
            bail!(ResourceExhausted, "library table: names exceed {TEXT_BYTES_MAX} bytes");
        };
        self.text_bytes_left = left;
        Ok(String::from_utf8_lossy(bytes).into())
    }

    fn take_parameters(&mut self, count: usize) -> Result<()> {
        let Some(left) = self.parameters_left.checked_sub(count) else {
            bail!(ResourceExhausted, "library table: more than {PARAMETER_COUNT_MAX} parameters");
        };
        self.parameters_left = left;
        Ok(())
    }
}

/// A structure copied out of the image, so that each field is read from the same moment.
struct Record<const N: usize>([u8; N]);

impl<const N: usize> Record<N> {
    fn read(memory: &impl LibraryMemory, address: u64, alignment: u64) -> Result<Record<N>> {
        let bytes = memory.bytes(address, N as u64, alignment)?;
        match bytes.try_into() {
            Ok(bytes) => Ok(Record(bytes)),
            Err(_) => bail!(Internal, "asked for {N} bytes, got {}", bytes.len()),
        }
    }

    fn field<const SIZE: usize>(&self, offset: usize) -> [u8; SIZE] {
        let mut field = [0; SIZE];
        field.copy_from_slice(&self.0[offset..offset + SIZE]);
        field
    }

    fn u8(&self, offset: usize) -> u8 {
        self.0[offset]
    }

    fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.field(offset))
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.field(offset))
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.field(offset))
    }
}
