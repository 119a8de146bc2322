//! [`ModuleBuilder`]: whole archives made by hand, from assembly text, for tests, fuzzing and tools.
//!
//! Nothing is verified: what is built is what was asked for, so wrong modules can be made on purpose. For tables
//! that no builder would write, take [`ModuleBuilder::definition`], change it, and write it with
//! [`crate::archive::write::write_flatbuffer`].

use weft_sync::{Result, WhileDoing, bail, status};

use crate::archive::Features;
use crate::archive::container::{ContainerKind, ExternalArea};
use crate::archive::definition::{
    AttributeDef, DebugDef, DependencyDef, ExportDef, FunctionDescriptor, ImportDef, ModuleDef, RodataDef,
    SignatureDef, StateDef,
};
use crate::archive::write::write_flatbuffer;
use crate::assemble::{AssembledCode, Global, Symbols, assemble};
use crate::isa::{BYTECODE_VERSION, Kind};
use crate::signature::Signature;

/// Functions start at multiples of this within the code.
const FUNCTION_ALIGNMENT: usize = 8;
/// The REQUIRED and OPTIONAL flags of imports and dependencies.
const REQUIRED: u32 = 1;
const OPTIONAL: u32 = 2;

/// Collects the parts of a module.
///
/// ```
/// use weft_vm::{Archive, module_builder::ModuleBuilder, verify::verify};
/// let bytes = ModuleBuilder::new("test")
///     .import("host.log", "0i_v")
///     .function("add", "0ii_i", "
///         %i2 = vm.add.i32 %i0, %i1
///         vm.call @host.log(%i2)
///         vm.return %i2
///     ")
///     .build()
///     .unwrap();
/// let archive = Archive::parse(&bytes).unwrap();
/// verify(&archive, &bytes).unwrap();
/// assert_eq!(archive.exports[0].local_name, "add");
/// ```
#[derive(Clone, Debug)]
pub struct ModuleBuilder {
    module: ModuleDef<Vec<u8>>,
    container: ContainerKind,
    functions: Vec<FunctionText>,
    globals: Vec<Global>,
    global_bytes: u32,
    global_refs: u32,
    external: Vec<ExternalSegment>,
    failure: Option<weft_sync::Status>,
}

#[derive(Clone, Debug)]
struct FunctionText {
    name: Box<str>,
    cconv: String,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Text(String),
    Code(AssembledCode),
}

#[derive(Clone, Debug)]
struct ExternalSegment {
    index: usize,
    name: String,
    align: usize,
    data: Vec<u8>,
}

impl ModuleBuilder {
    /// An empty module, written flat.
    pub fn new(name: &str) -> ModuleBuilder {
        let module = ModuleDef {
            name: Some(name.to_owned()),
            bytecode_version: BYTECODE_VERSION,
            ..ModuleDef::default()
        };
        ModuleBuilder {
            module,
            container: ContainerKind::Flat,
            functions: Vec::new(),
            globals: Vec::new(),
            global_bytes: 0,
            global_refs: 0,
            external: Vec::new(),
            failure: None,
        }
    }

    /// Writes a zip file around the module.
    pub fn polyglot(mut self) -> Self {
        self.container = ContainerKind::Polyglot;
        self
    }

    /// The module's version.
    pub fn version(mut self, version: u32) -> Self {
        self.module.version = version;
        self
    }

    /// A module attribute.
    pub fn attribute(mut self, key: &str, value: &str) -> Self {
        self.module.attributes.push(attribute(key, value));
        self
    }

    /// An entry of the type table. Types that code names are added by themselves; this fixes their order.
    pub fn type_entry(mut self, spelling: &str) -> Self {
        self.module.types.push(Some(spelling.to_owned()));
        self
    }

    /// A module that must be present in at least this version.
    pub fn dependency(mut self, name: &str, minimum_version: u32) -> Self {
        self.module.dependencies.push(DependencyDef {
            name: Some(name.to_owned()),
            minimum_version,
            flags: REQUIRED,
        });
        self
    }

    /// A module that may be absent.
    pub fn optional_dependency(mut self, name: &str, minimum_version: u32) -> Self {
        self.module.dependencies.push(DependencyDef {
            name: Some(name.to_owned()),
            minimum_version,
            flags: OPTIONAL,
        });
        self
    }

    /// A function of another module, `module.function`.
    pub fn import(self, full_name: &str, cconv: &str) -> Self {
        self.add_import(full_name, Some(cconv), REQUIRED)
    }

    /// A function that may be absent.
    pub fn optional_import(self, full_name: &str, cconv: &str) -> Self {
        self.add_import(full_name, Some(cconv), OPTIONAL)
    }

    /// A function whose signature is whatever its provider says.
    pub fn unsigned_import(self, full_name: &str) -> Self {
        self.add_import(full_name, None, REQUIRED)
    }

    fn add_import(mut self, full_name: &str, cconv: Option<&str>, flags: u32) -> Self {
        let signature = cconv
            .map(|cconv| SignatureDef { calling_convention: Some(cconv.to_owned()), attributes: Vec::new() });
        self.module.imports.push(ImportDef { full_name: Some(full_name.to_owned()), signature, flags });
        self
    }

    /// An exported function.
    pub fn function(self, name: &str, cconv: &str, text: &str) -> Self {
        let ordinal = self.functions.len();
        self.internal_function(name, cconv, text).export(name, ordinal)
    }

    /// A function that is not exported; code calls it by `@name` or `@module:ordinal`.
    pub fn internal_function(mut self, name: &str, cconv: &str, text: &str) -> Self {
        self.add_function(name, cconv, Body::Text(text.to_owned()));
        self
    }

    /// An exported function whose code and register counts are given as they are.
    pub fn raw_function(mut self, name: &str, cconv: &str, code: AssembledCode) -> Self {
        let ordinal = self.functions.len();
        self.add_function(name, cconv, Body::Code(code));
        self.export(name, ordinal)
    }

    fn add_function(&mut self, name: &str, cconv: &str, body: Body) {
        if !name.is_empty() && self.functions.iter().any(|function| *function.name == *name) {
            self.fail(format!("function `{name}` is defined twice"));
        }
        self.functions.push(FunctionText { name: name.into(), cconv: cconv.to_owned(), body });
        let signature = SignatureDef { calling_convention: Some(cconv.to_owned()), attributes: Vec::new() };
        self.module.signatures.push(signature);
    }

    /// An attribute of the function defined last.
    pub fn function_attribute(mut self, key: &str, value: &str) -> Self {
        match self.module.signatures.last_mut() {
            Some(signature) => signature.attributes.push(attribute(key, value)),
            None => self.fail(format!("attribute `{key}` before any function")),
        }
        self
    }

    /// Makes a function visible under a name.
    pub fn export(mut self, name: &str, ordinal: usize) -> Self {
        if self.module.exports.iter().any(|export| export.local_name.as_deref() == Some(name)) {
            self.fail(format!("export `{name}` is defined twice"));
        }
        let internal_ordinal = i32::try_from(ordinal).unwrap_or(i32::MAX);
        self.module.exports.push(ExportDef { local_name: Some(name.to_owned()), internal_ordinal });
        self
    }

    /// A constant inside the FlatBuffer.
    pub fn rodata(mut self, data: &[u8]) -> Self {
        self.module.rodata.push(RodataDef { embedded: Some(data.to_vec()), ..RodataDef::default() });
        self
    }

    /// A constant after the FlatBuffer; `name` is the zip member's. Its offset from the rodata base is a multiple
    /// of `align`, a power of two.
    pub fn external_rodata(mut self, name: &str, align: usize, data: &[u8]) -> Self {
        let index = self.module.rodata.len();
        self.external.push(ExternalSegment {
            index,
            name: name.to_owned(),
            align: align.max(1),
            data: data.to_vec(),
        });
        self.module.rodata.push(RodataDef { external_length: data.len() as u64, ..RodataDef::default() });
        self
    }

    /// At least this many bytes of value globals.
    pub fn global_bytes(mut self, bytes: u32) -> Self {
        self.global_bytes = self.global_bytes.max(bytes);
        self
    }

    /// At least this many ref globals.
    pub fn global_refs(mut self, count: u32) -> Self {
        self.global_refs = self.global_refs.max(count);
        self
    }

    /// A global that code can name, `.rwdata[@name]` or `.refs[@name]`; it comes after those there are.
    pub fn global(mut self, name: &str, kind: Kind) -> Self {
        if self.globals.iter().any(|global| global.name == name) {
            self.fail(format!("global `{name}` is defined twice"));
        }
        let size = 4 * kind.registers();
        let position =
            if kind.is_ref() { self.global_refs } else { self.global_bytes.next_multiple_of(size) };
        match kind {
            Kind::Ref => self.global_refs = position + 1,
            _ => self.global_bytes = position + size,
        }
        self.globals.push(Global { name: name.to_owned(), kind, position });
        self
    }

    /// Source locations.
    pub fn debug(mut self, debug: DebugDef) -> Self {
        self.module.debug = Some(debug);
        self
    }

    fn fail(&mut self, message: String) {
        self.failure.get_or_insert(status!(AlreadyExists, "{message}"));
    }

    /// The archive.
    pub fn build(self) -> Result<Vec<u8>> {
        let mut area = ExternalArea::new(self.container);
        let mut offsets = Vec::new();
        for segment in &self.external {
            if !segment.align.is_power_of_two() {
                bail!(InvalidArgument, "constant `{}`: alignment {}", segment.name, segment.align);
            }
            offsets.push((segment.index, area.add(&segment.name, segment.align, &segment.data)));
        }
        let mut module = self.definition()?;
        for (index, offset) in offsets {
            module.rodata[index].external_offset = offset;
        }
        Ok(area.wrap(&write_flatbuffer(&module)))
    }

    /// The module's tables with all functions assembled. External constants have no offset yet.
    pub fn definition(&self) -> Result<ModuleDef<Vec<u8>>> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut module = self.module.clone();
        let mut types: Vec<String> = module.types.iter().flatten().cloned().collect();
        let mut code = Vec::new();
        for (function, assembled) in self.functions.iter().zip(self.assemble(&mut types)?) {
            code.resize(usize::next_multiple_of(code.len(), FUNCTION_ALIGNMENT), 0);
            let descriptor = descriptor(function, &assembled, code.len())
                .while_doing(|| format!("building function `{}`", function.name))?;
            code.extend(&assembled.bytes);
            module.requirements |= descriptor.requirements;
            module.functions.push(descriptor);
        }
        module.types = types.into_iter().map(Some).collect();
        module.bytecode = Some(code);
        if self.global_bytes > 0 || self.global_refs > 0 {
            let size = |size| i32::try_from(size).map_err(|_| status!(OutOfRange, "{size} globals"));
            module.state = Some(StateDef {
                global_bytes: size(self.global_bytes)?,
                global_refs: size(self.global_refs)?,
            });
        }
        Ok(module)
    }

    fn assemble(&self, types: &mut Vec<String>) -> Result<Vec<AssembledCode>> {
        let imports: Vec<Box<str>> = self
            .module
            .imports
            .iter()
            .map(|import| import.full_name.as_deref().unwrap_or("").into())
            .collect();
        let names: Vec<Box<str>> = self.functions.iter().map(|function| function.name.clone()).collect();
        let mut symbols = Symbols {
            module: self.module.name.as_deref().unwrap_or(""),
            imports: &imports,
            functions: &names,
            globals: &self.globals,
            types,
        };
        let mut assembled = Vec::new();
        for function in &self.functions {
            assembled.push(match &function.body {
                Body::Code(code) => code.clone(),
                Body::Text(text) => assemble(text, &mut symbols)
                    .while_doing(|| format!("assembling function `{}`", function.name))?,
            });
        }
        Ok(assembled)
    }
}

fn attribute(key: &str, value: &str) -> AttributeDef {
    AttributeDef { key: Some(key.to_owned()), value: Some(value.to_owned()) }
}

/// Register counts cover the arguments as well as what the code uses. A cconv that is wrong counts for nothing.
fn descriptor(function: &FunctionText, code: &AssembledCode, offset: usize) -> Result<FunctionDescriptor> {
    let entry = Signature::parse(&function.cconv).ok().and_then(|signature| signature.entry_registers());
    let (values, refs) = entry.map_or((0, 0), |entry| (entry.value_count as usize, entry.ref_count as usize));
    let is_raw = matches!(function.body, Body::Code(_));
    let count = |used: usize, arguments: usize, what: &str| {
        let count = if is_raw { used } else { used.max(arguments) };
        i16::try_from(count).map_err(|_| status!(OutOfRange, "{count} {what}"))
    };
    let position =
        |value: usize| i32::try_from(value).map_err(|_| status!(OutOfRange, "{value} bytes of code"));
    let ref_registers = count(code.ref_registers, refs, "ref registers")?;
    let unwinds = if ref_registers > 0 { Features::UNWIND } else { Features::empty() };
    Ok(FunctionDescriptor {
        bytecode_offset: position(offset)?,
        bytecode_length: position(code.bytes.len())?,
        requirements: code.requirements | unwinds.bits(),
        block_count: count(code.block_count, 0, "blocks")?,
        value_registers: count(code.value_registers, values, "value registers")?,
        ref_registers,
    })
}
