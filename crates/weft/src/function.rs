//! Functions of a program: what they take and give, and the short ways of calling them.
//!
//! What lives here: [`Function`], checks of arguments. What does not: the call itself and all that can be said about it
//! (`call.rs`), conversions of arguments and results (`value.rs`).
//!
//! Functions compiled for asynchronous callers (model `coarse-fences`, `docs/spec/hal-module.md` §9) take two fences
//! after their arguments. Both ways of calling work for both kinds of functions.

use crate::call::{Call, Fences};
use crate::declaration::{StorageArgument, arguments_marked, storage_arguments};
use crate::program::Program;
use crate::scratch::Scratch;
use crate::value::{FromResults, IntoArguments, Value};
use std::fmt;
use weft_hal::{Buffer, MemoryAccess};
use weft_sync::{Code, Result, Status, WhileDoing, bail};
use weft_vm::isa::Kind;
use weft_vm::signature::{Argument, Signature};
use weft_vm::{InvokeOptions, Linkage, Module, Ref};

/// A function of a program, looked up once. Cheap to clone; keeps the program alive.
#[derive(Clone)]
pub struct Function {
    program: Program,
    module: Module,
    ordinal: u32,
    handle: weft_vm::Function,
    is_asynchronous: bool,
    scratch: Option<Scratch>,
    /// Arguments whose storage the function writes.
    written: Vec<usize>,
    /// Those of them that are storage of results.
    storage: Vec<StorageArgument>,
}

impl Function {
    pub(crate) fn find(program: &Program, module: &Module, name: &str) -> Result<Function> {
        match module.find_export(name) {
            Some(ordinal) => Function::at(program, module, ordinal),
            None => bail!(NotFound, "no function `{name}` exported by module `{}`", module.name()),
        }
    }

    pub(crate) fn at(program: &Program, module: &Module, ordinal: usize) -> Result<Function> {
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        let handle = program.context().function_at(module.name(), Linkage::Export, ordinal)?;
        let mut function = Function {
            program: program.clone(),
            module: module.clone(),
            ordinal,
            handle,
            is_asynchronous: false,
            scratch: None,
            written: Vec::new(),
            storage: Vec::new(),
        };
        function.is_asynchronous = function.attribute("iree.abi.model") == Some("coarse-fences");
        function.scratch = Scratch::of(program, module, |key| function.attribute(key))
            .while_doing(|| "reading the attributes of the function")?;
        let declaration = function.declaration().unwrap_or_default();
        let written = ["iree.abi.output", "iree.abi.transients"];
        let written = written.iter().flat_map(|key| arguments_marked(declaration, key)).collect();
        (function.storage, function.written) = (storage_arguments(declaration), written);
        Ok(function)
    }

    /// The name, without the module's.
    pub fn name(&self) -> &str {
        self.module.export_name(self.ordinal as usize).unwrap_or_default()
    }

    /// The module that exports it.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The function as the VM calls it: arguments are not checked by kind of object, fences are arguments.
    pub fn handle(&self) -> &weft_vm::Function {
        &self.handle
    }

    /// The program that it belongs to.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The calling convention.
    pub fn signature(&self) -> &Signature {
        self.handle.signature()
    }

    /// Arguments that a caller gives, the fences of asynchronous functions not counted.
    pub fn argument_count(&self) -> usize {
        let all = self.signature().arguments().len();
        if self.is_asynchronous { all.saturating_sub(2) } else { all }
    }

    /// The function takes fences and returns before its results are valid.
    pub fn is_asynchronous(&self) -> bool {
        self.is_asynchronous
    }

    /// The function is meant for users: no initialiser, no compiler detail.
    pub fn is_public(&self) -> bool {
        !self.name().starts_with("__") && !self.name().contains('$')
    }

    /// The value of a reflection attribute.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// All reflection attributes in the order of the module.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.module.function_attributes(Linkage::Export, self.ordinal).unwrap_or_default();
        all.iter().filter_map(|attribute| Some((attribute.key.as_deref()?, attribute.value.as_str())))
    }

    /// The signature in the words of the source, such as `sync func @abs(%input0: tensor<f32>) -> ...`.
    pub fn declaration(&self) -> Option<&str> {
        self.attribute("iree.abi.declaration")
    }

    /// Calls the function and waits for its results.
    pub fn call<R: FromResults>(&self, arguments: impl IntoArguments) -> Result<R> {
        let mut values = Vec::with_capacity(4);
        arguments.append_to(&mut values);
        let mut results = Vec::new();
        self.invoke(values, &mut results)?;
        R::from_results(results).map_err(|status| self.annotate(status))
    }

    /// Calls the function between fences. Tensors in the results are valid once the signal fence is reached.
    ///
    /// When the call itself fails, the signal fence fails with the same status.
    pub fn call_fenced<R: FromResults>(&self, arguments: impl IntoArguments, fences: Fences) -> Result<R> {
        self.prepare(arguments).between(fences).submit()
    }

    /// A call of the function, about which more can be said before it is made: fences, storage for its results, who may
    /// cancel it.
    pub fn prepare(&self, arguments: impl IntoArguments) -> Call<'_> {
        let mut values = Vec::with_capacity(6);
        arguments.append_to(&mut values);
        Call::new(self, values)
    }

    /// As [`Function::call`] with values; the results replace what is in `results`.
    pub fn invoke(&self, arguments: Vec<Value>, results: &mut Vec<Value>) -> Result<()> {
        self.invoke_with(&InvokeOptions::default(), arguments, results)
    }

    /// As [`Function::invoke`] within bounds: a token that cancels the call from another thread, a budget of steps.
    ///
    /// A call that is cancelled returns once nothing carries the token any more.
    pub fn invoke_with(
        &self,
        options: &InvokeOptions,
        arguments: Vec<Value>,
        results: &mut Vec<Value>,
    ) -> Result<()> {
        *results = if self.is_asynchronous || options.cancel.is_some() {
            Call::new(self, arguments).within(options).run_values()?
        } else {
            // Nothing to wait for and nobody to tell, before or behind it: small programs are called in 60 ns.
            let outcome = self.program.session().lending(|| self.enter(options, arguments, None));
            outcome.map_err(|status| self.annotate(status))?
        };
        Ok(())
    }

    /// The arguments that are storage of results.
    pub(crate) fn storage(&self) -> &[StorageArgument] {
        &self.storage
    }

    /// Runs the program with arguments, which are checked first; the fences are those of an asynchronous function.
    pub(crate) fn enter(
        &self,
        options: &InvokeOptions,
        arguments: Vec<Value>,
        fences: Option<&Fences>,
    ) -> Result<Vec<Value>> {
        self.check_arguments(&arguments)?;
        // Both conversions happen in the storage of the vector.
        let mut inputs: Vec<weft_vm::Value> = arguments.into_iter().map(Value::into_vm).collect();
        if let Some(fences) = fences {
            inputs.extend([&fences.wait, &fences.signal].map(|fence| fence.clone().map(Ref::new).into()));
        }
        if let Some(scratch) = &self.scratch {
            scratch.check(&inputs)?;
        }
        let mut outputs = Vec::new();
        self.handle.invoke_with(options, &inputs, &mut outputs)?;
        Ok(outputs.into_iter().map(Value::from_vm).collect())
    }

    /// Names the first argument that cannot be what the function wants.
    fn check_arguments(&self, arguments: &[Value]) -> Result<()> {
        let expected = self.argument_count();
        if arguments.len() != expected {
            let passed = arguments.len();
            bail!(
                InvalidArgument,
                "input list and function mismatch; expected {expected} arguments but passed {passed}"
            );
        }
        for (index, (argument, wanted)) in arguments.iter().zip(self.signature().arguments()).enumerate() {
            if !accepts(wanted, argument) {
                return Err(self.wrong_argument(index, wanted, argument));
            }
        }
        for &index in &self.written {
            let access = arguments.get(index).and_then(Value::storage).map(Buffer::access);
            if access.is_some_and(|access| !access.contains(MemoryAccess::WRITE)) {
                let name = self.name();
                bail!(
                    PermissionDenied,
                    "argument {index} of `{name}` is written, and its storage is read-only"
                );
            }
        }
        Ok(())
    }

    #[cold]
    pub(crate) fn annotate(&self, status: Status) -> Status {
        let status = status.while_doing(format!("invoking function '{}'", self.name()));
        match self.declaration() {
            Some(declaration) => status.while_doing(format!("`{declaration}`")),
            None => status,
        }
    }
}

impl Function {
    #[cold]
    fn wrong_argument(&self, index: usize, wanted: &Argument, given: &Value) -> Status {
        let wanted = match wanted {
            Argument::Value(Kind::I32) => "i32",
            Argument::Value(Kind::I64) => "i64",
            Argument::Value(Kind::F32) => "f32",
            Argument::Value(Kind::F64) => "f64",
            Argument::Value(Kind::Ref) => "tensor, buffer, object or null",
            Argument::Span(_) => "nothing a host can give: a span",
        };
        let name = self.name();
        Status::new(
            Code::InvalidArgument,
            format!("argument {index} of `{name}`: expected {wanted}, found {}", given.kind()),
        )
    }
}

/// A value of this kind can be passed; integers and floats also where a wider one is wanted.
fn accepts(wanted: &Argument, given: &Value) -> bool {
    match wanted {
        Argument::Value(Kind::I32) => matches!(given, Value::I32(_)),
        Argument::Value(Kind::I64) => matches!(given, Value::I32(_) | Value::I64(_)),
        Argument::Value(Kind::F32) => matches!(given, Value::F32(_)),
        Argument::Value(Kind::F64) => matches!(given, Value::F32(_) | Value::F64(_)),
        Argument::Value(Kind::Ref) => {
            matches!(given, Value::Tensor(_) | Value::Buffer(_) | Value::Null | Value::Object(_))
        }
        Argument::Span(_) => false,
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.signature().text())
    }
}
