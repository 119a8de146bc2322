//! The rules of `docs/spec/vm-bytecode.md` §5, applied to a module's tables: what comes out is an [`Archive`].
//!
//! Rules in the order in which they are tried; the first broken one is reported. Code is not looked at here.

use std::ops::Range;

use weft_sync::{Result, WhileDoing, bail, status};

use super::definition::{
    AttributeDef, DependencyDef, ExportDef, FunctionDescriptor, ImportDef, ModuleDef, RodataDef, SignatureDef,
};
use super::zip::Container;
use super::{Archive, Attribute, Dependency, Export, Features, Function, Import, Layout, Rodata, TypeDef};
use crate::isa::BYTECODE_VERSION;
use crate::signature::Signature;
use crate::type_table::TypeSpelling;

/// Functions that a module may have: their ordinals travel in 16 bits elsewhere.
const FUNCTIONS_MAX: usize = 65_535;
/// Value registers that a function may have.
const VALUE_REGISTERS_MAX: i16 = 0x7FFF;
/// Ref registers that a function may have.
const REF_REGISTERS_MAX: i16 = 0x3FFF;
/// OPTIONAL of dependency and import flags.
const FLAG_OPTIONAL: u32 = 2;
/// REQUIRED of dependency and import flags.
const FLAG_REQUIRED: u32 = 1;

/// Functions may share code and constants bytes, so a small archive could describe endless work for whoever goes
/// through them all: their sizes may add up to this many times the archive's size, or to [`SHARED_BYTES_MIN`].
const SHARED_BYTES_FACTOR: usize = 16;
const SHARED_BYTES_MIN: usize = 16 << 20;

type Data = Range<usize>;

/// Checks the tables of the module that `container` holds in an archive of `archive_bytes` bytes.
pub(super) fn check(
    module: ModuleDef<Data>,
    container: &Container,
    archive_bytes: usize,
    available: Features,
) -> Result<Archive> {
    let requirements = features(module.requirements, available, "the module")?;
    let name = non_empty(module.name, "module", "name")?;
    let checked = Checked { container, archive_bytes, available };
    let types = spelled(module.types)?;
    let rodata = checked.all(module.rodata, "rodata segment", |segment| checked.rodata(segment))?;
    let dependencies = checked.all(module.dependencies, "dependency", dependency)?;
    if module.signatures.len() != module.functions.len() {
        bail!(
            InvalidArgument,
            "module has {} function signatures for {} functions",
            module.signatures.len(),
            module.functions.len()
        );
    }
    let imports = checked.all(module.imports, "import", import)?;
    let exports =
        checked.all(module.exports, "export", |definition| export(definition, module.functions.len()))?;
    check_version(module.bytecode_version)?;
    if module.functions.len() > FUNCTIONS_MAX {
        bail!(InvalidArgument, "module has {} functions, at most {FUNCTIONS_MAX}", module.functions.len());
    }
    let code = checked.in_archive(module.bytecode.unwrap_or(0..0));
    let pairs = module.functions.into_iter().zip(module.signatures).collect();
    let functions = checked.all(pairs, "function", |(descriptor, signature)| {
        checked.function(descriptor, signature, code.len())
    })?;
    checked.sharing(functions.iter().map(|function| &function.code), "code")?;
    checked.sharing(rodata.iter().map(|segment| &segment.range), "constants")?;
    let state = module.state.unwrap_or_default();
    let types = checked.all(types, "type", |full_name| {
        Ok(TypeDef { spelling: TypeSpelling::parse(&full_name)?, full_name })
    })?;
    Ok(Archive {
        name,
        version: module.version,
        requirements,
        bytecode_version: module.bytecode_version,
        attributes: module.attributes.into_iter().map(attribute).collect(),
        types,
        dependencies,
        imports,
        exports,
        functions,
        global_bytes: state_size(state.global_bytes, "bytes of value globals")?,
        global_refs: state_size(state.global_refs, "ref globals")?,
        layout: layout(container, &rodata),
        rodata,
        code,
        debug_database: None,
    })
}

/// Checks a set of feature bits against those available.
fn features(bits: u32, available: Features, who: &str) -> Result<Features> {
    let required = Features::from_bits_retain(bits);
    let missing = required.difference(available);
    if !missing.is_empty() {
        bail!(
            InvalidArgument,
            "{who} needs features that this runtime lacks: missing {}, available {}, required {}",
            feature_text(missing),
            feature_text(available),
            feature_text(required)
        );
    }
    Ok(required)
}

/// Names of the bits, such as `EXT_F32 | YIELD`; unknown ones in hexadecimal.
fn feature_text(features: Features) -> String {
    if features.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = bitflags::parser::to_writer(&features, &mut text);
    text
}

fn non_empty(text: Option<String>, what: &str, field: &str) -> Result<String> {
    match text {
        Some(text) if !text.is_empty() => Ok(text),
        Some(_) => bail!(InvalidArgument, "{what}: {field} is empty"),
        None => bail!(InvalidArgument, "{what}: {field} is missing"),
    }
}

fn spelled(types: Vec<Option<String>>) -> Result<Vec<String>> {
    types
        .into_iter()
        .enumerate()
        .map(|(index, name)| non_empty(name, &format!("type {index}"), "full_name"))
        .collect()
}

fn attribute(definition: AttributeDef) -> Attribute {
    Attribute { key: definition.key, value: definition.value.unwrap_or_default() }
}

fn dependency(definition: DependencyDef) -> Result<Dependency> {
    Ok(Dependency {
        name: non_empty(definition.name, "dependency", "name")?,
        minimum_version: definition.minimum_version,
        required: definition.flags & FLAG_REQUIRED != 0,
        optional: definition.flags & FLAG_OPTIONAL != 0,
    })
}

fn import(definition: ImportDef) -> Result<Import> {
    let full_name = non_empty(definition.full_name, "import", "full_name")?;
    let cconv = definition.signature.and_then(|signature| signature.calling_convention);
    let signature = match cconv.as_deref() {
        None | Some("") => None,
        Some(text) => Some(Signature::parse(text).while_doing(|| format!("reading import `{full_name}`"))?),
    };
    Ok(Import { full_name, signature, optional: definition.flags & FLAG_OPTIONAL != 0 })
}

fn export(definition: ExportDef, functions: usize) -> Result<Export> {
    let local_name = non_empty(definition.local_name, "export", "local_name")?;
    match u32::try_from(definition.internal_ordinal) {
        Ok(function) if (function as usize) < functions => Ok(Export { local_name, function }),
        _ => bail!(
            InvalidArgument,
            "export `{local_name}`: function {} of {functions}",
            definition.internal_ordinal
        ),
    }
}

fn check_version(found: u32) -> Result<()> {
    let (major, minor) = (BYTECODE_VERSION >> 16, BYTECODE_VERSION & 0xFFFF);
    let (found_major, found_minor) = (found >> 16, found & 0xFFFF);
    if found_major != major || found_minor > minor {
        bail!(
            InvalidArgument,
            "bytecode version {found_major}.{found_minor} cannot run here: this runtime knows {major}.0 to {major}.{minor}"
        );
    }
    Ok(())
}

fn state_size(size: i32, what: &str) -> Result<u32> {
    u32::try_from(size).map_err(|_| status!(InvalidArgument, "module state: {size} {what}"))
}

fn layout(container: &Container, rodata: &[Rodata]) -> Layout {
    let external = rodata.iter().filter(|segment| !segment.embedded).map(|segment| segment.range.end);
    Layout {
        zip_bytes: container.zip_bytes,
        flatbuffer: container.flatbuffer.clone(),
        rodata_base: container.rodata_base,
        inferred_bytes: external.max().unwrap_or(container.flatbuffer.end),
    }
}

struct Checked<'a> {
    container: &'a Container,
    archive_bytes: usize,
    available: Features,
}

impl Checked<'_> {
    /// Applies a rule to each element, naming the element in the failure.
    fn all<T, U>(&self, elements: Vec<T>, what: &str, rule: impl Fn(T) -> Result<U>) -> Result<Vec<U>> {
        let rule = |(index, element)| rule(element).while_doing(|| format!("checking {what} {index}"));
        elements.into_iter().enumerate().map(rule).collect()
    }

    /// Bounds the sum of ranges that may overlap.
    fn sharing<'r>(&self, ranges: impl Iterator<Item = &'r Data>, what: &str) -> Result<()> {
        let total = ranges.fold(0_usize, |sum, range| sum.saturating_add(range.len()));
        let allowed = self.archive_bytes.saturating_mul(SHARED_BYTES_FACTOR).max(SHARED_BYTES_MIN);
        if total > allowed {
            bail!(
                ResourceExhausted,
                "{what} of {total} bytes in an archive of {} bytes: bytes may be shared up to {allowed}",
                self.archive_bytes
            );
        }
        Ok(())
    }

    /// A range of the FlatBuffer as a range of the archive.
    fn in_archive(&self, range: Data) -> Data {
        let base = self.container.flatbuffer.start;
        base + range.start..base + range.end
    }

    fn rodata(&self, definition: RodataDef<Data>) -> Result<Rodata> {
        // Tag 1 is an empty table that says "uncompressed".
        if definition.compression > 1 {
            bail!(Unimplemented, "rodata compression {} is not supported", definition.compression);
        }
        if let Some(range) = definition.embedded {
            return Ok(Rodata { range: self.in_archive(range), embedded: true });
        }
        let (offset, length) = (definition.external_offset, definition.external_length);
        let base = self.container.rodata_base;
        let left = self.archive_bytes.checked_sub(base).map(|left| left as u64);
        match left.and_then(|left| left.checked_sub(offset)) {
            Some(left) if length <= left => {
                let start = base + offset as usize;
                Ok(Rodata { range: start..start + length as usize, embedded: false })
            }
            _ => bail!(
                InvalidArgument,
                "external data of {length} bytes at {offset} lies outside the archive, which has {} bytes after its \
                 rodata base",
                left.unwrap_or(0)
            ),
        }
    }

    fn function(
        &self,
        descriptor: FunctionDescriptor,
        signature: SignatureDef,
        code_bytes: usize,
    ) -> Result<Function> {
        let block_count = match u16::try_from(descriptor.block_count) {
            Ok(count) if count > 0 => count,
            _ => bail!(InvalidArgument, "block count is {}, at least 1 is needed", descriptor.block_count),
        };
        let code = code_range(&descriptor, code_bytes)?;
        let value_registers = registers(descriptor.value_registers, VALUE_REGISTERS_MAX, "value")?;
        let ref_registers = registers(descriptor.ref_registers, REF_REGISTERS_MAX, "ref")?;
        let requirements = features(descriptor.requirements, self.available, "the function")?;
        let cconv = Signature::parse(signature.calling_convention.as_deref().unwrap_or(""))?;
        if cconv.is_variadic() {
            bail!(InvalidArgument, "calling convention `{}`: only imports may have spans", cconv.text());
        }
        Ok(Function {
            code,
            requirements,
            block_count,
            value_registers,
            ref_registers,
            signature: cconv,
            attributes: signature.attributes.into_iter().map(attribute).collect(),
        })
    }
}

fn code_range(descriptor: &FunctionDescriptor, code_bytes: usize) -> Result<Data> {
    let (offset, length) = (i64::from(descriptor.bytecode_offset), i64::from(descriptor.bytecode_length));
    let end = offset + length;
    match (usize::try_from(offset), usize::try_from(end)) {
        (Ok(start), Ok(end)) if length >= 1 && end <= code_bytes => Ok(start..end),
        _ => bail!(
            InvalidArgument,
            "code of {length} bytes at {offset} does not lie within the module's {code_bytes} bytes of code"
        ),
    }
}

fn registers(count: i16, max: i16, bank: &str) -> Result<u16> {
    match u16::try_from(count) {
        Ok(unsigned) if count <= max => Ok(unsigned),
        _ => bail!(InvalidArgument, "{count} {bank} registers, expected 0 to {max}"),
    }
}
