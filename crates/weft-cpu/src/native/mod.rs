//! Kernels written in Rust, dispatched through the same interface as compiled ones.
//!
//! What lives here: the definition of a kernel ([`NativeKernel`]), what it sees ([`Workgroup`]), and libraries of them
//! ([`NativeLibrary`]). What does not: finding a library by name (`loader/bundled.rs`).
//!
//! 1. A call costs what a compiled kernel's costs: one indirect call to a shim made for the kernel's type.
//! 2. The demands on bindings are checked once for each dispatch, before the first workgroup.
//! 3. State is made once for each executable, from its specialization constants, and shared by all calls.
//! 4. Panics and errors become the failure of the dispatch, with their text; nothing unwinds into the device.
//!
//! ```
//! use weft_cpu::native::{KernelResult, KernelSpec, NativeKernel, NativeLibrary, Workgroup, reads, writes};
//!
//! /// out[x] = in[x] * constant 0, one element for each workgroup.
//! struct Scale;
//! impl NativeKernel for Scale {
//!     type State = ();
//!     const SPEC: KernelSpec = KernelSpec {
//!         constant_count: 1,
//!         bindings: &[reads(4), writes(4)],
//!         ..KernelSpec::new("scale")
//!     };
//!     fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> KernelResult {
//!         let x = workgroup.id()[0] as usize;
//!         let factor = f32::from_bits(workgroup.constants()[0]);
//!         let input = workgroup.input::<f32>(0);
//!         workgroup.output::<f32>(1).set(x, input.get(x) * factor);
//!         Ok(())
//!     }
//! }
//! let library = NativeLibrary::stateless("math").kernel::<Scale>()?.build();
//! assert_eq!(library.name(), "math");
//! # Ok::<(), weft_sync::Status>(())
//! ```

mod library;
mod shim;
mod workgroup;

pub use library::{
    KernelSpec, NativeKernel, NativeLibrary, NativeLibraryBuilder, ParameterSpec, reads, reads_and_writes,
    writes,
};
pub use shim::{KernelError, KernelResult};
pub use workgroup::{Element, Input, Output, Workgroup};

pub(crate) use shim::{Failure, leave_panic, leave_status, take_failure};
