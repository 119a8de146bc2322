//! Programs: compiled modules, linked with what they depend on, ready to be called.
//!
//! What lives here: [`Program`], [`ProgramBuilder`], choosing functions. What does not: calling them (`function.rs`).
//!
//! Modules are linked in the order in which they are given; a module may use those before it. The last one given is
//! the main module, where functions are looked up. The modules `hal` and `io_parameters` are added by themselves before
//! the first module that depends on them; only with `hal` are devices opened.

use crate::check_module::{self, CheckLog};
use crate::function::Function;
use crate::session::Session;
use crate::value::{FromResults, IntoArguments};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use weft_sync::{CancelToken, Deadline, Result, Status, WhileDoing, bail, status};
use weft_vm::native::Signal;
use weft_vm::{BytecodeModule, Context, Module, ModuleBytes};

/// A loaded program. Cheap to clone and to share: calls take `&self` and may come from many threads at once.
#[derive(Clone)]
pub struct Program(Arc<Inner>);

struct Inner {
    session: Session,
    modules: Vec<Module>,
    context: Arc<Context>,
}

impl Program {
    /// Loads a compiled module and runs its initialisers, on the default device.
    pub fn load(path: impl AsRef<Path>) -> Result<Program> {
        Session::new()?.load(path)
    }

    /// As [`Program::load`], from bytes in memory.
    pub fn from_bytes(bytes: &[u8]) -> Result<Program> {
        Session::new()?.program().bytes(ModuleBytes::copy_of(bytes))?.load()
    }

    /// Calls a function and waits for its results.
    ///
    /// Arguments and results are written as plain Rust types; see [`IntoArguments`] and [`FromResults`].
    pub fn call<R: FromResults>(&self, function: &str, arguments: impl IntoArguments) -> Result<R> {
        self.function(function)?.call(arguments)
    }

    /// A function of the main module by name. Keep it when it is called often.
    pub fn function(&self, name: &str) -> Result<Function> {
        Function::find(self, self.main_module(), name).while_doing(|| format!("looking up function '{name}'"))
    }

    /// The function to call when none is named: the only export that is no detail.
    pub fn default_function(&self) -> Result<Function> {
        let mut eligible = self.functions().filter(|function| function.is_public());
        match (eligible.next(), eligible.next()) {
            (Some(function), None) => Ok(function),
            (None, _) => bail!(InvalidArgument, "module `{}` exports no function", self.main_module().name()),
            (Some(first), Some(second)) => bail!(
                InvalidArgument,
                "more than one exported function present ({}, {}, ...); one must be named",
                first.name(),
                second.name()
            ),
        }
    }

    /// The functions that the main module exports, in its order, initialisers included.
    pub fn functions(&self) -> impl Iterator<Item = Function> + '_ {
        let module = self.main_module();
        // Functions with spans cannot be called from outside, so they are no functions here.
        (0..module.export_count()).filter_map(|ordinal| Function::at(self, module, ordinal).ok())
    }

    /// The module in which functions are looked up.
    pub fn main_module(&self) -> &Module {
        self.0.modules.last().expect("a program has at least one module")
    }

    /// All modules in the order of linking, those added by themselves included.
    pub fn modules(&self) -> &[Module] {
        &self.0.modules
    }

    /// What the program shares with others.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// The linked modules with their state.
    pub fn context(&self) -> &Arc<Context> {
        &self.0.context
    }

    /// The same modules linked again: initialisers run again, nothing of the state is shared.
    pub fn fresh(&self) -> Result<Program> {
        Program::link(self.0.session.clone(), self.0.modules.clone(), None)
    }

    /// Tells the program about a pause or short memory; devices give back what they can.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.0.context.signal(signal)
    }

    fn link(session: Session, modules: Vec<Module>, cancel: Option<&CancelToken>) -> Result<Program> {
        let context = Context::new_unless(session.instance(), modules.clone(), cancel)?;
        Ok(Program(Arc::new(Inner { session, modules, context })))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.modules().iter().map(Module::name)).finish()
    }
}

/// Collects the modules of a program.
pub struct ProgramBuilder {
    session: Session,
    modules: Vec<Module>,
    given: usize,
    cancel: Option<CancelToken>,
}

impl ProgramBuilder {
    pub(crate) fn new(session: Session) -> ProgramBuilder {
        ProgramBuilder { session, modules: Vec::new(), given: 0, cancel: None }
    }

    /// Adds a compiled module from a file, which is read into aligned memory.
    pub fn file(self, path: impl AsRef<Path>) -> Result<ProgramBuilder> {
        let path = path.as_ref();
        let bytes = ModuleBytes::read_file(path)?;
        self.bytes(bytes).while_doing(|| format!("loading module `{}`", path.display()))
    }

    /// Adds a compiled module from bytes.
    pub fn bytes(self, bytes: ModuleBytes) -> Result<ProgramBuilder> {
        let module = BytecodeModule::load(self.session.instance(), bytes)?;
        self.module(module.into())
    }

    /// Adds a module that exists already: one loaded before, or one of Rust functions.
    pub fn module(mut self, module: Module) -> Result<ProgramBuilder> {
        if let Module::Bytecode(bytecode) = &module {
            self.add_missing(bytecode)?;
        }
        self.modules.push(module);
        self.given += 1;
        Ok(self)
    }

    /// Adds the module `check`, whose failed expectations go to `log`. Without it programs skip their expectations.
    pub fn check(mut self, log: CheckLog) -> Result<ProgramBuilder> {
        self.modules.push(check_module::module(log)?);
        Ok(self)
    }

    /// Modules that are made on demand are added; of others that must be there the first missing one is named.
    fn add_missing(&mut self, module: &BytecodeModule) -> Result<()> {
        let archive = module.archive();
        for dependency in &archive.dependencies {
            let name = dependency.name.as_str();
            if self.has(name) {
                continue;
            }
            if name == "hal" {
                self.modules.push(self.session.hal_module()?);
            } else if name == "io_parameters" {
                self.modules.push(self.session.parameter_module()?);
            } else if !dependency.optional {
                return Err(
                    missing(name).while_doing(format!("resolving dependencies for '{}'", archive.name))
                );
            }
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.modules.iter().any(|module| module.name() == name)
    }

    /// Lets this token cancel the initialisers and all that they submit, which is where programs read their weights, from
    /// any thread.
    pub fn cancelled_by(mut self, token: &CancelToken) -> ProgramBuilder {
        self.cancel = Some(token.clone());
        self
    }

    /// Links the modules and runs their initialisers.
    ///
    /// Once cancelled it returns CANCELLED, as soon as nothing carries the token any more: files and memory can be used
    /// again at once.
    pub fn load(self) -> Result<Program> {
        if self.given == 0 {
            bail!(InvalidArgument, "no user module specified; a program needs at least one");
        }
        let loaded = Program::link(self.session, self.modules, self.cancel.as_ref());
        if let (Err(_), Some(cancel)) = (&loaded, self.cancel.filter(CancelToken::is_cancelled)) {
            cancel.wait_idle(Deadline::NEVER)?;
        }
        loaded
    }
}

#[cold]
fn missing(name: &str) -> Status {
    status!(
        NotFound,
        "required module '{name}' not available in the build (modules must be given in order, dependent modules after \
         those they depend upon)"
    )
}

impl fmt::Debug for ProgramBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.modules.iter().map(Module::name)).finish()
    }
}
