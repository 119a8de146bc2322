//! From (format, bytes, constants) to an executable.
//!
//! What lives here: the contract of a loader, and [`Loaders`], which asks each in order. What does not: the formats
//! themselves (`elf/`, `dylib.rs`, `bundled.rs`; formats of other crates come in through [`Loaders::push`], and
//! `interpreted.rs` if no machine code is involved) and guessing a format from bytes (`format.rs`).
//!
//! Order and errors (`docs/spec/executables.md` §8.4):
//! 1. A loader that claims the format tries it. `CANCELLED` or `NOT_FOUND` from the attempt lets the next one try.
//! 2. Any other failure is the answer.
//! 3. If none is left: `NOT_FOUND` naming the format, and the reasons of those that declined.

mod bundled;
mod dylib;
pub mod elf;
pub mod fat;
pub mod format;
pub mod graph;
mod interpreted;
mod process_memory;
mod publish;

use std::sync::Arc;

use weft_hal::ExecutableParams;
use weft_sync::{Code, Result, bail, status};

pub use bundled::Bundled;
pub use dylib::SystemLibrary;
pub use elf::EmbeddedElf;
pub use interpreted::{Interpreter, WorkgroupCall};

use crate::executable::CpuExecutable;
use crate::features::{self, FeatureSet, ProcessorWords};
use crate::imports::ImportProviders;

/// What loaders are told about the process.
#[derive(Clone, Debug)]
pub struct LoadContext {
    /// Feature words that kernels see.
    pub processor: ProcessorWords,
    /// Who provides what kernels import.
    pub imports: Arc<ImportProviders>,
}

/// One family of formats.
pub trait Loader: Send + Sync {
    /// Name for tools and errors.
    fn name(&self) -> &'static str;

    /// Whether this loader recognises the format; loading may fail all the same.
    fn claims(&self, format: &str) -> bool;

    /// Loads. `CANCELLED` and `NOT_FOUND` mean "not mine after all".
    fn load(&self, params: &ExecutableParams<'_>, context: &LoadContext) -> Result<CpuExecutable>;
}

/// What a device is built with. `Default` has no libraries of its own and no import providers.
#[derive(Debug, Default)]
pub struct LoaderOptions {
    /// Libraries that are part of the process.
    pub bundled: Bundled,
    /// Who provides what kernels import.
    pub imports: Arc<ImportProviders>,
    /// Feature words; `None` for those of this machine.
    pub processor: Option<ProcessorWords>,
    /// System libraries.
    pub system: SystemLibrary,
    /// Embedded ELF files.
    pub embedded: EmbeddedElf,
}

/// The loaders of a device, in the order in which they are asked.
pub struct Loaders {
    loaders: Vec<Box<dyn Loader>>,
    context: LoadContext,
}

impl Loaders {
    /// All loaders: system libraries, embedded files, bundled libraries.
    pub fn new(options: LoaderOptions) -> Loaders {
        let LoaderOptions { bundled, imports, processor, system, embedded } = options;
        let processor = processor.unwrap_or_else(|| *features::processor_words());
        Loaders {
            loaders: vec![Box::new(system), Box::new(embedded), Box::new(bundled)],
            context: LoadContext { processor, imports },
        }
    }

    /// Adds a loader, to be asked after the others.
    pub fn push(&mut self, loader: Box<dyn Loader>) {
        self.loaders.push(loader);
    }

    /// Keeps only the loaders that the names start with; `UNAVAILABLE` for a name that fits none.
    pub fn keep_only(&mut self, names: &[&str]) -> Result<()> {
        for name in names {
            if !self.loaders.iter().any(|loader| name.starts_with(loader.name())) {
                let known: Vec<_> = self.loaders.iter().map(|loader| loader.name()).collect();
                bail!(Unavailable, "no loader `{name}`; there are {}", known.join(", "));
            }
        }
        self.loaders.retain(|loader| names.iter().any(|name| name.starts_with(loader.name())));
        Ok(())
    }

    /// Whether any loader claims the format.
    pub fn supports(&self, format: &str) -> bool {
        self.loaders.iter().any(|loader| loader.claims(format))
    }

    /// Whether the processor, as kernels are told, has a feature; `None` if the machine has no such key.
    pub fn processor_feature(&self, key: &str) -> Option<bool> {
        FeatureSet::HOST.query(&self.context.processor, key)
    }

    /// Loads with the first loader that claims the format and does not decline.
    pub fn load(&self, params: &ExecutableParams<'_>) -> Result<CpuExecutable> {
        let mut declined = Vec::new();
        for loader in self.loaders.iter().filter(|loader| loader.claims(params.format)) {
            match loader.load(params, &self.context) {
                Err(status) if matches!(status.code(), Code::Cancelled | Code::NotFound) => {
                    declined.push(format!("{}: {status}", loader.name()));
                }
                outcome => return outcome,
            }
        }
        let format = params.format;
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
