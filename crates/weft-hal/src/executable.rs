//! Executables: kernels and entry points as a device sees them.
//!
//! What lives here: reflection ([`FunctionInfo`]), lookup by name, the parameters of preparing one. What does not:
//! formats and loading, which belong to the device (`weft-cpu/src/loader`).

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use weft_sync::atomic::{AtomicU64, Ordering};
use weft_sync::{Result, bail};

use crate::mask_text::mask;
use crate::memory::MemoryAccess;

mask! {
    /// What may be done while preparing an executable.
    pub struct CachingMode: u32, "caching mode" {
        combined {}
        single {
            /// The caller keeps the data alive and unchanged as long as the executable.
            ALIAS_PROVIDED_DATA = 1;
            /// A hint.
            ALLOW_PERSISTENT_CACHING = 2;
            /// A hint.
            ALLOW_OPTIMIZATION = 4;
            /// Make it known to debuggers.
            ENABLE_DEBUGGING = 8;
            /// No effect on CPU.
            ENABLE_COVERAGE = 16;
            /// Make it known to profilers.
            ENABLE_PROFILING = 32;
            /// Skip checks of table consistency; never those of memory safety.
            DISABLE_VERIFICATION = 64;
        }
    }
}

mask! {
    /// Properties of a function.
    pub struct FunctionFlags: u32, "function flag" {
        combined {}
        single {
            /// Neighbouring workgroups should run on the same worker.
            SEQUENTIAL = 1;
            /// The workgroup size may be overridden by multiples of the declared one.
            WORKGROUP_SIZE_DYNAMIC = 2;
        }
    }
}

/// What a loader is given.
#[derive(Clone, Copy, Debug)]
pub struct ExecutableParams<'a> {
    /// Name of the format, such as `embedded-elf-x86_64`.
    pub format: &'a str,
    /// The bytes.
    pub data: &'a [u8],
    /// Specialization constants.
    pub constants: &'a [u32],
    /// Hints and permissions.
    pub caching_mode: CachingMode,
}

/// A function of one executable: the dense index of the entry point on CPU devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId(pub u64);

impl FunctionId {
    /// No function.
    pub const INVALID: FunctionId = FunctionId(u64::MAX);
}

/// What a kernel does with a binding, when its executable says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingInfo {
    /// READ, WRITE or both.
    pub access: MemoryAccess,
    /// At least this many bytes.
    pub length_min: u64,
}

/// What is known about a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Name of the export.
    pub name: String,
    /// Properties.
    pub flags: FunctionFlags,
    /// 32-bit push constants that a dispatch must give.
    pub constant_count: u16,
    /// Bindings that a dispatch must give.
    pub binding_count: u16,
    /// Declared parameters, for reflection only.
    pub parameter_count: u16,
    /// Declared workgroup size; 0 = not declared.
    pub workgroup_size: [u32; 3],
    /// One entry for each binding, or empty if the executable does not say.
    pub bindings: Vec<BindingInfo>,
}

/// The kind of a declared parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ParameterKind {
    /// In the push constants.
    Constant = 0,
    /// A binding.
    Binding = 1,
    /// A raw address in the push constants.
    BufferPointer = 2,
}

/// A declared parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionParameter {
    /// What it is.
    pub kind: ParameterKind,
    /// Bytes.
    pub size: u8,
    /// None defined.
    pub flags: u16,
    /// Name, empty if it has none.
    pub name: String,
    /// Byte offset in the constants, or binding ordinal.
    pub offset: u16,
}

/// What a device keeps of a loaded executable.
pub trait ExecutableBackend: Any + Send + Sync {
    /// The functions, by ordinal. Called once.
    fn functions(&self) -> Vec<FunctionInfo>;

    /// Declared parameters of a function that exists. UNAVAILABLE if there is no table.
    fn parameters(&self, ordinal: usize) -> Result<Vec<FunctionParameter>>;
}

/// A loaded executable.
pub struct Executable {
    this: Weak<Executable>,
    id: u64,
    functions: Vec<FunctionInfo>,
    by_name: HashMap<String, usize>,
    backend: Box<dyn ExecutableBackend>,
}

impl Executable {
    /// Wraps what a device loaded.
    pub fn new(backend: Box<dyn ExecutableBackend>) -> Arc<Executable> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let functions = backend.functions();
        let mut by_name = HashMap::with_capacity(functions.len());
        for (ordinal, function) in functions.iter().enumerate() {
            // Names may repeat; the lowest ordinal answers.
            by_name.entry(function.name.clone()).or_insert(ordinal);
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Arc::new_cyclic(|this| Executable { this: this.clone(), id, functions, by_name, backend })
    }

    /// Another owner of this executable.
    pub fn retain(&self) -> Arc<Executable> {
        self.this.upgrade().expect("a borrowed executable is alive")
    }

    /// A number that no other executable of this process has; never 0.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Number of functions.
    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// What is known about a function. OUT_OF_RANGE if there is none.
    #[inline]
    pub fn function(&self, id: FunctionId) -> Result<&FunctionInfo> {
        match usize::try_from(id.0).ok().and_then(|ordinal| self.functions.get(ordinal)) {
            Some(function) => Ok(function),
            None => bail!(OutOfRange, "function {} of an executable with {}", id.0, self.functions.len()),
        }
    }

    /// At most `capacity` declared parameters of a function.
    pub fn parameters(&self, id: FunctionId, capacity: usize) -> Result<Vec<FunctionParameter>> {
        self.function(id)?;
        let mut parameters = self.backend.parameters(id.0 as usize)?;
        parameters.truncate(capacity);
        Ok(parameters)
    }

    /// The function with this name. NOT_FOUND if there is none.
    pub fn lookup_function(&self, name: &str) -> Result<FunctionId> {
        match self.by_name.get(name) {
            Some(&ordinal) => Ok(FunctionId(ordinal as u64)),
            None => bail!(NotFound, "no function `{name}` in the executable"),
        }
    }

    /// Globals of executables are not reachable on any device so far.
    pub fn lookup_global(&self, name: &str) -> Result<crate::memory::ExternalKind> {
        bail!(Unimplemented, "globals of executables cannot be looked up (`{name}`)");
    }

    /// The device's own part, as its type; `None` on another device.
    #[inline]
    pub fn backend<T: ExecutableBackend>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.backend;
        any.downcast_ref()
    }
}

impl std::fmt::Debug for Executable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executable").field("id", &self.id).field("functions", &self.functions.len()).finish()
    }
}
