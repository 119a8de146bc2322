//! VMVX: executables whose kernels are bytecode, for programs that run where no machine code may
//! (`docs/spec/executables.md` §5).
//!
//! What lives here: [`VmvxLoader`], and the list of loaders that weft's devices have by default ([`default_loaders`]).
//! What does not: how a device comes to call something that is not machine code (`weft-cpu/src/loader/interpreted.rs`),
//! the bytecode itself (`weft-vm`).
//!
//! | file | what lives there |
//! |---|---|
//! | `entries.rs` | which exports are kernels, and what they ask of a dispatch |
//! | `kernels.rs` | running a workgroup: who calls in which context |
//! | `idle.rs` | contexts that no thread uses at the moment |
//! | `caller.rs` | one context ready to be called, and the memory that is lent to it |
//! | `operations/` | the native module `vmvx` that kernels import |
//!
//! 1. The bytes are copied: the executable may outlive the program that brought it.
//! 2. A context serves one thread at a time. The first is made while loading, so that whatever is wrong with the
//!    module shows there; others when as many threads call at once.
//! 3. What a kernel gets of a dispatch is lent for one call. A kernel that keeps a reference fails, and what it kept
//!    has no bytes.

mod caller;
mod entries;
mod idle;
mod kernels;
mod operations;

use std::fmt;
use std::sync::Arc;

use weft_cpu::executable::CpuExecutable;
use weft_cpu::loader::{LoadContext, Loader, LoaderOptions, Loaders};
use weft_hal::ExecutableParams;
use weft_sync::{Code, Result, Status};
use weft_vm::{BytecodeModule, Instance, ModuleBytes, NativeModule};

use kernels::Kernels;

/// Format of executables that are bytecode modules.
pub const VMVX_FORMAT: &str = "vmvx-bytecode-fb";

/// Loads executables that are bytecode modules.
///
/// ```
/// use weft::cpu::loader::Loader;
/// let loader = weft::VmvxLoader::new()?;
/// assert!(loader.claims("vmvx-bytecode-fb"));
/// # weft::Result::Ok(())
/// ```
pub struct VmvxLoader {
    /// Kernels know buffers and lists only, so they share nothing with the programs that bring them.
    instance: Arc<Instance>,
    operations: Arc<NativeModule>,
}

impl VmvxLoader {
    /// A loader with the native module that kernels import.
    pub fn new() -> Result<VmvxLoader> {
        Ok(VmvxLoader { instance: Instance::new(), operations: operations::module()? })
    }

    fn load_module(&self, params: &ExecutableParams<'_>, context: &LoadContext) -> Result<CpuExecutable> {
        let module = BytecodeModule::load(&self.instance, ModuleBytes::copy_of(params.data))?;
        let entries = entries::read(&module)?;
        let name = module.archive().name.clone();
        let exports = entries.iter().map(|entry| entry.export.clone()).collect();
        let kernels = Kernels::new(&self.instance, &self.operations, module, entries, params.constants)?;
        CpuExecutable::interpreted(&name, exports, Arc::new(kernels), params, context)
    }
}

impl Loader for VmvxLoader {
    fn name(&self) -> &'static str {
        "vmvx-module"
    }

    fn claims(&self, format: &str) -> bool {
        format == VMVX_FORMAT
    }

    fn load(&self, params: &ExecutableParams<'_>, context: &LoadContext) -> Result<CpuExecutable> {
        let loaded = self.load_module(params, context);
        loaded.map_err(|status| not_an_invitation(status).while_doing("loading a VMVX executable"))
    }
}

impl fmt::Debug for VmvxLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmvxLoader").finish_non_exhaustive()
    }
}

/// NOT_FOUND (of an import, a type) and CANCELLED would send the caller to the next loader and hide the reason.
fn not_an_invitation(status: Status) -> Status {
    if !matches!(status.code(), Code::NotFound | Code::Cancelled) {
        return status;
    }
    let renamed = Status::from_bytes(Code::Unavailable, status.message_bytes());
    status.trail().iter().fold(renamed, |renamed, step| renamed.while_doing(step.clone()))
}

/// The loaders of a device: those of `weft-cpu`, and [`VmvxLoader`].
pub fn default_loaders(options: LoaderOptions) -> Loaders {
    let mut loaders = Loaders::new(options);
    let vmvx = VmvxLoader::new().expect("the exports of the module have different names");
    loaders.push(Box::new(vmvx));
    loaders
}
