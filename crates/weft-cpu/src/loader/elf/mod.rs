//! Embedded ELF files: shared objects that link against nothing, loaded without the system's dynamic linker.
//!
//! Stages, each in its own file (`docs/spec/executables.md` §2):
//! 1. `layout.rs` (with `header`, `segments`, `dynamic`, `symbols`, `relocation`): bytes → checked plan. No memory but the
//!    input is touched; safe for any input.
//! 2. `image.rs` (with `mapping`): plan → protected memory. Nothing of it is executed; safe for any plan.
//! 3. here: query and the library table, read through [`super::graph`] against the segments, then imports.
//!
//! A failure in any stage leaves nothing mapped. Native code runs with the rights of the process: the checks protect
//! against corrupt files, not against hostile kernels.
#![allow(unsafe_code, reason = "calls the query function of an image")]

mod dynamic;
mod fields;
mod header;
mod image;
mod layout;
mod mapping;
mod relocation;
mod segments;
mod symbols;

use weft_hal::ExecutableParams;
use weft_sync::{Result, bail};

pub use image::Image;
pub use layout::{Layout, Machine, SPAN_BYTES_MAX, Target};
pub use segments::{Protection, Region, Segment, Segments};

use super::{LoadContext, Loader, fat, format, publish};
use crate::abi::QueryFunction;
use crate::executable::CpuExecutable;

/// Loads `embedded-elf-<arch>` and containers of such files.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedElf {
    /// Longest span of an image.
    pub span_bytes_max: u64,
}

impl Default for EmbeddedElf {
    fn default() -> EmbeddedElf {
        EmbeddedElf { span_bytes_max: SPAN_BYTES_MAX }
    }
}

impl EmbeddedElf {
    /// What images are laid out for on this host.
    pub fn target(&self) -> Result<Target> {
        match Machine::HOST {
            Some(machine) => {
                Ok(Target { machine, page_bytes: mapping::page_bytes(), span_bytes_max: self.span_bytes_max })
            }
            None => bail!(Unavailable, "embedded ELF files cannot be loaded on this machine"),
        }
    }
}

impl Loader for EmbeddedElf {
    fn name(&self) -> &'static str {
        "embedded-elf"
    }

    fn claims(&self, format: &str) -> bool {
        let Some(machine) = Machine::HOST else { return false };
        format == format::EMBEDDED_FAT || format::is_for(format, "embedded-elf-", &machine.to_string())
    }

    fn load(&self, params: &ExecutableParams<'_>, context: &LoadContext) -> Result<CpuExecutable> {
        let target = self.target()?;
        let data = fat::select(params.data, target.machine)?;
        let layout = Layout::parse(data, &target)?;
        let mut image = Image::load(&layout)?;
        let environment = publish::environment(params, context);
        let address = image.address_of(layout.query_address());
        let code = std::ptr::with_exposed_provenance::<()>(address as usize);
        // SAFETY: the address lies in an executable segment of the image, so it is not null; that it is a function of this
        // type is what the symbol's name promises.
        let function = unsafe { std::mem::transmute::<*const (), QueryFunction>(code) };
        // SAFETY: the image has its final protection.
        let table = unsafe { publish::query(function, &environment) }?;
        let library = publish::read(&image.memory()?, table, params)?;
        // SAFETY: each function lies in an executable segment of `image` (checked by `ImageMemory`), which moves along.
        unsafe { publish::assemble(library, environment, Box::new(image), context) }
    }
}
