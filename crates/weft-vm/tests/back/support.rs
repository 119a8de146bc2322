//! What the cases need: modules from text, calls with tuples of values, an object that knows when it dies.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use weft_vm::module_builder::ModuleBuilder;
use weft_vm::native::NativeModule;
use weft_vm::{BytecodeModule, Context, Function, Instance, Module, ModuleBytes, Ref, Value};

pub use weft_sync::{Code, Result, Status};

/// An instance that knows the types of the tests.
pub fn instance() -> Arc<Instance> {
    let instance = Instance::new();
    register(&instance);
    instance
}

/// Makes the types of the tests known: `!test.token` and `!test.other`.
pub fn register(instance: &Instance) {
    instance.register::<Token>("test.token").expect("registered");
    instance.register::<Other>("test.other").expect("registered");
}

/// Builds, loads and wraps a module.
pub fn load(instance: &Instance, builder: ModuleBuilder) -> Module {
    let bytes = builder.build().expect("the module is built");
    BytecodeModule::load(instance, ModuleBytes::copy_of(&bytes)).expect("the module loads").into()
}

/// A context of one module called `m`, after the given ones.
pub fn context_of(before: Vec<Module>, builder: ModuleBuilder) -> Arc<Context> {
    let instance = instance();
    let mut modules = before;
    modules.push(load(&instance, builder));
    Context::new(&instance, modules).expect("the context is made")
}

/// A context of one module.
pub fn context(builder: ModuleBuilder) -> Arc<Context> {
    context_of(Vec::new(), builder)
}

/// An empty module called `m`.
pub fn module() -> ModuleBuilder {
    ModuleBuilder::new("m")
}

/// The only function of a module: exported as `f`.
pub fn function(cconv: &str, text: &str) -> Function {
    context(module().function("f", cconv, text)).function("m.f").expect("exported")
}

/// Runs a function of its own.
pub fn run(cconv: &str, text: &str, arguments: &[Value]) -> Result<Vec<Value>> {
    function(cconv, text).call(arguments)
}

/// The code of a failure.
pub fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("a failure").code()
}

/// Shorthands for values.
pub fn i(value: i32) -> Value {
    Value::I32(value)
}

pub fn l(value: i64) -> Value {
    Value::I64(value)
}

pub fn f(value: f32) -> Value {
    Value::F32(value)
}

pub fn d(value: f64) -> Value {
    Value::F64(value)
}

pub fn r(reference: &Ref) -> Value {
    Value::Ref(Some(reference.clone()))
}

/// Counts the live tokens of one test.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<AtomicI64>);

impl Live {
    pub fn count(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// A new object that counts while it lives.
    pub fn token(&self) -> Ref {
        self.numbered(0)
    }

    pub fn numbered(&self, number: i64) -> Ref {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ref::new(Arc::new(Token { live: self.clone(), number, log: None }))
    }

    /// A token that writes its number down when it dies.
    pub fn logged(&self, number: i64, log: &Log) -> Ref {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ref::new(Arc::new(Token { live: self.clone(), number, log: Some(log.clone()) }))
    }
}

/// What happened, in order.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<i64>>>);

impl Log {
    pub fn add(&self, entry: i64) {
        self.0.lock().expect("not poisoned").push(entry);
    }

    pub fn take(&self) -> Vec<i64> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

/// `!test.token`.
#[derive(Debug)]
pub struct Token {
    live: Live,
    pub number: i64,
    log: Option<Log>,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.live.0.fetch_sub(1, Ordering::SeqCst);
        if let Some(log) = &self.log {
            log.add(self.number);
        }
    }
}

/// `!test.other`.
#[derive(Debug, Default)]
pub struct Other;

/// A native module `host` whose `make` gives tokens, `number` reads them, `note` logs, `fail` fails.
pub fn host(live: &Live, log: &Log) -> Module {
    let (maker, noter) = (live.clone(), log.clone());
    NativeModule::builder("host", 3, |_| Ok(()))
        .export("make", move |_: &(), number: i64| Ok(maker.numbered(number)))
        .export("number", |_: &(), token: &Token| Ok(token.number))
        .export("same", |_: &(), (a, b): (Option<Ref>, Option<Ref>)| Ok(a == b))
        .export("note", move |_: &(), number: i32| {
            noter.add(number.into());
            Ok(())
        })
        .export("fail", |_: &(), number: i32| -> Result<()> {
            let code = Code::from_raw(number as u32).unwrap_or(Code::Unknown);
            Err(Status::new(code, format!("host fails with {number}")))
        })
        .export("id32", |_: &(), value: i32| Ok(value))
        .export("pair", |_: &(), value: i32| Ok((value, value + 1)))
        .build()
        .expect("the host module is built")
        .into()
}
