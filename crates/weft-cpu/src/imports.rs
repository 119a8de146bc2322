//! Functions that compiled kernels import, and who provides them (`docs/spec/executables.md` §1.6, §4.1, §4.2).
//!
//! What lives here: [`ImportProvider`], the list of providers that a device has ([`ImportProviders`]), and resolution.
//! What does not: providers that live in shared objects (plugins) are not supported.
//!
//! 1. Providers are asked in reverse order of registration; each fills what it knows and leaves what is filled.
//! 2. `NOT_FOUND` from a provider, and success with something still missing, go on to the next; any other failure ends.
//! 3. In the end only the table counts: a required name without a function fails the load, naming every such name.
//! 4. Providers live as long as any executable that was resolved against them.
#![allow(unsafe_code, reason = "kernels call imports by address; `Import::new` carries the promise")]

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use weft_sync::{Code, Result, WhileDoing, bail};

use crate::abi::{ImportFunction, ImportThunk};
use crate::loader::graph::ImportName;

/// Default of [`ImportProviders::with_capacity`].
const PROVIDER_COUNT_MAX: usize = 64;

/// A function for an import, with the context that it gets.
///
/// * `function` – any thread, concurrently, while the provider lives.
/// * `context`  – passed through; owned by the provider.
#[derive(Clone, Copy, Debug)]
pub struct Import {
    function: ImportFunction,
    context: *const c_void,
}

impl Import {
    /// A function and its context.
    ///
    /// # Safety
    /// As long as the provider that hands it out lives: the function may be called from any thread, concurrently, with
    /// this context and with a parameter structure of the shape that kernels importing the name were compiled for (results,
    /// then arguments, then requested extra fields, naturally aligned). It does not unwind.
    pub unsafe fn new(function: ImportFunction, context: *const c_void) -> Import {
        Import { function, context }
    }
}

/// The imports of one library, being filled.
#[derive(Debug)]
pub struct ImportRequest<'a> {
    names: &'a [ImportName],
    imports: Vec<Option<Import>>,
}

impl ImportRequest<'_> {
    /// Number of names.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Names that nobody has provided yet, with their ordinals. Optional ones come without their mark.
    pub fn missing(&self) -> impl Iterator<Item = (usize, &str)> {
        let entries = self.names.iter().zip(&self.imports).enumerate();
        entries.filter(|(_, (_, import))| import.is_none()).map(|(ordinal, (name, _))| (ordinal, &*name.name))
    }

    /// Provides an import, unless an earlier provider did. Ordinals out of range are ignored.
    pub fn provide(&mut self, ordinal: usize, import: Import) {
        if let Some(slot) = self.imports.get_mut(ordinal) {
            slot.get_or_insert(import);
        }
    }

    /// Provides each missing name for which `find` knows a function.
    pub fn provide_by_name(&mut self, find: impl Fn(&str) -> Option<Import>) {
        for (name, slot) in self.names.iter().zip(&mut self.imports) {
            if slot.is_none() {
                *slot = find(&name.name);
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.imports.iter().all(Option::is_some)
    }

    fn missing_required(&self) -> Vec<&str> {
        let entries = self.names.iter().zip(&self.imports);
        entries
            .filter(|(name, import)| import.is_none() && !name.optional)
            .map(|(name, _)| &*name.name)
            .collect()
    }
}

/// Something that knows functions by name.
pub trait ImportProvider: Send + Sync + 'static {
    /// Fills what it knows. `NOT_FOUND` and success both let other providers fill the rest; any other failure fails the load.
    fn resolve(&self, request: &mut ImportRequest<'_>) -> Result<()>;
}

/// The providers of a device. Append-only; resolving holds no lock while providers run.
#[derive(Debug)]
pub struct ImportProviders {
    capacity: usize,
    list: Mutex<Arc<ProviderList>>,
}

#[derive(Clone)]
struct ProviderList(Vec<Arc<dyn ImportProvider>>);

impl Drop for ProviderList {
    fn drop(&mut self) {
        // Later providers may build on earlier ones: release in reverse order of registration.
        while self.0.pop().is_some() {}
    }
}

impl std::fmt::Debug for ProviderList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} providers", self.0.len())
    }
}

impl Default for ImportProviders {
    fn default() -> ImportProviders {
        ImportProviders::with_capacity(PROVIDER_COUNT_MAX)
    }
}

impl ImportProviders {
    /// No providers, room for this many.
    pub fn with_capacity(capacity: usize) -> ImportProviders {
        ImportProviders { capacity, list: Mutex::new(Arc::new(ProviderList(Vec::new()))) }
    }

    /// Adds a provider, to be asked before all earlier ones; `RESOURCE_EXHAUSTED` if the list is full.
    pub fn register(&self, provider: Arc<dyn ImportProvider>) -> Result<()> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.0.len() >= self.capacity {
            bail!(ResourceExhausted, "{} import providers, at most {}", list.0.len() + 1, self.capacity);
        }
        let mut next = ProviderList(list.0.clone());
        next.0.push(provider);
        *list = Arc::new(next);
        Ok(())
    }

    /// Resolves all names.
    pub(crate) fn resolve(&self, names: &[ImportName]) -> Result<Resolution> {
        let providers = Arc::clone(&self.list.lock().unwrap_or_else(PoisonError::into_inner));
        let mut request = ImportRequest { names, imports: vec![None; names.len()] };
        for provider in providers.0.iter().rev() {
            if request.is_complete() {
                break;
            }
            match provider.resolve(&mut request) {
                Err(status) if status.code() != Code::NotFound => {
                    return Err(status).while_doing(|| "resolving imports of an executable");
                }
                _ => {}
            }
        }
        let missing = request.missing_required();
        if !missing.is_empty() {
            // Not NOT_FOUND: that would send the caller to the next loader and hide the names.
            bail!(
                Unavailable,
                "no provider for imported function{} {}",
                if missing.len() == 1 { "" } else { "s" },
                missing.join(", ")
            );
        }
        Ok(Resolution { imports: request.imports, providers })
    }
}

/// Imports by ordinal, and what keeps them callable.
pub(crate) struct Resolution {
    pub imports: Vec<Option<Import>>,
    providers: Arc<ProviderList>,
}

impl Resolution {
    /// Functions and contexts as the environment stores them.
    pub(crate) fn split(&self) -> (Vec<Option<ImportFunction>>, Vec<*const c_void>) {
        let functions = self.imports.iter().map(|import| import.map(|import| import.function)).collect();
        let context = |import: &Option<Import>| import.map_or(std::ptr::null(), |import| import.context);
        (functions, self.imports.iter().map(context).collect())
    }

    /// Keeps the providers alive.
    pub(crate) fn keeper(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.providers) as Arc<dyn Any + Send + Sync>
    }
}

/// Through this all kernels call all imports: from the convention of the kernels to that of the platform.
pub(crate) const IMPORT_THUNK: ImportThunk = import_thunk;

crate::abi::psabi_fn! {
    /// # Safety
    /// Called by a kernel with an entry of its import table and parameters of the right shape.
    unsafe fn import_thunk(
        function: ImportFunction,
        parameters: *mut c_void,
        context: *const c_void,
        reserved: *mut c_void,
    ) -> c_int {
        // SAFETY: by `Import::new` for this function and context; the parameters are the kernel's.
        unsafe { function(parameters, context, reserved) }
    }
}
