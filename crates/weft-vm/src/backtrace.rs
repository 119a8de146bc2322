//! Where an error happened: the stack of the invocation as text (§13.7).
//!
//! Formatted before anything unwinds, innermost frame first, one line a frame, with the pc at which the instruction
//! starts. Diagnostic text: its form may change, code and message of the status do not.

use std::fmt::Write as _;

use weft_sync::Status;

use crate::debug_info::{DebugInfo, function_name};
use crate::machine::{Environment, Machine};
use crate::stack::Frame;

/// More frames than this are counted, not listed: a stack overflow has thousands.
const FRAMES_SHOWN: usize = 64;

/// Adds the stack to an error that leaves the interpreter.
#[cold]
pub(crate) fn annotate(machine: &Machine, environment: &Environment<'_>, mut status: Status) -> Status {
    for pair in machine.stack.frames().windows(2) {
        if pair[0].module != pair[1].module {
            status = status.while_doing("while calling import");
        }
    }
    status.while_doing(stack_text(machine, environment))
}

/// The stack of an invocation that has failed or is suspended.
pub(crate) fn stack_text(machine: &Machine, environment: &Environment<'_>) -> String {
    let frames = machine.stack.frames();
    let mut text = String::new();
    let mut depth = frames.len() + 1;
    let suspension = machine.suspension.as_ref();
    if suspension.is_some_and(|suspension| suspension.wait.is_some()) {
        line(&mut text, depth, "wait", "");
        depth += 1;
    }
    let suspended = suspension.and_then(|suspension| suspension.call.as_ref());
    let native = machine.failed_native.or(suspended.map(|call| (call.module, call.export)));
    if let Some((module, export)) = native {
        line(&mut text, depth, "native", &format!(" {}", native_name(environment, module, export)));
    }
    for (index, frame) in frames.iter().enumerate().rev() {
        let shown = frames.len() - 1 - index;
        if shown == FRAMES_SHOWN {
            let _ = write!(text, "\n     {} more frames", index + 1);
            break;
        }
        line(&mut text, index + 1, "bytecode", &bytecode_place(environment, frame));
    }
    line(&mut text, 0, "external", "");
    text
}

fn line(text: &mut String, depth: usize, kind: &str, place: &str) {
    let _ = write!(text, "\n[{depth:>2}] {kind:>8}{place}");
}

fn bytecode_place(environment: &Environment<'_>, frame: &Frame) -> String {
    let module = &environment.bytecode(frame.module).module;
    let (archive, bytes) = (module.archive(), module.bytes());
    let (name, ordinal, pc) = (&archive.name, frame.function, frame.pc);
    let function = match function_name(archive, bytes, ordinal) {
        Some(function) => format!("{name}.{function}"),
        None => format!("{name}@{ordinal}"),
    };
    let code = module.code().function_code(ordinal).unwrap_or_default();
    let location = DebugInfo::open(archive, bytes).and_then(|debug| debug.location(ordinal, code, pc));
    format!(" {function}:{pc} {}", location.as_deref().unwrap_or("-"))
}

/// `module.export` of a native function.
pub(crate) fn native_name(environment: &Environment<'_>, module: u32, export: u32) -> String {
    let Some(native) = environment.native(module) else { return format!("module {module}@{export}") };
    let export = native.export_name(export as usize).unwrap_or("?");
    format!("{}.{export}", native.name())
}
