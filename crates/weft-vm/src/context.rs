//! Contexts: linked modules with their state.
//!
//! Lives here: [`Context`]: creation, registration and undoing, lookup, forking, signals, destruction (§9). Not here:
//! resolving imports (`link.rs`), calling (`function.rs`, `invocation.rs`).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use weft_sync::{CancelToken, Result, WhileDoing, bail};

use crate::direct_call::DirectCall;
use crate::function::{Function, Target};
use crate::gate::Gate;
use crate::link::{find_module, link};
use crate::module::Module;
use crate::native::Signal;
use crate::reflection::Linkage;
use crate::run::run_export;
use crate::state::{BytecodeState, ImportSlot, Linked, ModuleState, NativeState, NativeTarget};
use crate::types::Instance;
use crate::value::Value;

/// An ordered list of modules, joined, each with a state of its own. Thread-safe: functions that only read globals
/// run side by side, one that may store has the context alone while it runs.
///
/// ```
/// use weft_vm::native::NativeModule;
/// use weft_vm::{Context, Instance};
/// let module = NativeModule::builder("host", 0, |_| Ok(())).export("one", |_: &(), (): ()| Ok(1_i32)).build()?;
/// let context = Context::new(&Instance::new(), vec![module.into()])?;
/// assert_eq!(context.function("host.one")?.call(&[])?, [1.into()]);
/// assert!(context.function("host.two").is_err());
/// # weft_sync::Result::Ok(())
/// ```
pub struct Context {
    instance: Arc<Instance>,
    modules: RwLock<Arc<Vec<Arc<Linked>>>>,
    gate: Gate,
    /// Whether modules may be added after creation.
    dynamic: bool,
}

impl Context {
    /// A context of exactly these modules, in this order. Each is linked to those before it and its `__init` run, to the
    /// end, even if it suspends. If one fails, those before it are undone in reverse.
    pub fn new(instance: &Arc<Instance>, modules: Vec<Module>) -> Result<Arc<Context>> {
        Context::create(instance, &modules, false, None)
    }

    /// The same unless the token is cancelled meanwhile, which reaches an `__init` as it reaches a call: then CANCELLED, and
    /// those before it are undone as after any failure.
    pub fn new_unless(
        instance: &Arc<Instance>,
        modules: Vec<Module>,
        cancel: Option<&CancelToken>,
    ) -> Result<Arc<Context>> {
        Context::create(instance, &modules, false, cancel)
    }

    /// A context that modules can be added to.
    pub fn dynamic(instance: &Arc<Instance>, modules: Vec<Module>) -> Result<Arc<Context>> {
        Context::create(instance, &modules, true, None)
    }

    fn create(
        instance: &Arc<Instance>,
        modules: &[Module],
        dynamic: bool,
        cancel: Option<&CancelToken>,
    ) -> Result<Arc<Context>> {
        let context = Context {
            instance: instance.clone(),
            modules: RwLock::default(),
            gate: Gate::default(),
            dynamic,
        };
        context.add(modules, cancel)?;
        Ok(Arc::new(context))
    }

    /// Adds a module to a dynamic context. FAILED_PRECONDITION for one made by [`Context::new`].
    pub fn register(&self, module: Module) -> Result<()> {
        if !self.dynamic {
            bail!(FailedPrecondition, "module `{}`: the context was made with a fixed list", module.name());
        }
        self.add(&[module], None)
    }

    /// Links and initialises modules one after the other; takes back all of them if one fails.
    fn add(&self, modules: &[Module], cancel: Option<&CancelToken>) -> Result<()> {
        // The newcomers' functions can only be reached through the list, which changes last; what exists is shared.
        let _inside = self.gate.enter(true, None)?;
        let mut list = Vec::clone(&self.modules());
        let before = list.len();
        for module in modules {
            let added = self.add_one(&mut list, module, cancel);
            if let Err(status) = added.while_doing(|| format!("registering module `{}`", module.name())) {
                self.undo(&mut list, before);
                return Err(status);
            }
        }
        *self.modules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
        Ok(())
    }

    /// After a failure the module is in the list only if its `__init` did not fail: that one gets no `__deinit`.
    fn add_one(
        &self,
        list: &mut Vec<Arc<Linked>>,
        module: &Module,
        cancel: Option<&CancelToken>,
    ) -> Result<()> {
        cancel.map_or(Ok(()), CancelToken::check)?;
        list.push(Arc::new(link(&self.instance, list, module)?));
        let initialised = run_export(&self.instance, list, list.len() - 1, "__init", "()", &[], cancel);
        if initialised.is_err() {
            list.pop();
        }
        initialised
    }

    /// `__deinit` in reverse order, errors ignored, then the states in reverse order.
    fn undo(&self, list: &mut Vec<Arc<Linked>>, keep: usize) {
        for index in (keep..list.len()).rev() {
            let _ignored = run_export(&self.instance, list, index, "__deinit", "()", &[], None);
        }
        while list.len() > keep {
            list.pop();
        }
    }

    /// What the modules of all contexts share.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    fn modules(&self) -> Arc<Vec<Arc<Linked>>> {
        self.modules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The modules in registration order.
    pub fn module_list(&self) -> Vec<Module> {
        self.modules().iter().map(|linked| linked.module()).collect()
    }

    /// The function with this qualified name: module and export, split at the first dot.
    pub fn function(self: &Arc<Self>, full_name: &str) -> Result<Function> {
        let Some((module_name, function_name)) = full_name.split_once('.') else {
            bail!(InvalidArgument, "function `{full_name}`: expected `module.function`");
        };
        self.export(module_name, function_name)
    }

    /// The export of the newest module with this name.
    pub fn export(self: &Arc<Self>, module_name: &str, export_name: &str) -> Result<Function> {
        if export_name.is_empty() {
            bail!(InvalidArgument, "the name of a function of module `{module_name}` is empty");
        }
        let modules = self.modules();
        let Some(linked) = find_module(&modules, module_name) else {
            bail!(NotFound, "no module `{module_name}` in the context");
        };
        let linked = linked.clone();
        let Some(ordinal) = linked.module().find_export(export_name) else {
            bail!(NotFound, "module `{module_name}` has no export `{export_name}`");
        };
        self.bind(modules, &linked, Linkage::Export, ordinal as u32)
    }

    /// The function with this ordinal in the newest module with this name. Imports cannot be called from here.
    pub fn function_at(
        self: &Arc<Self>,
        module_name: &str,
        linkage: Linkage,
        ordinal: u32,
    ) -> Result<Function> {
        let modules = self.modules();
        let Some(linked) = find_module(&modules, module_name) else {
            bail!(NotFound, "no module `{module_name}` in the context");
        };
        let linked = linked.clone();
        self.bind(modules, &linked, linkage, ordinal)
    }

    fn bind(
        self: &Arc<Self>,
        modules: Arc<Vec<Arc<Linked>>>,
        linked: &Linked,
        linkage: Linkage,
        ordinal: u32,
    ) -> Result<Function> {
        let module = linked.module();
        let function = module.function_ordinal(linkage, ordinal)?;
        let (signature, target) = match &linked.state {
            ModuleState::Bytecode(state) => {
                let exclusive = state.stores[function as usize];
                let signature = &state.module.archive().functions[function as usize].signature;
                (signature, Target::Bytecode { module: linked.index, function, exclusive })
            }
            ModuleState::Native(state) => {
                let export = state.module.export(function as usize);
                let target = NativeTarget {
                    entry: export.entry.clone(),
                    state: state.state.clone(),
                    module: linked.index,
                    export: function,
                };
                (&export.signature, Target::Native(Arc::new(DirectCall::new(target, &export.signature)?)))
            }
        };
        Function::new(self, modules.clone(), signature, target)
    }

    /// Looks at the state of a native module. NOT_FOUND if the module is not in the context.
    pub fn with_native_state<S: 'static, R>(&self, module: &Module, look: impl FnOnce(&S) -> R) -> Result<R> {
        let modules = self.modules();
        let Some(linked) = modules.iter().find(|linked| linked.module().same(module)) else {
            bail!(NotFound, "module `{}` is not in the context", module.name());
        };
        let state = match &linked.state {
            ModuleState::Native(native) => native.state.downcast_ref::<S>(),
            ModuleState::Bytecode(_) => None,
        };
        match state {
            Some(state) => Ok(look(state)),
            None => bail!(InvalidArgument, "the state of module `{}` has another type", module.name()),
        }
    }

    /// A context of the same modules with a copy of the state: value globals copied, objects in ref globals shared,
    /// `__init` not run again. Then the copy gets [`Signal::Fork`].
    pub fn fork(&self) -> Result<Arc<Context>> {
        let list = {
            let _inside = self.gate.enter(false, None)?;
            let mut list: Vec<Arc<Linked>> = Vec::new();
            for linked in self.modules().iter() {
                let copy = self.fork_module(&list, linked)?;
                list.push(Arc::new(copy));
            }
            list
        };
        let context = Arc::new(Context {
            instance: self.instance.clone(),
            modules: RwLock::new(Arc::new(list)),
            gate: Gate::default(),
            dynamic: self.dynamic,
        });
        context.signal(Signal::Fork)?;
        Ok(context)
    }

    /// Called under the gate.
    fn fork_module(&self, before: &[Arc<Linked>], linked: &Linked) -> Result<Linked> {
        let state = match &linked.state {
            ModuleState::Native(NativeState { module, state }) => {
                let state = module.fork_state(&self.instance, &**state)?;
                ModuleState::Native(NativeState { module: module.clone(), state })
            }
            ModuleState::Bytecode(state) => {
                let globals = state.duplicate_globals();
                let imports = state.imports.iter().map(|slot| forked_slot(before, slot)).collect();
                let (module, stores) = (state.module.clone(), state.stores.clone());
                ModuleState::Bytecode(BytecodeState { module, globals, imports, stores })
            }
        };
        Ok(Linked { index: linked.index, state })
    }

    /// Tells every module. RESUME and FORK go in registration order, the native notification before `__notify`;
    /// SUSPEND and LOW_MEMORY the other way round. The first error stops.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let modules = self.modules();
        let _inside = self.gate.enter(true, None)?;
        let forward = matches!(signal, Signal::Resume | Signal::Fork);
        let tell = |index: usize| match &modules[index].state {
            ModuleState::Native(native) => native.module.notify(&*native.state, signal),
            ModuleState::Bytecode(_) => {
                let number = [Value::I32(signal as i32)];
                run_export(&self.instance, &modules, index, "__notify", "(i32)", &number, None)
            }
        };
        if forward {
            (0..modules.len()).try_for_each(tell)
        } else {
            (0..modules.len()).rev().try_for_each(tell)
        }
    }
}

/// An import slot of a forked context: native functions are bound to the state of the fork.
fn forked_slot(before: &[Arc<Linked>], slot: &ImportSlot) -> ImportSlot {
    let ImportSlot::Native(target) = slot else { return slot.clone() };
    let ModuleState::Native(native) = &before[target.module as usize].state else { return slot.clone() };
    ImportSlot::Native(NativeTarget { state: native.state.clone(), ..target.clone() })
}

/// `__deinit` of all modules in reverse order, then their states in reverse order.
impl Drop for Context {
    fn drop(&mut self) {
        let modules = std::mem::take(self.modules.get_mut().unwrap_or_else(PoisonError::into_inner));
        let mut list = Arc::unwrap_or_clone(modules);
        self.undo(&mut list, 0);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("modules", &self.module_list()).finish()
    }
}
