//! From mapped code to an executable: asking the library for its table, checking it, resolving imports. The same for
//! embedded files, system libraries and linked-in libraries.
//!
//! Steps: environment (constants, feature words) → query → table → sanitizer and constants → imports → executable.
#![allow(
    unsafe_code,
    reason = "calls the query function of a library and turns table entries into function pointers"
)]

use std::any::Any;

use weft_hal::{CachingMode, ExecutableParams};
use weft_sync::{Result, WhileDoing, bail};

use super::LoadContext;
use super::graph::{self, Library, LibraryMemory};
use crate::abi::{KernelFunction, LIBRARY_VERSIONS, QueryFunction};
use crate::executable::{CpuExecutable, EnvironmentOwner, Parts};

/// Asks a library for its table, newest version first, each version by its exact number: libraries compare for equality.
///
/// # Safety
/// `function` is the query function of a library whose code may run now.
pub(super) unsafe fn query(function: QueryFunction, environment: &EnvironmentOwner) -> Result<u64> {
    for version in LIBRARY_VERSIONS {
        // SAFETY: by the caller; the environment is complete but for imports, as the interface allows.
        let table = unsafe { function(version, environment.as_ptr()) };
        if !table.is_null() {
            return Ok(table.expose_provenance() as u64);
        }
    }
    bail!(FailedPrecondition, "executable does not support this runtime's ABI versions {LIBRARY_VERSIONS:?}")
}

/// An environment for a library that is about to be asked.
pub(super) fn environment(params: &ExecutableParams<'_>, context: &LoadContext) -> EnvironmentOwner {
    EnvironmentOwner::new(params.constants, context.processor)
}

/// Reads the table and checks what is not a question of memory.
pub(super) fn read(
    memory: &impl LibraryMemory,
    table: u64,
    params: &ExecutableParams<'_>,
) -> Result<Library> {
    let library =
        graph::read_library(memory, table, !params.caching_mode.contains(CachingMode::DISABLE_VERIFICATION))
            .while_doing(|| "reading the library table")?;
    check_sanitizer(&library.name, library.sanitizer)?;
    check_constants(&library, params.constants.len())?;
    Ok(library)
}

/// No sanitizer runtime is part of a build that Rust's stable toolchain can make known to this code.
pub(super) fn check_sanitizer(library: &str, sanitizer: u32) -> Result<()> {
    let name = match sanitizer {
        0 => return Ok(()),
        1 => "address",
        2 => "memory",
        3 => "thread",
        4 => "undefined",
        _ => "unknown",
    };
    bail!(
        Unavailable,
        "library `{library}` was built with the {name} sanitizer ({sanitizer}), this runtime was not"
    )
}

/// Compilers declare 0 even if the code reads constants, so 0 says nothing.
fn check_constants(library: &Library, given: usize) -> Result<()> {
    let declared = library.constant_count;
    if declared != 0 && declared as usize != given {
        let name = &library.name;
        bail!(
            FailedPrecondition,
            "library `{name}` reads {declared} specialization constants, {given} given"
        );
    }
    Ok(())
}

/// Resolves imports and puts everything together.
///
/// # Safety
/// The functions of `library` are kernels of code that is mapped until `code` is dropped.
pub(super) unsafe fn assemble(
    library: Library,
    mut environment: EnvironmentOwner,
    code: Box<dyn Any + Send + Sync>,
    context: &LoadContext,
) -> Result<CpuExecutable> {
    if !library.imports.is_empty() {
        let resolution = context
            .imports
            .resolve(&library.imports)
            .while_doing(|| format!("loading library `{}`", library.name))?;
        environment.set_imports(&resolution);
    }
    let functions = library
        .functions
        .iter()
        .map(|&address| {
            let code = std::ptr::with_exposed_provenance::<()>(address as usize);
            // SAFETY: the address is non-null (`graph::read_functions`) and by the caller that of a kernel, so it is a valid
            // value of this function pointer type.
            unsafe { std::mem::transmute::<*const (), KernelFunction>(code) }
        })
        .collect();
    let parts = Parts { library: library.name, functions, exports: library.exports, environment, code };
    // SAFETY: by the caller, and each function got its own attributes from the same table.
    Ok(unsafe { CpuExecutable::assemble(parts) })
}
