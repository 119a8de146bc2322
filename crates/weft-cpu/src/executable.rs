//! A loaded executable: entry points to call, and tables to ask.
//!
//! What lives here: [`CpuExecutable`], owned copies of everything that a library published (read once, validated by the
//! loader), and the environment that its kernels see. What does not: how it got into memory (`loader/`) and how a grid
//! is run (`dispatch.rs`).
//!
//! Whoever bakes an [`EntryPoint`] somewhere keeps the executable beside it until the last call has returned:
//! the machine code is unmapped with the last reference.
#![allow(
    unsafe_code,
    reason = "the environment is self-referential and is handed to machine code by address"
)]

use std::any::Any;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use weft_hal::{BindingInfo, ExecutableBackend, FunctionFlags, FunctionInfo, FunctionParameter};
use weft_sync::{Result, Status, bail, status};

use crate::abi::{DispatchAttributes, Environment, ImportFunction, KernelFunction, PROCESSOR_WORD_COUNT};
use crate::dispatch::KernelFailure;
use crate::imports::{IMPORT_THUNK, Resolution};
use crate::native::Failure;

/// One export, ready to be called.
#[derive(Clone, Copy, Debug)]
pub struct EntryPoint {
    /// The machine code.
    pub function: KernelFunction,
    /// First argument of every call.
    pub environment: *const Environment,
    /// What a dispatch has to provide.
    pub attributes: DispatchAttributes,
}

// SAFETY: the environment is immutable once the executable is built and what it points at is shared by concurrent
// kernels by contract (`CpuExecutable` rules below); an entry point only carries its address.
unsafe impl Send for EntryPoint {}
// SAFETY: as for `Send`.
unsafe impl Sync for EntryPoint {}

/// Where an export comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Path of the source file.
    pub path: Box<str>,
    /// Line in it.
    pub line: u32,
}

/// What is known about one export.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// Name; empty only if verification was disabled.
    pub name: Box<str>,
    /// What a dispatch has to provide.
    pub attributes: DispatchAttributes,
    /// Parameters, if the library describes them.
    pub parameters: Option<Box<[FunctionParameter]>>,
    /// Text for traces.
    pub tag: Option<Box<str>>,
    /// Source location, if the library carries debug tables.
    pub location: Option<Location>,
    /// Demands of a Rust kernel on its bindings; compiled kernels state none.
    pub bindings: Option<Box<[BindingInfo]>>,
}

/// A loaded library of kernels.
///
/// * `entries`, `exports` – by ordinal, immutable.
/// * `environment`        – read by kernels on any thread; immutable from here on.
/// * `code`               – keeps machine code (or Rust state) alive; dropped last.
pub struct CpuExecutable {
    library: Box<str>,
    entries: Box<[EntryPoint]>,
    exports: Box<[Export]>,
    environment: EnvironmentOwner,
    code: Box<dyn Any + Send + Sync>,
}

/// Everything that a loader hands over; addresses are validated by then.
pub(crate) struct Parts {
    pub library: Box<str>,
    pub functions: Vec<KernelFunction>,
    pub exports: Vec<Export>,
    pub environment: EnvironmentOwner,
    pub code: Box<dyn Any + Send + Sync>,
}

/// [`Parts`] whose functions do not share one environment.
pub(crate) struct PartsByEntry {
    pub library: Box<str>,
    pub entries: Vec<(KernelFunction, *const Environment)>,
    pub exports: Vec<Export>,
    pub environment: EnvironmentOwner,
    pub code: Box<dyn Any + Send + Sync>,
}

impl CpuExecutable {
    /// Puts the parts together.
    ///
    /// # Safety
    /// Each function is a kernel of the library interface for these attributes, callable from any thread with the
    /// environment until `code` is dropped.
    pub(crate) unsafe fn assemble(parts: Parts) -> CpuExecutable {
        let Parts { library, functions, exports, environment, code } = parts;
        let address = environment.as_ptr();
        let entries = functions.into_iter().map(|function| (function, address)).collect();
        let parts = PartsByEntry { library, entries, exports, environment, code };
        // SAFETY: by the caller; all functions get the same environment, which the executable owns.
        unsafe { CpuExecutable::assemble_by_entry(parts) }
    }

    /// As [`assemble`](CpuExecutable::assemble), where each export has an environment of its own.
    ///
    /// # Safety
    /// As there, each function with its environment, which is `environment` or one that `code` keeps.
    pub(crate) unsafe fn assemble_by_entry(parts: PartsByEntry) -> CpuExecutable {
        let PartsByEntry { library, entries, exports, environment, code } = parts;
        assert_eq!(entries.len(), exports.len(), "one function for each export");
        let entries = entries
            .into_iter()
            .zip(&exports)
            .map(|((function, environment), export)| EntryPoint {
                function,
                environment,
                attributes: export.attributes,
            })
            .collect();
        CpuExecutable { library, entries, exports: exports.into(), environment, code }
    }

    /// Name of the library, for diagnostics.
    pub fn library_name(&self) -> &str {
        &self.library
    }

    /// Number of exports.
    pub fn export_count(&self) -> usize {
        self.exports.len()
    }

    /// The export with this ordinal, ready to be called.
    #[inline]
    pub fn entry(&self, ordinal: u32) -> Option<&EntryPoint> {
        self.entries.get(ordinal as usize)
    }

    /// What is known about an export; `OUT_OF_RANGE` if there is none with this ordinal.
    #[inline]
    pub fn export(&self, ordinal: u32) -> Result<&Export> {
        self.exports.get(ordinal as usize).ok_or_else(|| self.no_such_ordinal(ordinal))
    }

    /// The environment that the kernels see; stable while the executable lives.
    pub fn environment(&self) -> *const Environment {
        self.environment.as_ptr()
    }

    /// Specialization constants as the kernels see them.
    pub fn constants(&self) -> &[u32] {
        self.environment.constants()
    }

    /// Turns the failure of a workgroup into a status. Call it on the thread where the call returned: Rust kernels leave
    /// their message there, interpreted ones their status.
    #[cold]
    pub fn kernel_failure(&self, ordinal: u32, failure: KernelFailure) -> Status {
        let code = failure.code();
        let name = self.exports.get(ordinal as usize).map_or("", |export| &export.name);
        let environment = self.entry(ordinal).map_or(self.environment(), |entry| entry.environment);
        let detail = match crate::native::take_failure(environment) {
            Some(Failure::Status(status)) => {
                return status.while_doing(format!("running kernel `{name}` (export {ordinal})"));
            }
            Some(Failure::Text(text)) => format!(": {text}"),
            None => String::new(),
        };
        status!(Internal, "kernel `{name}` (export {ordinal}) failed with code {code}{detail}")
    }

    /// Checks the demands of a Rust kernel on the lengths of its bindings; nothing to do for compiled kernels.
    #[inline]
    pub fn check_binding_lengths(&self, ordinal: u32, lengths: &[usize]) -> Result<()> {
        match self.exports.get(ordinal as usize).and_then(|export| export.bindings.as_deref()) {
            None => Ok(()),
            Some(rules) => self.check_rules(ordinal, rules, lengths),
        }
    }

    #[cold]
    #[inline(never)]
    fn check_rules(&self, ordinal: u32, rules: &[BindingInfo], lengths: &[usize]) -> Result<()> {
        for (index, (rule, &length)) in rules.iter().zip(lengths).enumerate() {
            if (length as u64) < rule.length_min {
                let name = &self.exports[ordinal as usize].name;
                bail!(
                    OutOfRange,
                    "kernel `{name}` needs at least {} bytes in binding {index}, found {length}",
                    rule.length_min
                );
            }
        }
        Ok(())
    }

    #[cold]
    fn no_such_ordinal(&self, ordinal: u32) -> Status {
        status!(
            OutOfRange,
            "function {ordinal} is out of range: `{}` exports {}",
            self.library,
            self.exports.len()
        )
    }
}

impl ExecutableBackend for CpuExecutable {
    fn functions(&self) -> Vec<FunctionInfo> {
        self.exports.iter().map(Export::function_info).collect()
    }

    fn parameters(&self, ordinal: usize) -> Result<Vec<FunctionParameter>> {
        let export = self.export(u32::try_from(ordinal).unwrap_or(u32::MAX))?;
        match &export.parameters {
            Some(parameters) => Ok(parameters.to_vec()),
            None => {
                bail!(Unavailable, "export `{}` of `{}` has no parameter table", export.name, self.library)
            }
        }
    }
}

impl Export {
    fn function_info(&self) -> FunctionInfo {
        let attributes = &self.attributes;
        let mut flags = FunctionFlags::empty();
        if attributes.flags & DispatchAttributes::SEQUENTIAL != 0 {
            flags |= FunctionFlags::SEQUENTIAL;
        }
        if attributes.flags & DispatchAttributes::WORKGROUP_SIZE_DYNAMIC != 0 {
            flags |= FunctionFlags::WORKGROUP_SIZE_DYNAMIC;
        }
        FunctionInfo {
            name: self.name.to_string(),
            flags,
            constant_count: u16::from(attributes.constant_count),
            binding_count: u16::from(attributes.binding_count),
            parameter_count: attributes.parameter_count,
            workgroup_size: attributes.workgroup_size(),
            bindings: self.bindings.as_deref().unwrap_or_default().to_vec(),
        }
    }
}

impl std::fmt::Debug for CpuExecutable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuExecutable")
            .field("library", &self.library)
            .field("exports", &self.exports.len())
            .field("code", &(*self.code).type_id())
            .finish_non_exhaustive()
    }
}

/// The environment and all that it points at, at one stable, cache-line aligned address.
///
/// * `environment`  – first, so that kernels' pointer is the block's pointer; read-only after `finish`.
/// * `native_state` – what a Rust kernel's shim reads behind the environment; null for compiled kernels.
/// * the rest       – storage; never moved, as the block is only reached through its raw pointer.
#[repr(C, align(64))]
struct EnvironmentBlock {
    environment: Environment,
    native_state: *const c_void,
    constants: Box<[u32]>,
    import_functions: Box<[Option<ImportFunction>]>,
    import_contexts: Box<[*const c_void]>,
    /// Owners of import contexts and of native state.
    keep: Vec<Arc<dyn Any + Send + Sync>>,
}

/// Owns an [`EnvironmentBlock`] without ever forming a unique reference to it once kernels may look.
pub(crate) struct EnvironmentOwner(NonNull<EnvironmentBlock>);

// SAFETY: the block is immutable after building (`set_*` take `&mut self`); what its pointers lead to is owned by the block
// and `Send + Sync` (constants, arrays) or promised to be by whoever provided the import (`Import::new`) or state.
unsafe impl Send for EnvironmentOwner {}
// SAFETY: as for `Send`.
unsafe impl Sync for EnvironmentOwner {}

impl EnvironmentOwner {
    /// An environment without imports.
    pub fn new(constants: &[u32], processor: [u64; PROCESSOR_WORD_COUNT]) -> EnvironmentOwner {
        let block = Box::new(EnvironmentBlock {
            environment: Environment {
                constants: std::ptr::null(),
                import_thunk: None,
                import_functions: std::ptr::null(),
                import_contexts: std::ptr::null(),
                processor,
            },
            native_state: std::ptr::null(),
            constants: constants.into(),
            import_functions: Box::new([]),
            import_contexts: Box::new([]),
            keep: Vec::new(),
        });
        let mut owner = EnvironmentOwner(NonNull::from(Box::leak(block)));
        let block = owner.block_mut();
        if !block.constants.is_empty() {
            block.environment.constants = block.constants.as_ptr();
        }
        owner
    }

    /// Address that kernels get.
    pub fn as_ptr(&self) -> *const Environment {
        self.0.as_ptr().cast_const().cast()
    }

    /// Fills the import arrays and keeps the providers alive.
    pub fn set_imports(&mut self, resolution: &Resolution) {
        let (functions, contexts) = resolution.split();
        let block = self.block_mut();
        block.import_functions = functions.into();
        block.import_contexts = contexts.into();
        block.environment.import_thunk = Some(IMPORT_THUNK);
        block.environment.import_functions = block.import_functions.as_ptr();
        block.environment.import_contexts = block.import_contexts.as_ptr();
        block.keep.push(resolution.keeper());
    }

    /// Places the state of Rust kernels behind the environment.
    pub fn set_native_state<S: Send + Sync + 'static>(&mut self, state: Arc<S>) {
        let block = self.block_mut();
        block.native_state = Arc::as_ptr(&state).cast();
        block.keep.push(state);
    }

    fn constants(&self) -> &[u32] {
        // SAFETY: the block lives as long as `self` and is not written after building.
        unsafe { &(*self.0.as_ptr()).constants }
    }

    fn block_mut(&mut self) -> &mut EnvironmentBlock {
        // SAFETY: `self` is the only owner; no kernel runs before the executable is assembled, which takes `self`.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for EnvironmentOwner {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::leak` in `new` and is freed once, here.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// State behind an environment that was given [`EnvironmentOwner::set_native_state`].
///
/// # Safety
/// `environment` is the address of a live `EnvironmentOwner` whose state has type `S`.
#[inline]
pub(crate) unsafe fn native_state<'a, S>(environment: *const Environment) -> &'a S {
    let block: *const EnvironmentBlock = environment.cast();
    // SAFETY: by the caller, this is the start of a live block; the field is not written after building.
    let state = unsafe { (*block).native_state };
    // SAFETY: by the caller, it points at an `S` that the block keeps alive.
    unsafe { &*state.cast::<S>() }
}
