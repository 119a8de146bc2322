//! Definitions of Rust kernels and libraries of them.

use std::sync::Arc;

use weft_hal::{BindingInfo, FunctionParameter, MemoryAccess, ParameterKind};
use weft_sync::{Result, bail};

use super::shim::{self, KernelResult};
use super::workgroup::Workgroup;
use crate::abi::{
    BINDING_COUNT_MAX, CONSTANT_COUNT_MAX, DispatchAttributes, KernelFunction, LOCAL_MEMORY_PAGE_BYTES,
};
use crate::executable::{EnvironmentOwner, Export, Location};

/// One logical parameter, for reflection.
#[derive(Clone, Copy, Debug)]
pub struct ParameterSpec {
    /// What it is.
    pub kind: ParameterKind,
    /// Bytes without padding; ignored for bindings.
    pub size: u8,
    /// Byte offset in the constants, or binding ordinal.
    pub offset: u16,
    /// Name.
    pub name: &'static str,
}

/// Everything about a kernel that a device needs to know.
#[derive(Clone, Copy, Debug)]
pub struct KernelSpec {
    /// Name of the export, unique in its library, not empty.
    pub name: &'static str,
    /// 32-bit push constants, at most 64.
    pub constant_count: u8,
    /// Bindings, at most 64.
    pub bindings: &'static [BindingInfo],
    /// Workgroup size, 0 where unspecified.
    pub workgroup_size: [u32; 3],
    /// Whether a dispatch may choose multiples of the workgroup size.
    pub workgroup_size_dynamic: bool,
    /// Whether neighbouring workgroups touch neighbouring data.
    pub sequential: bool,
    /// Scratch for each workgroup, rounded up to pages.
    pub local_memory_bytes: u32,
    /// Logical parameters, if they are described.
    pub parameters: Option<&'static [ParameterSpec]>,
    /// Text for traces.
    pub tag: Option<&'static str>,
    /// `Some((file!(), line!()))`.
    pub location: Option<(&'static str, u32)>,
}

/// A binding that is read, of at least so many bytes.
pub const fn reads(length_min: u64) -> BindingInfo {
    BindingInfo { access: MemoryAccess::READ, length_min }
}

/// A binding that is written, of at least so many bytes.
pub const fn writes(length_min: u64) -> BindingInfo {
    BindingInfo { access: MemoryAccess::WRITE, length_min }
}

/// A binding that is read and written, of at least so many bytes.
pub const fn reads_and_writes(length_min: u64) -> BindingInfo {
    BindingInfo { access: MemoryAccess::READ.union(MemoryAccess::WRITE), length_min }
}

impl KernelSpec {
    /// A kernel without constants, bindings or wishes.
    pub const fn new(name: &'static str) -> KernelSpec {
        KernelSpec {
            name,
            constant_count: 0,
            bindings: &[],
            workgroup_size: [0; 3],
            workgroup_size_dynamic: false,
            sequential: false,
            local_memory_bytes: 0,
            parameters: None,
            tag: None,
            location: None,
        }
    }
}

/// A kernel. The type itself carries no data: what calls share is its library's state.
pub trait NativeKernel: 'static {
    /// State of the library that the kernel belongs to.
    type State: Send + Sync + 'static;

    /// What a dispatch has to provide.
    const SPEC: KernelSpec;

    /// Runs one workgroup. Called concurrently from any worker; must not block.
    fn run(state: &Self::State, workgroup: &mut Workgroup<'_>) -> KernelResult;
}

type MakeState<S> = dyn Fn(&[u32]) -> Result<S> + Send + Sync;
type Prepare = dyn Fn(&[u32], &mut EnvironmentOwner) -> Result<()> + Send + Sync;

/// A library of Rust kernels, registered by its name.
pub struct NativeLibrary {
    name: Box<str>,
    exports: Vec<Export>,
    functions: Vec<KernelFunction>,
    prepare: Box<Prepare>,
}

impl NativeLibrary {
    /// Starts a library whose kernels share nothing; it takes no specialization constants.
    pub fn stateless(name: &str) -> NativeLibraryBuilder<()> {
        NativeLibrary::with_state(name, |constants| {
            if !constants.is_empty() {
                bail!(InvalidArgument, "takes no specialization constants, {} given", constants.len());
            }
            Ok(())
        })
    }

    /// Starts a library with state, which is made at each load from the specialization constants. An error fails the load.
    pub fn with_state<S: Send + Sync + 'static>(
        name: &str,
        make_state: impl Fn(&[u32]) -> Result<S> + Send + Sync + 'static,
    ) -> NativeLibraryBuilder<S> {
        NativeLibraryBuilder {
            name: name.into(),
            exports: Vec::new(),
            functions: Vec::new(),
            make_state: Box::new(make_state),
        }
    }

    /// Name under which the library is found.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn exports(&self) -> &[Export] {
        &self.exports
    }

    pub(crate) fn functions(&self) -> &[KernelFunction] {
        &self.functions
    }

    /// Makes the state and places it where the shims look for it.
    pub(crate) fn prepare(&self, constants: &[u32], environment: &mut EnvironmentOwner) -> Result<()> {
        (self.prepare)(constants, environment)
    }
}

impl std::fmt::Debug for NativeLibrary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.exports.iter().map(|export| &export.name).collect();
        f.debug_struct("NativeLibrary").field("name", &self.name).field("exports", &names).finish()
    }
}

/// Collects kernels of one library.
#[must_use]
pub struct NativeLibraryBuilder<S> {
    name: Box<str>,
    exports: Vec<Export>,
    functions: Vec<KernelFunction>,
    make_state: Box<MakeState<S>>,
}

impl<S: Send + Sync + 'static> NativeLibraryBuilder<S> {
    /// Adds a kernel; its ordinal is the number of kernels before it.
    pub fn kernel<K: NativeKernel<State = S>>(mut self) -> Result<NativeLibraryBuilder<S>> {
        const {
            assert!(K::SPEC.constant_count as usize <= CONSTANT_COUNT_MAX, "at most 64 push constants");
            assert!(K::SPEC.bindings.len() <= BINDING_COUNT_MAX, "at most 64 bindings");
            assert!(!K::SPEC.name.is_empty(), "kernels have names");
            assert!(K::SPEC.workgroup_size[2] <= u16::MAX as u32, "workgroup size z has 16 bits");
        }
        let spec = &K::SPEC;
        if self.exports.iter().any(|export| *export.name == *spec.name) {
            bail!(AlreadyExists, "library `{}` has a kernel `{}` already", self.name, spec.name);
        }
        self.exports.push(export(spec)?);
        self.functions.push(shim::run_kernel::<K>);
        Ok(self)
    }

    /// The finished library.
    pub fn build(self) -> NativeLibrary {
        let make_state = self.make_state;
        NativeLibrary {
            name: self.name,
            exports: self.exports,
            functions: self.functions,
            prepare: Box::new(move |constants, environment| {
                environment.set_native_state(Arc::new(make_state(constants)?));
                Ok(())
            }),
        }
    }
}

fn export(spec: &KernelSpec) -> Result<Export> {
    let pages = spec.local_memory_bytes.div_ceil(LOCAL_MEMORY_PAGE_BYTES);
    let Ok(local_memory_pages) = u16::try_from(pages) else {
        bail!(
            OutOfRange,
            "kernel `{}` asks for {} bytes of local memory",
            spec.name,
            spec.local_memory_bytes
        );
    };
    let parameters = spec.parameters.map(|parameters| parameters.iter().map(parameter).collect::<Box<[_]>>());
    let Ok(parameter_count) = u16::try_from(parameters.as_ref().map_or(0, |list| list.len())) else {
        bail!(OutOfRange, "kernel `{}` has more than 65535 parameters", spec.name);
    };
    let mut flags = 0;
    if spec.sequential {
        flags |= DispatchAttributes::SEQUENTIAL;
    }
    if spec.workgroup_size_dynamic {
        flags |= DispatchAttributes::WORKGROUP_SIZE_DYNAMIC;
    }
    let [x, y, z] = spec.workgroup_size;
    Ok(Export {
        name: spec.name.into(),
        attributes: DispatchAttributes {
            flags,
            local_memory_pages,
            constant_count: spec.constant_count,
            // The builder asserts that both fit.
            binding_count: spec.bindings.len() as u8,
            workgroup_size_x: x,
            workgroup_size_y: y,
            workgroup_size_z: z as u16,
            parameter_count,
            reserved: [0; 5],
        },
        parameters,
        tag: spec.tag.map(Into::into),
        location: spec.location.map(|(path, line)| Location { path: path.into(), line }),
        bindings: Some(spec.bindings.into()),
    })
}

fn parameter(spec: &ParameterSpec) -> FunctionParameter {
    let ParameterSpec { kind, size, offset, name } = *spec;
    FunctionParameter { kind, size, flags: 0, offset, name: name.to_owned() }
}
