//! Modules implemented by the host: Rust functions as imports with typed signatures.
//!
//! Lives here: [`NativeModule`] and its builder. The calling-convention string of an export is derived from the types
//! of the Rust function, and its operands are read straight from the caller's registers.
//!
//! ```
//! use std::sync::Arc;
//! use weft_vm::Buffer;
//! use weft_vm::native::{NativeModule, Object};
//!
//! struct State {
//!     shouts: bool,
//! }
//!
//! let module = NativeModule::builder("text", 1, |_instance| Ok(State { shouts: true }))
//!     .export("length", |_: &State, text: &Buffer| Ok(text.len() as i64))
//!     .export("greet", |state: &State, (name, times): (Object<'_, Buffer>, i32)| {
//!         let end = if state.shouts { "!" } else { "." };
//!         let greeting = format!("Hello {}{end}", name.text()).repeat(times as usize);
//!         Ok(Arc::new(Buffer::from_bytes(greeting)))
//!     })
//!     .build()
//!     .unwrap();
//! assert_eq!(module.export_signature("length").unwrap().text(), "0r_I");
//! assert_eq!(module.export_signature("greet").unwrap().text(), "0ri_r");
//! ```
//!
//! Not here: argument and result types (`native/argument.rs`, `native/result.rs`), what a function may ask of the call
//! that it serves (`native/call.rs`), suspension (`native/step.rs`).

mod argument;
mod call;
mod handler;
mod operands;
mod result;
mod step;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use weft_sync::{Result, bail};

use crate::signature::Signature;
use crate::types::Instance;

pub use argument::{Argument, Object, Span};
pub use call::NativeCall;
pub use handler::Handler;
pub(crate) use handler::{Outcome, Pending, ResumeCall};
pub(crate) use operands::{CallSite, U16List};
pub use operands::{Operands, ResultSlots};
pub use result::Results;
pub use step::{Resume, Step, Wait, WaitKind};

/// State of a module in one context, as the module's own type.
pub(crate) type State = Arc<dyn Any + Send + Sync>;

/// What a context tells its modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Signal {
    /// Work goes on after a pause.
    Resume = 0,
    /// A pause begins: give back what can be made again.
    Suspend = 1,
    /// Memory is short.
    LowMemory = 2,
    /// This context was just made from another one.
    Fork = 3,
}

/// A function of a native module in the one shape that the interpreter calls. Shared, because import tables hold it
/// directly.
pub(crate) type Entry = Arc<dyn Fn(&dyn Any, &mut CallSite<'_>) -> Result<Outcome> + Send + Sync>;

/// A function that a native module offers.
pub(crate) struct NativeExport {
    pub name: Box<str>,
    pub signature: Signature,
    pub entry: Entry,
}

type MakeState = Box<dyn Fn(&Arc<Instance>) -> Result<State> + Send + Sync>;
type ForkState = Box<dyn Fn(&dyn Any) -> Result<State> + Send + Sync>;
type Notify = Box<dyn Fn(&dyn Any, Signal) -> Result<()> + Send + Sync>;

/// A module of Rust functions. Immutable, shared between contexts; each context has its own state of it.
pub struct NativeModule {
    name: Box<str>,
    version: u32,
    exports: Vec<NativeExport>,
    make_state: MakeState,
    fork: Option<ForkState>,
    notify: Option<Notify>,
}

impl NativeModule {
    /// Begins a module. `make_state` is called once for each context that it is registered in.
    pub fn builder<S: Any + Send + Sync>(
        name: &str,
        version: u32,
        make_state: impl Fn(&Arc<Instance>) -> Result<S> + Send + Sync + 'static,
    ) -> NativeModuleBuilder<S> {
        let module = NativeModule {
            name: name.into(),
            version,
            exports: Vec::new(),
            make_state: Box::new(move |instance| Ok(Arc::new(make_state(instance)?))),
            fork: None,
            notify: None,
        };
        NativeModuleBuilder { module, state: std::marker::PhantomData }
    }

    /// The name that imports and dependencies go by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that dependents compare their minimum with.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How many functions the module offers.
    pub fn export_count(&self) -> usize {
        self.exports.len()
    }

    /// The name of export `ordinal`.
    pub fn export_name(&self, ordinal: usize) -> Option<&str> {
        self.exports.get(ordinal).map(|export| &*export.name)
    }

    /// The ordinal of the export with this name.
    pub fn find_export(&self, name: &str) -> Option<usize> {
        self.exports.iter().position(|export| &*export.name == name)
    }

    /// The calling convention of the export with this name.
    pub fn export_signature(&self, name: &str) -> Option<&Signature> {
        self.find_export(name).map(|ordinal| &self.exports[ordinal].signature)
    }

    pub(crate) fn export(&self, ordinal: usize) -> &NativeExport {
        &self.exports[ordinal]
    }

    pub(crate) fn make_state(&self, instance: &Arc<Instance>) -> Result<State> {
        (self.make_state)(instance)
    }

    /// The state for a forked context: by the module's rule, else made anew.
    pub(crate) fn fork_state(&self, instance: &Arc<Instance>, parent: &dyn Any) -> Result<State> {
        match &self.fork {
            Some(fork) => fork(parent),
            None => self.make_state(instance),
        }
    }

    pub(crate) fn notify(&self, state: &dyn Any, signal: Signal) -> Result<()> {
        match &self.notify {
            Some(notify) => notify(state, signal),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for NativeModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NativeModule({} {}, {} exports)", self.name, self.version, self.exports.len())
    }
}

/// Collects the functions of a [`NativeModule`] whose state is an `S`.
#[must_use]
pub struct NativeModuleBuilder<S> {
    module: NativeModule,
    state: std::marker::PhantomData<fn(&S)>,
}

impl<S: Any + Send + Sync> NativeModuleBuilder<S> {
    /// Adds a function that finishes without suspending. It may borrow its arguments: `|state: &S, (a, b): (&A, i32)|`.
    /// One argument needs no tuple; none is written `(): ()`.
    pub fn export<A, R, H>(self, name: &str, handler: H) -> Self
    where
        A: Argument + 'static,
        R: Results + 'static,
        H: Handler<S, A, R>,
    {
        self.add::<A, R>(name, handler::entry(handler))
    }

    /// Adds a function that may suspend the invocation. What it needs later it takes along in the closure.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use weft_sync::{Deadline, Point, Semaphore};
    /// use weft_vm::native::{NativeModule, Object, Step, Wait};
    /// let module = NativeModule::builder("sync", 0, |_| Ok(()))
    ///     .export_yielding("await", |_: &(), (semaphore, value): (Object<'_, Semaphore>, u64)| {
    ///         let point = Point { semaphore: semaphore.to_arc(), value };
    ///         Ok(Step::wait(Wait::all([point], Deadline::NEVER), |outcome| outcome.map(Step::Done)))
    ///     })
    ///     .build()
    ///     .unwrap();
    /// assert_eq!(module.export_signature("await").unwrap().text(), "0rI_v");
    /// ```
    pub fn export_yielding<A, R, H>(self, name: &str, handler: H) -> Self
    where
        A: Argument + 'static,
        R: Results + 'static,
        H: Handler<S, A, Step<R>>,
    {
        self.add::<A, R>(name, handler::yielding_entry(handler))
    }

    /// How the state of a forked context comes about; without it a new one is made.
    pub fn on_fork(mut self, fork: impl Fn(&S) -> Result<S> + Send + Sync + 'static) -> Self {
        self.module.fork = Some(Box::new(move |parent| Ok(Arc::new(fork(handler::state(parent))?))));
        self
    }

    /// What happens when the context is told about a pause, short memory, or a fork.
    pub fn on_signal(mut self, notify: impl Fn(&S, Signal) -> Result<()> + Send + Sync + 'static) -> Self {
        self.module.notify = Some(Box::new(move |state, signal| notify(handler::state(state), signal)));
        self
    }

    /// The module. Two exports of one name are an error.
    pub fn build(self) -> Result<Arc<NativeModule>> {
        let module = self.module;
        for (ordinal, export) in module.exports.iter().enumerate() {
            if module.find_export(&export.name) != Some(ordinal) {
                bail!(AlreadyExists, "module `{}` exports `{}` twice", module.name, export.name);
            }
        }
        Ok(Arc::new(module))
    }

    fn add<A: Argument, R: Results>(mut self, name: &str, entry: Entry) -> Self {
        let signature = derived_signature::<A, R>();
        self.module.exports.push(NativeExport { name: name.into(), signature, entry });
        self
    }
}

/// The calling convention of a function with these types, `v` for nothing as the compiler writes it.
fn derived_signature<A: Argument, R: Results>() -> Signature {
    let mut text = String::from("0");
    A::describe(&mut text);
    if text.len() == 1 {
        text.push('v');
    }
    text.push('_');
    let arguments = text.len();
    R::describe(&mut text);
    if text.len() == arguments {
        text.push('v');
    }
    Signature::parse(&text).expect("argument types give a calling convention; spans are not nested")
}
