//! Between the interface of machine code and a Rust kernel: one function made for each kernel type.
#![allow(
    unsafe_code,
    reason = "entered from the grid loop with raw pointers; turns them into borrowed views"
)]

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::c_int;
use std::num::NonZeroI32;
use std::panic::{AssertUnwindSafe, catch_unwind};

use weft_sync::Status;

use super::library::NativeKernel;
use super::workgroup::Workgroup;
use crate::abi::{DispatchState, Environment, WorkgroupState};
use crate::executable;

/// Why a Rust kernel failed: a number as compiled kernels give one, and a text.
#[derive(Clone, Debug)]
pub struct KernelError {
    code: NonZeroI32,
    text: Cow<'static, str>,
}

/// What a Rust kernel returns.
pub type KernelResult = std::result::Result<(), KernelError>;

impl KernelError {
    /// A failure with a number of the kernel's own choice.
    pub fn new(code: NonZeroI32, text: impl Into<Cow<'static, str>>) -> KernelError {
        KernelError { code, text: text.into() }
    }
}

impl From<&'static str> for KernelError {
    fn from(text: &'static str) -> KernelError {
        KernelError::new(NonZeroI32::MIN, text)
    }
}

impl From<String> for KernelError {
    fn from(text: String) -> KernelError {
        KernelError::new(NonZeroI32::MIN, text)
    }
}

impl From<Status> for KernelError {
    fn from(status: Status) -> KernelError {
        let code = i32::try_from(status.code().raw()).ok().and_then(NonZeroI32::new);
        KernelError::new(code.unwrap_or(NonZeroI32::MIN), status.to_string())
    }
}

/// Number of a workgroup that panicked.
const PANICKED: c_int = -1;

/// What a failing kernel leaves beside its number.
pub(crate) enum Failure {
    /// More about the number.
    Text(Cow<'static, str>),
    /// The whole answer, where an interpreter knows better than a number.
    Status(Status),
}

thread_local! {
    /// The last failure on this thread, and the environment that it belongs to: the interface itself has room for
    /// a number only. Whoever ran the grid takes it on the same thread, before any other kernel runs there.
    static FAILURE: RefCell<Option<(usize, Failure)>> = const { RefCell::new(None) };
}

/// What a kernel with this environment left on this thread.
pub(crate) fn take_failure(environment: *const Environment) -> Option<Failure> {
    let failure = FAILURE.with(RefCell::take);
    failure.filter(|(owner, _)| *owner == environment.addr()).map(|(_, failure)| failure)
}

#[cold]
fn leave(environment: *const Environment, code: c_int, text: Cow<'static, str>) -> c_int {
    FAILURE.with(|slot| slot.replace(Some((environment.addr(), Failure::Text(text)))));
    code
}

/// Leaves a status for [`take_failure`], and gives the number that goes with it.
#[cold]
pub(crate) fn leave_status(environment: *const Environment, status: Status) -> c_int {
    let code = i32::try_from(status.code().raw()).unwrap_or(PANICKED);
    FAILURE.with(|slot| slot.replace(Some((environment.addr(), Failure::Status(status)))));
    code
}

/// Leaves what a panic said, and gives the number that goes with it.
#[cold]
pub(crate) fn leave_panic(environment: *const Environment, panic: Box<dyn Any + Send>) -> c_int {
    leave(environment, PANICKED, Cow::Owned(format!("panicked: {}", crate::panics::text(panic))))
}

crate::abi::psabi_fn! {
    /// Runs one workgroup of `K`.
    ///
    /// # Safety
    /// As [`crate::dispatch::run_grid`] calls kernels, with the environment of an executable that was made from a library
    /// with state `K::State`.
    pub(super) unsafe fn run_kernel[K: NativeKernel](
        environment: *const Environment,
        dispatch: *const DispatchState,
        workgroup: *const WorkgroupState,
    ) -> c_int {
        // SAFETY: by the caller.
        let state = unsafe { executable::native_state::<K::State>(environment) };
        // SAFETY: by the caller, non-null, aligned, readable and unchanged during the call.
        let dispatch = unsafe { &*dispatch };
        // SAFETY: as above.
        let workgroup = unsafe { &*workgroup };
        let run = || {
            // Made in here, so that the specification is a constant where the kernel is inlined.
            // SAFETY: the states are those of one call for an export with `K::SPEC`, whose demands were checked before the first
            // workgroup; bindings and local memory are valid for the call.
            let mut workgroup = unsafe { Workgroup::new(&K::SPEC, dispatch, workgroup) };
            K::run(state, &mut workgroup)
        };
        // Unwind safety: the workgroup is gone after a panic; state is shared, and as with any lock-free sharing in Rust its
        // author decides what a panic in the middle leaves behind.
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => 0,
            Ok(Err(error)) => leave(environment, error.code.get(), error.text),
            Err(panic) => leave_panic(environment, panic),
        }
    }
}
