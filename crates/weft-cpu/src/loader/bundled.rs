//! Libraries that are part of the process: Rust kernels, and compiler output that was linked in.
//!
//! The data of such an executable is the library's name, with or without a trailing NUL. Registration is explicit: a
//! [`Bundled`] is built and given to a device. Names are unique in it.
#![allow(unsafe_code, reason = "linked-in libraries come as query functions; Rust kernels as entry points")]

use std::sync::Arc;

use weft_hal::ExecutableParams;
use weft_sync::{Result, WhileDoing, bail};

use super::process_memory::ProcessMemory;
use super::{LoadContext, Loader, format, graph, publish};
use crate::abi::{LIBRARY_VERSION, QueryFunction};
use crate::executable::{CpuExecutable, EnvironmentOwner, Parts};
use crate::features::ProcessorWords;
use crate::native::NativeLibrary;

/// Libraries by name.
#[derive(Debug, Default)]
pub struct Bundled {
    entries: Vec<(Box<str>, Entry)>,
}

#[derive(Debug)]
enum Entry {
    Native(Arc<NativeLibrary>),
    LinkedIn(QueryFunction),
}

impl Bundled {
    /// No libraries.
    pub fn new() -> Bundled {
        Bundled::default()
    }

    /// Adds a library of Rust kernels; `ALREADY_EXISTS` if the name is taken.
    pub fn register(&mut self, library: Arc<NativeLibrary>) -> Result<()> {
        self.insert(library.name().into(), Entry::Native(library))
    }

    /// Adds a linked-in library by its query function.
    ///
    /// `UNAVAILABLE` if it does not speak this version of the interface, `FAILED_PRECONDITION` if its header says another
    /// version, `ALREADY_EXISTS` if its name is taken.
    ///
    /// # Safety
    /// The function is the query function of a library of the interface (§1), which is in memory as long as the process, and
    /// whose functions use the convention of [`crate::abi::KernelFunction`].
    pub unsafe fn register_query(&mut self, query: QueryFunction) -> Result<()> {
        let environment = EnvironmentOwner::new(&[], ProcessorWords::default());
        // SAFETY: by the caller.
        let table = unsafe { query(LIBRARY_VERSION, environment.as_ptr()) };
        if table.is_null() {
            bail!(
                Unavailable,
                "a linked-in library does not support version {LIBRARY_VERSION} of the interface"
            );
        }
        // SAFETY: by the caller, the table is one of the interface and stays.
        let memory = unsafe { ProcessMemory::new() };
        let (name, _) = graph::read_header(&memory, table.expose_provenance() as u64)?;
        self.insert(name, Entry::LinkedIn(query))
    }

    fn insert(&mut self, name: Box<str>, entry: Entry) -> Result<()> {
        if self.find(&name).is_some() {
            bail!(AlreadyExists, "a library `{name}` is registered already");
        }
        self.entries.push((name, entry));
        Ok(())
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|(known, _)| **known == *name).map(|(_, entry)| entry)
    }
}

impl Loader for Bundled {
    fn name(&self) -> &'static str {
        "bundled"
    }

    fn claims(&self, format: &str) -> bool {
        matches!(format, format::STATIC | format::NATIVE)
    }

    fn load(&self, params: &ExecutableParams<'_>, context: &LoadContext) -> Result<CpuExecutable> {
        let name = params.data.strip_suffix(&[0]).unwrap_or(params.data);
        let Ok(name) = std::str::from_utf8(name) else {
            bail!(InvalidArgument, "the name of a linked-in library is not UTF-8");
        };
        match self.find(name) {
            Some(Entry::Native(library)) => {
                load_native(library, params, context).while_doing(|| format!("loading library `{name}`"))
            }
            Some(&Entry::LinkedIn(query)) => load_linked_in(query, params, context),
            None => {
                let known: Vec<&str> = self.entries.iter().map(|(name, _)| &**name).collect();
                bail!(NotFound, "no linked-in library `{name}`; there are [{}]", known.join(", "))
            }
        }
    }
}

fn load_native(
    library: &Arc<NativeLibrary>,
    params: &ExecutableParams<'_>,
    context: &LoadContext,
) -> Result<CpuExecutable> {
    let mut environment = publish::environment(params, context);
    library.prepare(params.constants, &mut environment)?;
    let parts = Parts {
        library: library.name().into(),
        functions: library.functions().to_vec(),
        exports: library.exports().to_vec(),
        environment,
        code: Box::new(Arc::clone(library)),
    };
    // SAFETY: the functions are shims for kernels with this library's state, which `prepare` placed behind the environment; each
    // stands at the ordinal of its own export.
    Ok(unsafe { CpuExecutable::assemble(parts) })
}

fn load_linked_in(
    query: QueryFunction,
    params: &ExecutableParams<'_>,
    context: &LoadContext,
) -> Result<CpuExecutable> {
    let environment = publish::environment(params, context);
    // SAFETY: by `register_query`, its code is in memory as long as the process.
    let table = unsafe { publish::query(query, &environment) }?;
    // SAFETY: by `register_query`, the table is one of the interface and stays.
    let memory = unsafe { ProcessMemory::new() };
    let library = publish::read(&memory, table, params)?;
    // SAFETY: as above; nothing has to be kept alive.
    unsafe { publish::assemble(library, environment, Box::new(()), context) }
}
