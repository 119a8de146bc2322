//! From flags to a loaded program: devices, modules, functions. Shared by the commands that run programs.
//!
//! What does not live here: linking and devices themselves (`weft`), inputs (see `inputs.rs`).

use std::io::{Write, stderr};
use std::sync::Arc;

use weft::hal::{AllocatorWrapper, Device};
use weft::sync::{Result, Status, WhileDoing, bail};
use weft::vm::{BytecodeModule, Module};
use weft::{CheckLog, Deadline, DeviceOptions, Function, Program, Session};

use crate::failure::{Outcome, complain};
use crate::flags::Flags;
use crate::task_flags::task_options;
use crate::{blocks, devices, load, parameters};

/// More modules than this are a mistake, such as a file pattern in the wrong folder.
const MODULES_MAX: usize = 64;

/// An error that lists functions lists this many.
const NAMES_SHOWN_MAX: usize = 10;

/// Flags that print something about devices instead of running. `true` if one did.
pub fn listed_instead(flags: &Flags) -> Outcome<bool> {
    let mut out = std::io::stdout().lock();
    let listed = devices::list(&mut out, flags)?;
    out.flush()?;
    Ok(listed)
}

/// Mentions what has no effect: words that are no flags (the reference ignores them, which hides mistakes), and
/// tracing.
pub fn mention_ignored(flags: &Flags, origin: &str) {
    for word in &flags.positionals {
        complain(format_args!(
            "{origin}: note: ignored '{word}': arguments are written --name=value, modules --module={word}"
        ));
    }
    if flags.has("trace_execution") && flags.switch("trace_execution") {
        complain(format_args!("{origin}: note: ignored --trace_execution: this build does not trace"));
    }
}

/// Opens the session that the flags describe; devices are opened when a module needs them.
pub fn session(flags: &Flags) -> Outcome<Session> {
    let task = task_options(flags)?;
    let mut session = Session::builder().lead_device(flags.count("device_lead_allocator") as usize);
    for device in flags.list("device") {
        session = session.device(device);
    }
    if flags.has("dump_blocks") && flags.switch("dump_blocks") {
        session = session.recorded(blocks::printer());
    }
    session = session.parameters(parameters::scopes(flags)?).parameter_observer(parameters::observer());
    let wrappers = flags.list("device_allocator");
    let parsed = wrappers.iter().map(|text| AllocatorWrapper::parse(text)).collect::<Result<_>>();
    let allocator_wrappers = parsed.while_doing(|| "reading --device_allocator=")?;
    let observe_workers = flags.has("trace") && !flags.text("trace").is_empty();
    let options = DeviceOptions { allocator_wrappers, task, observe_workers, ..DeviceOptions::default() };
    Ok(session.device_options(options).build()?)
}

/// Loads the modules that the flags name. With a log, the module `check` comes first.
pub fn program(session: &Session, flags: &Flags, log: Option<CheckLog>) -> Result<Program> {
    load_modules(session, flags, log).while_doing(|| "creating run context")
}

fn load_modules(session: &Session, flags: &Flags, log: Option<CheckLog>) -> Result<Program> {
    let paths = flags.list("module");
    if paths.is_empty() {
        bail!(
            InvalidArgument,
            "no user module specified; use --module=file.vmfb to load from a file or --module=- to load from stdin"
        );
    }
    if paths.len() > MODULES_MAX {
        bail!(InvalidArgument, "{} modules given, at most {MODULES_MAX}", paths.len());
    }
    let mut builder = session.program();
    if let Some(log) = log {
        builder = builder.check(log)?;
    }
    let map = flags.text("module_mode") == "mmap";
    for path in paths {
        let module = load::module_bytes(path, map)
            .and_then(|bytes| BytecodeModule::load(session.instance(), bytes).map(Module::from))
            .while_doing(|| format!("loading bytecode module at '{path}'"))
            .while_doing(|| "loading modules and dependencies")?;
        let name = module.name().to_owned();
        builder = builder
            .module(module)
            .while_doing(|| format!("resolving dependencies for '{name}'"))
            .while_doing(|| "creating VM context")?;
    }
    builder.load()
}

/// The function that the flags name, or the only one that there is.
pub fn function(program: &Program, flags: &Flags) -> Result<Function> {
    match flags.text("function") {
        "" => only_function(program),
        name => program.function(name),
    }
}

fn only_function(program: &Program) -> Result<Function> {
    let names: Vec<String> =
        program.functions().filter(Function::is_public).map(|function| function.name().to_owned()).collect();
    if names.len() > 1 {
        let shown = names[..names.len().min(NAMES_SHOWN_MAX)].join(", ");
        let more = if names.len() > NAMES_SHOWN_MAX { ", ..." } else { "" };
        bail!(
            InvalidArgument,
            "more than one exported function present; --function= must be specified explicitly; there are {shown}{more}"
        );
    }
    program.default_function()
}

/// The device on which inputs are made: none if the program uses none.
pub fn input_device(program: &Program) -> Result<Option<Arc<Device>>> {
    if !program.modules().iter().any(|module| module.name() == "hal") {
        return Ok(None);
    }
    program.session().lead_device().map(|device| Some(Arc::clone(device)))
}

/// The status of a failed step with the declaration of the function, if it has one.
pub fn with_declaration(status: Status, function: &Function) -> Status {
    match function.declaration() {
        Some(declaration) => status.while_doing(format!("`{declaration}`")),
        None => status,
    }
}

/// Memory statistics of all devices on standard error, for `--print_statistics`. The program must be gone by now.
pub fn print_statistics(session: &Session, flags: &Flags, used_devices: bool) -> Result<()> {
    if !flags.switch("print_statistics") || !used_devices {
        return Ok(());
    }
    for device in session.devices()? {
        device.wait_idle(Deadline::NEVER)?;
        let statistics = device.allocator().statistics();
        // Statistics are an addition: a closed standard error does not fail the run.
        let _ = write!(
            stderr(),
            "Device: {}\n[[ iree_hal_allocator_t memory statistics ]]\n{statistics}\n",
            device.identifier()
        );
    }
    Ok(())
}
