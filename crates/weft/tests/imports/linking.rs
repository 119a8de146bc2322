//! How programs find the exports, and what happens to wrong references.

use super::harness::{Hal, NULL, bytes, objects, wrapper};
use weft::vm::Value;
use weft::vm::isa::Kind;
use weft::vm::module_builder::ModuleBuilder;
use weft::vm::signature::{Argument, Signature};
use weft::vm::{Module, ModuleBytes};
use weft::{Code, Program, Result, Session};

fn load(builder: ModuleBuilder) -> Result<Program> {
    Session::new()?.program().bytes(ModuleBytes::copy_of(&builder.build()?))?.load()
}

fn returning_nothing(builder: ModuleBuilder) -> ModuleBuilder {
    builder.function("call", "0v_v", "vm.return")
}

/// Every export links with its own signature and no other. [hal-module 1]
#[test]
fn every_signature_is_compared() {
    let hal = Hal::new();
    let native = hal.native();
    let mut count = 0;
    for ordinal in 0..native.export_count() {
        let name = native.export_name(ordinal).unwrap();
        let signature = native.export_signature(name).unwrap().text();
        let import = |signature: &str| {
            returning_nothing(
                ModuleBuilder::new("cct").dependency("hal", 7).import(&format!("hal.{name}"), signature),
            )
        };
        load(import(signature)).unwrap_or_else(|status| panic!("{name}: {status}"));
        let wrong = signature.replacen(['r', 'i', 'v'], "I", 1);
        let status = load(import(&wrong)).unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{name}");
        let text = status.to_string();
        assert!(text.contains(signature) && text.contains(&wrong) && text.contains(name), "{text}");
        assert!(text.contains("cct") && text.contains("hal"), "{text}");
        count += 1;
    }
    assert_eq!(count, 58);
}

/// Versions of the module, missing modules and exports. [hal-module 2]
#[test]
fn dependencies() {
    let depending =
        |name: &str, version: u32| returning_nothing(ModuleBuilder::new("cct").dependency(name, version));
    for version in [0, 6, 7] {
        load(depending("hal", version)).unwrap();
    }
    let status = load(depending("hal", 8)).unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.to_string().contains('7') && status.to_string().contains('8'), "{status}");
    let status = load(depending("ma", 0)).unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("required module 'ma' not available"), "{status}");
    let missing = ModuleBuilder::new("cct").dependency("hal", 7).import("hal.nothing", "0v_v");
    assert_eq!(load(returning_nothing(missing)).unwrap_err().code(), Code::NotFound);
}

/// Optional imports may be missing. [hal-module 3]
#[test]
fn optional_imports() {
    let program = load(
        ModuleBuilder::new("cct")
            .dependency("hal", 7)
            .optional_dependency("nothing", 0)
            .optional_import("nothing.at_all", "0v_v")
            .optional_import("hal.nothing", "0v_v")
            .optional_import("hal.devices.count", "0v_i")
            .function(
                "ask",
                "0v_iii",
                "%i0 = vm.import.resolved @nothing.at_all\n%i1 = vm.import.resolved @hal.nothing\n\
                 %i2 = vm.import.resolved @hal.devices.count\nvm.return %i0, %i1, %i2",
            )
            .function("missing_module", "0v_v", "vm.call @nothing.at_all()\nvm.return")
            .function("missing_export", "0v_v", "vm.call @hal.nothing()\nvm.return"),
    )
    .unwrap();
    let (module, export, present): (i32, i32, i32) = program.call("ask", ()).unwrap();
    assert_eq!((module, export), (0, 0));
    assert_ne!(present, 0);
    for name in ["missing_module", "missing_export"] {
        assert_eq!(program.call::<()>(name, ()).unwrap_err().code(), Code::NotFound, "{name}");
    }
}

/// Types are known before the first program is loaded, however many modules bring them. [hal-module 4]
#[test]
fn types_are_registered_before_programs_load() {
    let types = [
        "allocator",
        "buffer",
        "buffer_view",
        "channel",
        "command_buffer",
        "device",
        "event",
        "executable",
        "fence",
    ];
    let builder = types
        .iter()
        .chain(&["file", "semaphore"])
        .fold(ModuleBuilder::new("cct"), |builder, name| builder.type_entry(&format!("!hal.{name}")));
    let session = Session::new().unwrap();
    let bytes = returning_nothing(builder.dependency("hal", 7)).build().unwrap();
    let load =
        || session.program().check(weft::CheckLog::default())?.bytes(ModuleBytes::copy_of(&bytes))?.load();
    load().unwrap();
    load().unwrap();
}

/// Null or something else where an object is needed. [hal-module 5]
#[test]
fn wrong_references_are_refused_everywhere() {
    let hal = Hal::new();
    let native = hal.native();
    let objects = objects(&hal);
    let mut refused = 0;
    for ordinal in 0..native.export_count() {
        let name = native.export_name(ordinal).unwrap().to_owned();
        let signature = hal.signature(&name);
        let spans =
            vec![
                1;
                signature.arguments().iter().filter(|argument| matches!(argument, Argument::Span(_))).count()
            ];
        let kinds = flat(&signature);
        for (position, kind) in kinds.iter().enumerate() {
            if *kind != Kind::Ref || is_nullable(&name, position) {
                continue;
            }
            // All references null; and one of each type at this place. At least the null must be refused.
            let with = |value: Value| {
                let mut arguments: Vec<_> = kinds.iter().map(|kind| zero(*kind)).collect();
                arguments[position] = value;
                arguments
            };
            let status = hal.fails(&name, &spans, &with(NULL));
            assert_eq!(status.code(), Code::InvalidArgument, "{name} argument {position}: {status}");
            for (type_name, object) in &objects {
                if let Err(status) = hal.try_call(&name, &spans, &with(object.clone())) {
                    assert_ne!(
                        status.code(),
                        Code::Internal,
                        "{name} argument {position} {type_name}: {status}"
                    );
                }
            }
            refused += 1;
        }
    }
    assert!(refused > 60, "{refused}");
}

fn flat(signature: &Signature) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for argument in signature.arguments() {
        match argument {
            Argument::Value(kind) => kinds.push(*kind),
            Argument::Span(tuple) => kinds.extend(tuple),
        }
    }
    kinds
}

fn zero(kind: Kind) -> Value {
    match kind {
        Kind::I32 => Value::I32(0),
        Kind::I64 => Value::I64(0),
        Kind::F32 => Value::F32(0.0),
        Kind::F64 => Value::F64(0.0),
        Kind::Ref => NULL,
    }
}

/// Arguments that may be null: fences, slots in place of buffers, constants, identifiers.
fn is_nullable(name: &str, position: usize) -> bool {
    match name {
        "fence.join" | "fence.await" => true,
        "executable.create" => position == 4,
        "channel.create" => position == 3 || position == 4,
        "device.queue.execute.indirect" => matches!(position, 2 | 3 | 6),
        _ if name.starts_with("device.queue.") => position == 2 || position == 3,
        "command_buffer.advise_buffer" | "command_buffer.fill_buffer" => position == 1,
        "command_buffer.update_buffer" => position == 3,
        "command_buffer.copy_buffer" => position == 3 || position == 5,
        "command_buffer.collective" => position == 6 || position == 7,
        "command_buffer.dispatch" => position == 10,
        "command_buffer.dispatch.indirect" => position == 4 || position == 10,
        _ => false,
    }
}

/// A failure names the function and shows the stack. [hal-module 6]
#[test]
fn failures_name_the_function() {
    let hal = Hal::new();
    let status = hal.fails("buffer.load", &[], &[hal.buffer(&[0; 4]), Value::I64(0), Value::I32(9)]);
    assert_eq!(status.code(), Code::InvalidArgument);
    let text = status.to_string();
    let named = text.find("while invoking native function hal.buffer.load; while calling import");
    let stack = text.find("bytecode test.call:");
    assert!(named.is_some() && named < stack, "{text}");
    let variadic = hal.fails("fence.join", &[1], &[Value::I64(0), bytes("no fence")]);
    assert!(variadic.to_string().contains("while invoking native function hal.fence.join"), "{variadic}");
}

/// What the tests call really is what programs call.
#[test]
fn wrappers_are_verified_modules() {
    let hal = Hal::new();
    let signature = hal.signature("fence.await");
    let bytes = wrapper("hal", "fence.await", &signature, &[2]).unwrap();
    let program = hal.session.program().bytes(ModuleBytes::copy_of(&bytes)).unwrap().load().unwrap();
    assert!(matches!(program.main_module(), Module::Bytecode(_)));
}
