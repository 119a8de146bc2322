//! Runs compiled machine-learning programs: load once, share, call with typed tensors.
//!
//! ```
//! use weft::{Program, Tensor};
//!
//! fn main() -> weft::Result<()> {
//!     let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/digits/digits.vmfb");
//!     let program = Program::load(path)?;
//!     let image = Tensor::new(&[8, 8], &[0.5f32; 64])?;
//!     let (scores, class): (Tensor, Tensor) = program.call("classify", &image)?;
//!     assert_eq!(scores.dims(), [10]);
//!     println!("class {} of {scores}", class.item::<i32>()?);
//!     Ok(())
//! }
//! ```
//!
//! | to | see |
//! |---|---|
//! | load one compiled module | [`Program::load`], [`Program::from_bytes`] |
//! | choose devices, link several modules, receive traces | [`Session`], [`ProgramBuilder`] |
//! | call by name, or often | [`Program::call`], [`Function::call`] |
//! | let the caller go on while work is under way | [`Function::call_fenced`] with [`Fences`] |
//! | cancel a call, give it fences and outputs | [`Function::prepare`], [`Call`], [`CancelToken`] |
//! | make and read tensors | [`Tensor`], [`Element`] |
//! | give programs their weights by name | [`parameters`], [`SessionBuilder::parameters`] |
//! | run compiled tests | [`CheckLog`], [`Program::fresh`] |
//! | choose who loads kernels | [`DeviceOptions`], [`default_loaders`] |
//! | let devices read and write files | [`Session::open_file`], [`FilePoller`] |
//!
//! A [`Program`] is `Send + Sync` and cheap to clone; calls take `&self`. Errors are [`Status`] values whose message
//! names what was expected and what was found, followed by the trail of steps that led there.
//!
//! # What is trusted
//!
//! A module is checked before it runs: its tables and bytecode cannot break memory safety, nor can wrong arguments of the
//! host or of any queue operation. **Kernels are machine code**, compiled without bounds checks: weft checks which ranges of
//! which buffers they are given, and nothing can check what they do with them. So
//!
//! * load only modules whose *kernels* you would link into your program; kernels that are bytecode
//!   (`--iree-hal-target-backends=vmvx`) are the exception: they are checked like everything else, and cannot leave their
//!   bindings;
//! * values that become indices (of a gather, say) or that have to agree with each other (dynamic shapes of two arguments)
//!   are checked only where the program checks them: compile with assertions, or check them before the call, if they come
//!   from strangers;
//! * a module's functions, its initialiser included, may run without end: [`Call::budget`] and [`Call::cancelled_by`] bound
//!   calls; loading is not bounded.
//!
//! The lower layers are re-exported for tools: [`vm`], [`hal`], [`cpu`], [`task`], [`io`], [`sync`]. They make no promises between
//! versions.

pub use weft_cpu as cpu;
pub use weft_hal as hal;
pub use weft_io as io;
pub use weft_sync as sync;
pub use weft_task as task;
pub use weft_vm as vm;

mod call;
mod check_module;
mod compare;
mod declaration;
mod drivers;
mod file_poller;
mod function;
pub mod hal_module;
mod outputs;
pub mod parameters;
mod program;
mod scratch;
mod session;
mod tensor;
mod value;
mod vmvx;

pub use call::{Call, Fences};
pub use check_module::CheckLog;
pub use compare::{Difference, Tolerance, compare_contents};
pub use drivers::{DEFAULT_DRIVER, DeviceOptions, Driver, drivers, open_device, open_device_with};
pub use file_poller::FilePoller;
pub use function::Function;
pub use hal_module::TraceSink;
pub use program::{Program, ProgramBuilder};
pub use session::{Session, SessionBuilder};
pub use tensor::{Element, Tensor, host_allocator};
pub use value::{FromResult, FromResults, IntoArguments, Value};
pub use vmvx::{VMVX_FORMAT, VmvxLoader, default_loaders};
pub use weft_hal::{Device, ElementType, Fence, Shape};
pub use weft_sync::{Code, Deadline, Result, Status, Status as Error};
pub use weft_vm::{CancelToken, InvokeOptions};

/// Programs, functions and tensors go to any thread.
const _: () = {
    const fn shareable<T: Send + Sync + Clone>() {}
    shareable::<Session>();
    shareable::<Program>();
    shareable::<Function>();
    shareable::<Tensor>();
    shareable::<Value>();
};
