//! What a native function may ask of the call that it serves.
//!
//! Lives here: [`NativeCall`], an argument that takes no operand. Not here: operands (`argument.rs`), how calls end
//! (`step.rs`).

use weft_sync::{CancelToken, Result};

use super::argument::Argument;
use super::operands::Operands;

/// The call that a native function serves. Take it as one more argument, at any place; programs do not see it.
///
/// ```
/// use weft_vm::native::{NativeCall, NativeModule};
/// use weft_vm::{CancelToken, Context, Instance, InvokeOptions};
/// let module = NativeModule::builder("host", 0, |_| Ok(()))
///     .export("is_bound", |_: &(), (call, _value): (NativeCall<'_>, i32)| Ok(i32::from(call.cancel().is_some())))
///     .build()?;
/// assert_eq!(module.export_signature("is_bound").unwrap().text(), "0i_i");
/// let is_bound = Context::new(&Instance::new(), vec![module.into()])?.function("host.is_bound")?;
/// assert_eq!(is_bound.call(&[4.into()])?, [0.into()]);
/// let options = InvokeOptions { cancel: Some(CancelToken::new()), budget: None };
/// let mut results = Vec::new();
/// is_bound.invoke_with(&options, &[4.into()], &mut results)?;
/// assert_eq!(results, [1.into()]);
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NativeCall<'a> {
    cancel: Option<&'a CancelToken>,
}

impl<'a> NativeCall<'a> {
    /// What ends the invocation from outside, if anything does: to be passed on to all that the function begins. A clone of
    /// it may be kept.
    #[inline]
    pub fn cancel(self) -> Option<&'a CancelToken> {
        self.cancel
    }
}

impl Argument for NativeCall<'_> {
    type At<'a> = NativeCall<'a>;
    const VALUES: usize = 0;

    fn describe(_letters: &mut String) {}

    #[inline(always)]
    fn read<'a>(operands: &mut Operands<'a>) -> Result<NativeCall<'a>> {
        Ok(NativeCall { cancel: operands.cancel() })
    }
}
