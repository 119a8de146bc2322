//! Loading a module and calling what it exports, within bounds of time and memory.

use std::sync::Arc;

use weft_sync::{Code, Result, status};
use weft_vm::native::{NativeModule, Signal};
use weft_vm::{
    BytecodeModule, Context, Instance, InstanceOptions, InvokeOptions, Linkage, Module, Ref, Value,
};

/// Branches and calls of one invocation.
const BUDGET: u64 = 2_000;

/// Bytes of call stack and of module state.
const BYTES_MAX: usize = 1 << 20;

/// An instance with tight limits.
pub fn instance() -> Arc<Instance> {
    let options =
        InstanceOptions { stack_bytes_max: BYTES_MAX, state_bytes_max: BYTES_MAX, ..Default::default() };
    Instance::with_options(options)
}

/// A module whose functions take numbers and objects, fail, and suspend: what generated programs import.
pub fn host() -> Result<Arc<NativeModule>> {
    NativeModule::builder("host", 0, |_| Ok(()))
        .export("add", |_: &(), (a, b): (i32, i64)| Ok(i64::from(a).wrapping_add(b)))
        .export("same", |_: &(), object: Option<Ref>| Ok(object))
        .export("fail", |_: &(), code: i32| -> Result<()> {
            match Code::from_raw(code as u32) {
                Some(code) if code != Code::Deferred => Err(weft_sync::Status::new(code, "asked to")),
                _ => Err(status!(Unknown, "asked to fail with {code}")),
            }
        })
        .build()
}

/// Loads the module beside `host`, runs `__init`, calls every export with zeros and nulls, forks, and drops it all.
/// Failures are fine; only crashes, hangs and panics are not. Returns how many calls ran.
pub fn load_and_call(module: Arc<BytecodeModule>, instance: &Arc<Instance>) -> Result<usize> {
    let count = module.archive().exports.len();
    let handle: Module = module.into();
    let context = Context::dynamic(instance, vec![host()?.into()])?;
    // A hostile `__init` may loop; it is called below within a budget instead of by the context.
    if handle.find_export("__init").is_some() || handle.find_export("__deinit").is_some() {
        return Ok(0);
    }
    context.register(handle.clone())?;
    let options = InvokeOptions { cancel: None, budget: Some(BUDGET) };
    let mut ran = 0;
    for ordinal in 0..count {
        let Ok(function) = context.function_at(handle.name(), Linkage::Export, ordinal as u32) else {
            continue;
        };
        let arguments: Vec<Value> =
            function.signature().argument_kinds().into_iter().flatten().map(zero).collect();
        let mut results = Vec::new();
        let _ = function.invoke_with(&options, &arguments, &mut results);
        ran += 1;
    }
    if handle.find_export("__notify").is_none() {
        let fork = context.fork()?;
        fork.signal(Signal::LowMemory)?;
    }
    Ok(ran)
}

fn zero(kind: weft_vm::isa::Kind) -> Value {
    use weft_vm::isa::Kind;
    match kind {
        Kind::I32 => Value::I32(0),
        Kind::I64 => Value::I64(0),
        Kind::F32 => Value::F32(0.0),
        Kind::F64 => Value::F64(0.0),
        Kind::Ref => Value::NULL,
    }
}
