//! Joining a module to the modules before it: dependencies, imports, state (§9.2, §9.3).
//!
//! Not here: the order of things around it, `__init`, undoing (`context.rs`).

use std::sync::Arc;

use weft_sync::{Result, WhileDoing, bail};

use crate::archive::Import;
use crate::module::{BytecodeModule, Module};
use crate::signature::Signature;
use crate::state::{BytecodeState, Globals, ImportSlot, Linked, ModuleState, NativeState, NativeTarget};
use crate::types::Instance;

/// Makes the state of `module` as the next one after `before`, everything resolved, nothing run.
pub(crate) fn link(instance: &Arc<Instance>, before: &[Arc<Linked>], module: &Module) -> Result<Linked> {
    let index = before.len() as u32;
    let state = match module {
        Module::Native(module) => {
            let state = module.make_state(instance)?;
            ModuleState::Native(NativeState { module: module.clone(), state })
        }
        Module::Bytecode(module) => {
            module.check_runnable()?;
            check_dependencies(before, module)?;
            let imports = module.archive().imports.iter().enumerate();
            let imports = imports.map(|(ordinal, import)| resolve(before, module, ordinal as u32, import));
            let imports: Box<[ImportSlot]> = imports.collect::<Result<_>>()?;
            let stores = module.stores().with_imports(|import| stores(before, &imports[import as usize]));
            let archive = module.archive();
            let bytes_max = instance.options().state_bytes_max;
            let globals = Globals::new(archive.global_bytes, archive.global_refs, bytes_max)
                .while_doing(|| format!("making the state of module `{}`", archive.name))?;
            ModuleState::Bytecode(BytecodeState { module: module.clone(), globals, imports, stores })
        }
    };
    Ok(Linked { index, state })
}

/// The newest module with this name.
pub(crate) fn find_module<'a>(modules: &'a [Arc<Linked>], name: &str) -> Option<&'a Arc<Linked>> {
    modules.iter().rev().find(|linked| linked.name() == name)
}

fn check_dependencies(before: &[Arc<Linked>], module: &BytecodeModule) -> Result<()> {
    let name = &module.archive().name;
    for dependency in &module.archive().dependencies {
        let wanted = &dependency.name;
        match find_module(before, wanted).map(|linked| linked.module().version()) {
            Some(have) if dependency.required && have < dependency.minimum_version => {
                let need = dependency.minimum_version;
                bail!(
                    NotFound,
                    "required module '{wanted}' version mismatch; have {have} but require {need} (needed by `{name}`)"
                )
            }
            None if !dependency.optional => {
                bail!(NotFound, "required module '{wanted}' not available (needed by `{name}`)")
            }
            _ => {}
        }
    }
    Ok(())
}

fn resolve(
    before: &[Arc<Linked>],
    module: &BytecodeModule,
    ordinal: u32,
    import: &Import,
) -> Result<ImportSlot> {
    let full_name = &import.full_name;
    let Some((module_name, function_name)) = full_name.split_once('.') else {
        bail!(InvalidArgument, "import `{full_name}` has no `.` between module and function");
    };
    // The first module whose name matches decides, whether it has the function or not.
    let provider = find_module(before, module_name);
    let export = provider.and_then(|provider| provider.module().find_export(function_name));
    let (Some(provider), Some(export)) = (provider, export) else {
        if import.optional {
            return Ok(ImportSlot::Unresolved);
        }
        let missing = if provider.is_none() { "module" } else { "function" };
        bail!(NotFound, "required import `{full_name}`: no such {missing}");
    };
    let slot = slot(provider, export);
    let provider = provider.module();
    if let Some(signature) = provider.export_signature(export) {
        check_signature(module, ordinal, import, signature, provider.name())?;
    }
    Ok(slot)
}

fn slot(provider: &Linked, export: usize) -> ImportSlot {
    match &provider.state {
        ModuleState::Bytecode(state) => {
            let function = state.module.archive().exports[export].function;
            ImportSlot::Bytecode { module: provider.index, function }
        }
        ModuleState::Native(state) => ImportSlot::Native(NativeTarget {
            entry: state.module.export(export).entry.clone(),
            state: state.state.clone(),
            module: provider.index,
            export: export as u32,
        }),
    }
}

/// The provider's calling convention must be the declared one, letter for letter. Without a declared one the call
/// sites are checked now, since nobody could before.
fn check_signature(
    module: &BytecodeModule,
    ordinal: u32,
    import: &Import,
    provided: &Signature,
    provider: &str,
) -> Result<()> {
    let name = &module.archive().name;
    match &import.signature {
        Some(declared) if declared.text() != provided.text() => bail!(
            Internal,
            "import function {} signature mismatch between {name} and source {provider}; expected {} but got {}",
            import.full_name,
            declared.text(),
            provided.text()
        ),
        Some(_) => Ok(()),
        None => module
            .code()
            .check_import_calls(module.archive(), ordinal, provided)
            .while_doing(|| format!("resolving import `{}`", import.full_name)),
    }
}

/// Whether calling an import may store globals of this context.
fn stores(before: &[Arc<Linked>], slot: &ImportSlot) -> bool {
    match slot {
        ImportSlot::Bytecode { module, function } => {
            let provider = before[*module as usize].bytecode();
            provider.is_some_and(|provider| provider.stores[*function as usize])
        }
        ImportSlot::Native(_) | ImportSlot::Unresolved => false,
    }
}
