//! Which modules are executables, and what is said of those that are none.

use weft::cpu::executable::CpuExecutable;
use weft::hal::ExecutableBackend;
use weft::vm::module_builder::ModuleBuilder;
use weft::{Code, VMVX_FORMAT};

use crate::harness::*;

fn attributes(executable: &CpuExecutable) -> weft::cpu::abi::DispatchAttributes {
    executable.export(0).expect("an export").attributes
}

/// [exec 43] Only functions of the one convention are kernels; what receives constants is none, and has no ordinal.
#[test]
fn exports_of_another_convention_are_refused() {
    for cconv in ["0v_v", "0rrriiiiiiii_v", "0rrriiiiiiiii_i", "0rrrIiiiiiiii_v"] {
        let text = if cconv.ends_with("_i") { "vm.return %i0" } else { "vm.return" };
        let module = ModuleBuilder::new("m").function("run", cconv, text);
        assert_eq!(load_code(module), Some(Code::InvalidArgument), "{cconv}");
    }
    let wrong_set = kernel(0, 0, "vm.return").function("__set_constants", "0i_v", "vm.return");
    assert_eq!(load_code(wrong_set), Some(Code::InvalidArgument));

    let module = ModuleBuilder::new("m")
        .function("__set_constants", "0r_v", "vm.return")
        .function("first", KERNEL, "vm.return")
        .internal_function("hidden", "0i_i", "vm.return %i0")
        .function("second", KERNEL, "vm.return");
    let executable = load_with(&module.build().unwrap(), &[1]).unwrap();
    let names: Vec<_> = executable.functions().into_iter().map(|function| function.name).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(executable.library_name(), "m");
}

/// Counts come from attributes; what is not there is 0, what is no number is refused.
#[test]
fn attributes_are_numbers_within_limits() {
    let module = kernel(3, 4, "vm.return").function_attribute("local_memory", "5000");
    let read = attributes(&load_built(module));
    assert_eq!((read.binding_count, read.constant_count, read.local_memory_pages), (3, 4, 2));
    assert_eq!((read.flags, read.workgroup_size()), (0, [0; 3]));

    let bare = load_built(ModuleBuilder::new("m").function("run", KERNEL, "vm.return"));
    assert_eq!(attributes(&bare), Default::default());

    for (key, value) in [
        ("binding_count", "65"),
        ("constant_count", "65"),
        ("binding_count", "-1"),
        ("binding_count", "+1"),
        ("constant_count", ""),
        ("constant_count", "0x10"),
        ("local_memory", "1 page"),
        ("local_memory", "268435457"),
        ("local_memory", "18446744073709551616"),
        ("parameter_count", "65536"),
    ] {
        let module =
            ModuleBuilder::new("m").function("run", KERNEL, "vm.return").function_attribute(key, value);
        assert_eq!(load_code(module), Some(Code::FailedPrecondition), "{key} {value}");
    }
}

/// What is missing is an answer, not an invitation to the next loader.
#[test]
fn missing_imports_are_named() {
    let module = |name: &str| {
        ModuleBuilder::new("m").import(name, "0v_v").function(
            "run",
            KERNEL,
            &format!("vm.call @{name}()\nvm.return"),
        )
    };
    for name in ["vmvx.transmogrify", "hal.device.query.i64"] {
        let status = load(&module(name).build().unwrap()).unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.to_string().contains(name), "{status}");
    }
    let wrong = ModuleBuilder::new("m").import("vmvx.mmt4d", "0r_v").function("run", KERNEL, "vm.return");
    assert!(load(&wrong.build().unwrap()).is_err());
    let unknown_type = kernel(0, 0, "vm.return").type_entry("!hal.buffer");
    assert_eq!(load_code(unknown_type), Some(Code::Unavailable));

    let optional = ModuleBuilder::new("m").optional_import("vmvx.transmogrify", "0v_v").function(
        "run",
        KERNEL,
        "vm.return",
    );
    assert!(load_code(optional).is_none());
}

/// Constants are given if and only if the module takes them; the function sees them in each context.
#[test]
fn specialization_constants_reach_the_module() {
    let module = || {
        ModuleBuilder::new("m")
            .global_bytes(4)
            .function(
                "__set_constants",
                "0r_v",
                "%i0:1 = vm.const.i64 1
                 %i2 = vm.buffer.load.i32 %r0, %i0:1
                 vm.global.store.i32 %i2, .rwdata[0]
                 vm.return",
            )
            .function(
                "run",
                KERNEL,
                "%i0 = vm.const.i32.zero
                 %i2:3 = vm.const.i64.zero
                 %r3 = vm.list.get.ref %r2, %i0 : !vm.buffer
                 %i1 = vm.global.load.i32 .rwdata[0]
                 vm.buffer.store.i32 %i1, %r3, %i2:3
                 vm.return",
            )
            .function_attribute("binding_count", "1")
    };
    let bytes = module().build().unwrap();
    let executable = load_with(&bytes, &[3, 0xDEAD_BEEF]).unwrap();
    assert_eq!(executable.constants(), [3, 0xDEAD_BEEF]);
    let mut bindings = [Bytes::zeroed(4)];
    Run::default().on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [0xDEAD_BEEF]);

    let code = |data: &[u8], constants: &[u32]| load_with(data, constants).unwrap_err().code();
    assert_eq!(code(&bytes, &[]), Code::InvalidArgument);
    assert_eq!(code(&kernel(0, 0, "vm.return").build().unwrap(), &[1]), Code::InvalidArgument);
    // The function reads beyond what is given: its failure is that of loading.
    assert_eq!(code(&bytes, &[1]), Code::OutOfRange);
}

/// A module that fails to initialise fails to load.
#[test]
fn initialisers_run_while_loading() {
    let failing = kernel(0, 0, "vm.return").function(
        "__init",
        "0v_v",
        "%i0 = vm.const.i32 9
         %i2 = vm.const.i32.zero
         %i1 = vm.div.i32.s %i0, %i2
         vm.return",
    );
    let status = load(&failing.build().unwrap()).unwrap_err();
    assert!(status.to_string().contains("registering module `kernels`"), "{status}");
}

/// Every prefix of an executable, and every executable with a byte changed, loads or is refused; none does harm.
#[test]
fn damaged_executables_load_or_are_refused() {
    let arguments = [
        Argument::I32(7),
        Argument::Buffer(0),
        Argument::I64(0),
        Argument::I64(0),
        Argument::I64(1),
        Argument::I64(2),
    ];
    let whole = caller_of("fill.2d.x32", "0irIIII_v", 1, &arguments).polyglot().build().unwrap();
    let intact = load(&whole).unwrap();
    let mut bindings = [Bytes::zeroed(8)];
    Run { constants: &[0], ..Run::default() }.on(&intact, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [7, 7]);

    let expected = |status: weft::Status| {
        let told = !matches!(status.code(), Code::NotFound | Code::Cancelled);
        assert!(told && status.to_string().contains("loading a VMVX executable"), "{status}");
    };
    for length in 0..whole.len() {
        load(&whole[..length]).map_or_else(expected, |executable| assert_eq!(executable.export_count(), 1));
    }
    let mut refused = 0;
    for at in 0..whole.len() {
        for change in [0x01, 0x80, 0xFF] {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            // Not run: a loop whose count is damaged may take hours.
            if let Err(status) = load(&damaged) {
                expected(status);
                refused += 1;
            }
        }
    }
    assert!(refused > whole.len() / 4, "{refused} of {} refused", 3 * whole.len());
}

/// [exec 48] The bytes are the executable's own.
#[test]
fn the_bytes_may_go_before_the_executable() {
    let mut bytes = kernel(
        1,
        0,
        "%r3 = vm.const.ref.rodata 0
         %i0 = vm.const.i32.zero
         %i2:3 = vm.const.i64.zero
         %r4 = vm.list.get.ref %r2, %i0 : !vm.buffer
         %i1 = vm.buffer.load.i32 %r3, %i2:3
         vm.buffer.store.i32 %i1, %r4, %i2:3
         vm.return",
    )
    .rodata(&77_u32.to_le_bytes())
    .build()
    .unwrap();
    let executable = load(&bytes).unwrap();
    bytes.fill(0xFF);
    drop(bytes);
    let mut bindings = [Bytes::zeroed(4)];
    Run::default().on(&executable, &mut bindings).unwrap();
    assert_eq!(bindings[0].u32s(), [77]);
}

/// The format is claimed by its exact name, and devices say so.
#[test]
fn devices_support_the_format() {
    for driver in weft::drivers().iter().filter(|driver| driver.name != "null") {
        let device = weft::open_device(driver.name).unwrap();
        assert_eq!(device.query_i64("hal.executable.format", VMVX_FORMAT), Some(1), "{}", driver.name);
        assert_eq!(device.query_i64("hal.executable.format", "vmvx-bytecode"), Some(0), "{}", driver.name);
    }
}
