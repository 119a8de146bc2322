//! From (format, bytes, constants) to an executable.
//!
//! What lives here: the contract of a loader, and [`Loaders`], which asks each in order. What does not: the formats
//! themselves (`elf/`, `dylib.rs`, `bundled.rs`) and guessing a format from bytes (`format.rs`).
//!
//! Order and errors (`docs/spec/executables.md` §8.4):
//! 1. A loader that claims the format tries it. `CANCELLED` or `NOT_FOUND` from the attempt lets the next one try.
//! 2. Any other failure is the answer.
//! 3. If none is left: `NOT_FOUND` naming the format, and the reasons of those that declined.

use std::sync::Arc;

use weft_sync::{Code, Result, status};

use crate::abi::PROCESSOR_WORD_COUNT;
use crate::executable::CpuExecutable;

/// What is to be loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadRequest<'a> {
    /// Format string, such as `embedded-elf-x86_64`.
    pub format: &'a str,
    /// The executable; needed during the load only.
    pub bytes: &'a [u8],
    /// Specialization constants; copied.
    pub constants: &'a [u32],
    /// Skips the checks of table consistency, never those of memory safety.
    pub disable_verification: bool,
}

/// What loaders are told about the process.
#[derive(Clone, Debug)]
pub struct LoadContext {
    /// Feature words that kernels see.
    pub processor: [u64; PROCESSOR_WORD_COUNT],
}

/// One family of formats.
pub trait Loader: Send + Sync {
    /// Name for tools and errors.
    fn name(&self) -> &'static str;

    /// Whether this loader recognises the format; loading may fail all the same.
    fn claims(&self, format: &str) -> bool;

    /// Loads. `CANCELLED` and `NOT_FOUND` mean "not mine after all".
    fn load(&self, request: &LoadRequest<'_>, context: &LoadContext) -> Result<Arc<CpuExecutable>>;
}

/// The loaders of a device, in the order in which they are asked.
pub struct Loaders {
    loaders: Vec<Box<dyn Loader>>,
    context: LoadContext,
}

impl Loaders {
    /// These loaders, in this order.
    pub fn new(loaders: Vec<Box<dyn Loader>>, context: LoadContext) -> Loaders {
        Loaders { loaders, context }
    }

    /// Whether any loader claims the format.
    pub fn supports(&self, format: &str) -> bool {
        self.loaders.iter().any(|loader| loader.claims(format))
    }

    /// What loaders are told about the process.
    pub fn context(&self) -> &LoadContext {
        &self.context
    }

    /// Loads with the first loader that claims the format and does not decline.
    pub fn load(&self, request: &LoadRequest<'_>) -> Result<Arc<CpuExecutable>> {
        let mut declined = Vec::new();
        for loader in self.loaders.iter().filter(|loader| loader.claims(request.format)) {
            match loader.load(request, &self.context) {
                Err(status) if matches!(status.code(), Code::Cancelled | Code::NotFound) => {
                    declined.push(format!("{}: {status}", loader.name()));
                }
                outcome => return outcome,
            }
        }
        let format = request.format;
        if declined.is_empty() {
            return Err(status!(NotFound, "no loader for executable format `{format}`"));
        }
        Err(status!(NotFound, "no loader took executable format `{format}` ({})", declined.join("; ")))
    }
}

impl std::fmt::Debug for Loaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.loaders.iter().map(|loader| loader.name())).finish()
    }
}
