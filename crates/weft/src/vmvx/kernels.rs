//! The kernels of one executable as an [`Interpreter`]: each workgroup is called in a context that no other thread uses.
//!
//! What lives here: making contexts, taking them and putting them back. What does not: the call itself (`caller.rs`).

use std::sync::Arc;

use weft_cpu::loader::{Interpreter, WorkgroupCall};
use weft_sync::{Result, WhileDoing, bail};
use weft_vm::{Buffer, BytecodeModule, Context, Instance, Module, NativeModule, Ref, Value};

use super::caller::Caller;
use super::entries::{Entry, SET_CONSTANTS};
use super::idle::Idle;

/// The kernels of one module.
pub(super) struct Kernels {
    instance: Arc<Instance>,
    modules: [Module; 2],
    entries: Vec<Entry>,
    constants: Vec<u32>,
    idle: Idle<Caller>,
}

impl Kernels {
    /// Links and initialises a first context, so that its errors are those of loading.
    pub fn new(
        instance: &Arc<Instance>,
        operations: &Arc<NativeModule>,
        module: Arc<BytecodeModule>,
        entries: Vec<Entry>,
        constants: &[u32],
    ) -> Result<Kernels> {
        let takes_constants =
            module.archive().exports.iter().any(|export| export.local_name == SET_CONSTANTS);
        match (takes_constants, constants.len()) {
            (true, 0) => bail!(InvalidArgument, "the executable needs specialization constants, none given"),
            (false, 1..) => {
                bail!(
                    InvalidArgument,
                    "the executable takes no specialization constants, {} given",
                    constants.len()
                )
            }
            _ => {}
        }
        let kernels = Kernels {
            instance: instance.clone(),
            modules: [operations.clone().into(), module.into()],
            entries,
            constants: constants.to_vec(),
            idle: Idle::new(),
        };
        kernels.idle.put(Box::new(kernels.make_caller()?));
        Ok(kernels)
    }

    #[cold]
    fn make_caller(&self) -> Result<Caller> {
        let context = Context::new(&self.instance, self.modules.to_vec())?;
        let name = self.modules[1].name();
        if !self.constants.is_empty() {
            let bytes: Vec<u8> = self.constants.iter().flat_map(|constant| constant.to_le_bytes()).collect();
            let bytes = Ref::new(Arc::new(Buffer::from_bytes(bytes)));
            let set = context.export(name, SET_CONSTANTS)?;
            set.invoke_unsuspended(&[Value::from(bytes)], &mut Vec::new())
                .while_doing(|| "setting specialization constants")?;
        }
        Caller::new(&context, name, &self.entries)
    }
}

impl Interpreter for Kernels {
    fn run(&self, call: &WorkgroupCall<'_>) -> Result<()> {
        let mut caller = match self.idle.take() {
            Some(caller) => caller,
            None => Box::new(self.make_caller().while_doing(|| "making a context for another worker")?),
        };
        let outcome = caller.call(call);
        if caller.is_intact() {
            self.idle.put(caller);
        }
        outcome
    }
}
