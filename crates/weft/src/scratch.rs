//! Storage that a caller brings: whether scratch is large enough.
//!
//! What lives here: [`Scratch`]. What does not: the call itself (`function.rs`).
//!
//! A compiled program takes the length of such a buffer for granted: its kernels were compiled for the size that the
//! module states, as the reflection attribute `iree.abi.transients.size.constant` or through the function that
//! `iree.abi.transients.size` names, and they write that much wherever the buffer ends. So the size is compared before
//! the call.

use weft_hal::Buffer;
use weft_sync::{Result, WhileDoing, bail};
use weft_vm::{Linkage, Module, Value};

use crate::declaration::arguments_marked;
use crate::program::Program;

/// The scratch argument of a function.
#[derive(Clone)]
pub(crate) struct Scratch {
    argument: usize,
    size: Size,
}

#[derive(Clone)]
enum Size {
    Constant(u64),
    /// Takes the arguments of the function itself.
    Computed(weft_vm::Function),
}

impl Scratch {
    /// What the attributes of a function say; `None` if it takes no scratch storage.
    pub fn of<'a>(
        program: &Program,
        module: &Module,
        attribute: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Option<Scratch>> {
        let size = if let Some(constant) = attribute("iree.abi.transients.size.constant") {
            match constant.parse() {
                Ok(bytes) => Size::Constant(bytes),
                Err(_) => bail!(
                    InvalidArgument,
                    "`iree.abi.transients.size.constant` should be a number of bytes, is `{constant}`"
                ),
            }
        } else if let Some(name) = attribute("iree.abi.transients.size") {
            let Some(ordinal) = module.find_export(name) else {
                bail!(NotFound, "`iree.abi.transients.size` names `{name}`, which is not exported")
            };
            let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
            Size::Computed(program.context().function_at(module.name(), Linkage::Export, ordinal)?)
        } else {
            return Ok(None);
        };
        let marked = attribute("iree.abi.declaration")
            .and_then(|declaration| arguments_marked(declaration, "iree.abi.transients").next());
        // Without knowing which argument it is, no call could be checked.
        let Some(argument) = marked else {
            bail!(InvalidArgument, "it takes scratch storage, but its declaration does not say where");
        };
        Ok(Some(Scratch { argument, size }))
    }

    /// Refuses a buffer that is too small for a call with these arguments.
    pub fn check(&self, inputs: &[Value]) -> Result<()> {
        let Some(Value::Ref(Some(storage))) = inputs.get(self.argument) else { return Ok(()) };
        // Anything else the program refuses itself.
        let Some(buffer) = storage.get::<Buffer>() else { return Ok(()) };
        let needed = self.needed(inputs)?;
        let length = buffer.byte_length();
        if length < needed {
            let argument = self.argument;
            bail!(OutOfRange, "argument {argument}: scratch storage of {length} bytes, {needed} are needed");
        }
        Ok(())
    }

    fn needed(&self, inputs: &[Value]) -> Result<u64> {
        let sizer = match &self.size {
            Size::Constant(bytes) => return Ok(*bytes),
            Size::Computed(sizer) => sizer,
        };
        let mut results = Vec::new();
        sizer.invoke(inputs, &mut results).while_doing(|| "computing the size of scratch storage")?;
        match results.as_slice() {
            [Value::I64(bytes)] if *bytes >= 0 => Ok(bytes.unsigned_abs()),
            other => bail!(InvalidArgument, "the size of scratch storage was computed as {other:?}"),
        }
    }
}
