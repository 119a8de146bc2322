//! Modules: immutable images of functions, shared between contexts.
//!
//! Lives here: [`BytecodeModule`] (a checked archive with verified code, ready to run) and [`Module`], which is
//! either that or a [`NativeModule`]. Not here: per-context state (`state.rs`), linking (`link.rs`), names and
//! attributes for people (`reflection.rs`).

use std::fmt;
use std::sync::Arc;

use weft_sync::{Result, bail};

use crate::archive::{self, Archive};
use crate::buffer::{Buffer, BufferOrigin};
use crate::effects::StoreAnalysis;
use crate::isa::Kind;
use crate::module_bytes::ModuleBytes;
use crate::native::NativeModule;
use crate::quicken::RunningCode;
use crate::reference::Ref;
use crate::signature::Signature;
use crate::stack::FrameSize;
use crate::types::{Instance, TypeSpec};
use crate::verify::{VerifiedCode, verify};

/// A function as the interpreter enters and leaves it.
#[derive(Debug)]
pub(crate) struct FunctionImage {
    /// Where its code starts within the module's.
    pub code: u32,
    pub code_length: usize,
    pub size: FrameSize,
    /// Kind and register of each argument.
    pub arguments: Box<[(Kind, u16)]>,
    /// Kind of each result.
    pub results: Box<[Kind]>,
    pub returns_refs: bool,
}

/// A module of bytecode: archive checked, code verified, types resolved.
///
/// Rodata is not copied: the constants are buffers over the archive's bytes, and each of them keeps the bytes alive
/// by itself, so a constant may outlive the module.
pub struct BytecodeModule {
    archive: Archive,
    bytes: ModuleBytes,
    code: VerifiedCode,
    /// What runs: a copy of the verified code, made easy to run.
    running: RunningCode,
    types: Box<[TypeSpec]>,
    functions: Box<[FunctionImage]>,
    /// One buffer a segment, so that the identity of a constant is stable.
    rodata: Box<[Ref]>,
    stores: StoreAnalysis,
    runnable: bool,
}

impl BytecodeModule {
    /// Checks everything and makes the module ready to run. Nothing executes yet. On failure nothing is kept.
    pub fn load(instance: &Instance, bytes: ModuleBytes) -> Result<Arc<BytecodeModule>> {
        BytecodeModule::load_as(instance, bytes, true)
    }

    /// As [`load`](BytecodeModule::load), but reference types that nobody registered become placeholders: for
    /// tools that look at modules. Such a module cannot be registered in a context.
    pub fn load_for_inspection(instance: &Instance, bytes: ModuleBytes) -> Result<Arc<BytecodeModule>> {
        BytecodeModule::load_as(instance, bytes, false)
    }

    fn load_as(instance: &Instance, bytes: ModuleBytes, runnable: bool) -> Result<Arc<BytecodeModule>> {
        let archive = Archive::parse(&bytes)?;
        let resolve = |definition: &archive::TypeDef| match instance.resolve(&definition.full_name) {
            Err(_) if !runnable => Ok(TypeSpec::Placeholder(definition.full_name.as_str().into())),
            resolved => resolved.map_err(|status| status.while_doing(format!("loading `{}`", archive.name))),
        };
        let types = archive.types.iter().map(resolve).collect::<Result<_>>()?;
        let code = verify(&archive, &bytes)?;
        let running = RunningCode::new(&code)?;
        let functions = archive.functions.iter().enumerate();
        let functions =
            functions.map(|(ordinal, function)| image(function, running.start(ordinal))).collect();
        let shared: Arc<ModuleBytes> = Arc::new(bytes.clone());
        let constant = |rodata: &archive::Rodata| {
            let buffer = Buffer::shared(shared.clone(), rodata.range.clone(), BufferOrigin::Module)?;
            Ok(Ref::new(Arc::new(buffer)))
        };
        let rodata = archive.rodata.iter().map(constant).collect::<Result<_>>()?;
        let stores = StoreAnalysis::new(code.functions());
        Ok(Arc::new(BytecodeModule {
            archive,
            bytes,
            code,
            running,
            types,
            functions,
            rodata,
            stores,
            runnable,
        }))
    }

    /// The tables of the archive.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The bytes of the archive.
    pub fn bytes(&self) -> &ModuleBytes {
        &self.bytes
    }

    /// The verified code.
    pub fn code(&self) -> &VerifiedCode {
        &self.code
    }

    /// What the entries of the type table mean.
    pub fn types(&self) -> &[TypeSpec] {
        &self.types
    }

    /// Whether the module may run: not if it was loaded for inspection with unknown types.
    pub fn is_runnable(&self) -> bool {
        self.runnable || !self.types.iter().any(|spec| matches!(spec, TypeSpec::Placeholder(_)))
    }

    /// The code to run.
    #[inline]
    pub(crate) fn running(&self) -> &RunningCode {
        &self.running
    }

    #[inline]
    pub(crate) fn function(&self, ordinal: u32) -> &FunctionImage {
        &self.functions[ordinal as usize]
    }

    #[inline]
    pub(crate) fn rodata(&self, ordinal: u32) -> &Ref {
        &self.rodata[ordinal as usize]
    }

    pub(crate) fn stores(&self) -> &StoreAnalysis {
        &self.stores
    }

    /// Error unless the module may run.
    pub(crate) fn check_runnable(&self) -> Result<()> {
        if self.is_runnable() {
            return Ok(());
        }
        bail!(
            FailedPrecondition,
            "module `{}` was loaded for inspection with unknown types",
            self.archive.name
        )
    }
}

fn image(function: &archive::Function, code: u32) -> FunctionImage {
    let entry = function.signature.entry_registers();
    let entry = entry.map(|entry| entry.registers).unwrap_or_default();
    let results = function.signature.results();
    FunctionImage {
        code,
        code_length: function.code.len(),
        size: FrameSize { values: function.value_registers, refs: function.ref_registers },
        arguments: entry.into_iter().map(|(kind, register)| (kind, register as u16)).collect(),
        results: results.into(),
        returns_refs: results.iter().any(|kind| kind.is_ref()),
    }
}

impl fmt::Debug for BytecodeModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let archive = &self.archive;
        write!(
            f,
            "BytecodeModule({} {}, {} functions)",
            archive.name,
            archive.version,
            archive.functions.len()
        )
    }
}

/// A module of either kind. Cheap to clone; the same module may be registered in many contexts.
#[derive(Clone, Debug)]
pub enum Module {
    /// Compiled.
    Bytecode(Arc<BytecodeModule>),
    /// Rust functions.
    Native(Arc<NativeModule>),
}

impl Module {
    /// The name that imports and dependencies go by.
    pub fn name(&self) -> &str {
        match self {
            Module::Bytecode(module) => &module.archive.name,
            Module::Native(module) => module.name(),
        }
    }

    /// The version that dependents compare their minimum with.
    pub fn version(&self) -> u32 {
        match self {
            Module::Bytecode(module) => module.archive.version,
            Module::Native(module) => module.version(),
        }
    }

    /// How many functions are visible by name.
    pub fn export_count(&self) -> usize {
        match self {
            Module::Bytecode(module) => module.archive.exports.len(),
            Module::Native(module) => module.export_count(),
        }
    }

    /// The name of export `ordinal`.
    pub fn export_name(&self, ordinal: usize) -> Option<&str> {
        match self {
            Module::Bytecode(module) => module.archive.exports.get(ordinal).map(|export| &*export.local_name),
            Module::Native(module) => module.export_name(ordinal),
        }
    }

    /// The ordinal of the first export with this name.
    pub fn find_export(&self, name: &str) -> Option<usize> {
        match self {
            Module::Bytecode(module) => {
                module.archive.exports.iter().position(|export| export.local_name == name)
            }
            Module::Native(module) => module.find_export(name),
        }
    }

    /// The calling convention of export `ordinal`.
    pub fn export_signature(&self, ordinal: usize) -> Option<&Signature> {
        match self {
            Module::Bytecode(module) => {
                let export = module.archive.exports.get(ordinal)?;
                Some(&module.archive.functions[export.function as usize].signature)
            }
            Module::Native(module) => {
                (ordinal < module.export_count()).then(|| &module.export(ordinal).signature)
            }
        }
    }

    /// Whether both are the same module, not merely of the same name.
    pub fn same(&self, other: &Module) -> bool {
        match (self, other) {
            (Module::Bytecode(left), Module::Bytecode(right)) => Arc::ptr_eq(left, right),
            (Module::Native(left), Module::Native(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }
}

impl From<Arc<BytecodeModule>> for Module {
    fn from(module: Arc<BytecodeModule>) -> Module {
        Module::Bytecode(module)
    }
}

impl From<Arc<NativeModule>> for Module {
    fn from(module: Arc<NativeModule>) -> Module {
        Module::Native(module)
    }
}
