//! Running the exports that the runtime itself calls: `__init`, `__deinit`, `__notify`.
//!
//! They run to completion on the calling thread, which is alone in the context (it is being made, changed or
//! destroyed, or the caller holds the gate exclusively). Waits block, unless a token ends them.

use std::sync::Arc;

use weft_sync::{CancelToken, Result, bail};

use crate::function::block;
use crate::interpret::Exit;
use crate::isa::Kind;
use crate::machine::{Environment, Machine};
use crate::state::{Linked, ModuleState};
use crate::types::Instance;
use crate::value::Value;

/// Runs the export of a bytecode module with this name, if it has one. `expected` describes the arguments that it must
/// take; results it must not have.
pub(crate) fn run_export(
    instance: &Instance,
    modules: &[Arc<Linked>],
    index: usize,
    name: &str,
    expected: &str,
    arguments: &[Value],
    cancel: Option<&CancelToken>,
) -> Result<()> {
    let ModuleState::Bytecode(state) = &modules[index].state else { return Ok(()) };
    let archive = state.module.archive();
    let Some(export) = archive.exports.iter().find(|export| export.local_name == name) else { return Ok(()) };
    let signature = &archive.functions[export.function as usize].signature;
    let fits = match signature.argument_kinds().as_deref() {
        Some([]) => arguments.is_empty(),
        Some([Kind::I32]) => arguments.len() == 1,
        _ => false,
    };
    if !fits || !signature.results().is_empty() {
        bail!(InvalidArgument, "`{name}` must be `{expected} -> ()`, it is `{}`", signature.text());
    }
    let environment = Environment { instance, modules, exclusive: true, cancel };
    let mut machine = Machine::acquire();
    let begun = machine.begin_bytecode(instance, state, index as u32, export.function, arguments);
    let outcome = begun.and_then(|()| run_to_end(&mut machine, &environment));
    machine.release();
    outcome
}

fn run_to_end(machine: &mut Machine, environment: &Environment<'_>) -> Result<()> {
    let mut exit = machine.run(environment)?;
    while exit == Exit::Suspended {
        let outcome = block(machine, environment.cancel);
        exit = machine.resume(environment, outcome)?;
    }
    Ok(())
}
