//! `hal.executable.*` and dispatches.

use super::commands::{create, execute, execute_table, finalize, table_arguments};
use super::harness::{ANY, Hal, NULL, bytes, contents, i32s, unwrap};
use std::path::Path;
use weft::Code;
use weft::hal::Executable;
use weft::vm::{Archive, ModuleBytes, Value};

const FORMAT: &str = concat!("embedded-elf-", "x86_64");
const ADD: &str = "add_dispatch_0_elementwise_4_i32";
const DOUBLE: &str = "dyn_dispatch_0_elementwise_D_i32";
const ZERO: Value = Value::I64(0);

/// The kernels of `models/library/kernels.mlir` as the program holds them.
fn library() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/library/kernels.vmfb");
    let module = ModuleBytes::read_file(&path).unwrap();
    let archive = Archive::parse(&module).unwrap();
    let segments = archive.rodata.iter().map(|segment| &module[segment.range.clone()]);
    segments.into_iter().find(|bytes| bytes.starts_with(b"\x7FELF")).expect("an embedded library").to_vec()
}

fn create_arguments(hal: &Hal, format: &str, data: &[u8], constants: Value) -> [Value; 5] {
    [hal.device(), ANY, bytes(format), bytes(data), constants]
}

fn executable(hal: &Hal) -> Value {
    hal.call("executable.create", &create_arguments(hal, FORMAT, &library(), NULL)).remove(0)
}

fn function(hal: &Hal, executable: &Value, name: &str) -> i64 {
    match hal.call("executable.lookup.function", &[executable.clone(), bytes(name)])[0] {
        Value::I64(id) => id,
        ref other => panic!("{other:?}"),
    }
}

/// (slot, buffer or null, offset, length)
type Binding = (i32, Value, i64, i64);

struct Dispatch<'a> {
    commands: &'a Value,
    executable: &'a Value,
    function: i64,
    count: [i32; 3],
    constants: &'a [i32],
    bindings: &'a [Binding],
}

impl Dispatch<'_> {
    fn spans(&self) -> [usize; 2] {
        [self.constants.len(), self.bindings.len()]
    }

    fn tail(&self) -> Vec<Value> {
        let mut tail: Vec<_> = self.constants.iter().map(|constant| Value::I32(*constant)).collect();
        for (slot, buffer, offset, length) in self.bindings {
            tail.extend([
                Value::I32(0),
                Value::I32(*slot),
                buffer.clone(),
                Value::I64(*offset),
                Value::I64(*length),
            ]);
        }
        tail
    }

    fn arguments(&self) -> Vec<Value> {
        let mut all = vec![self.commands.clone(), self.executable.clone(), Value::I64(self.function)];
        all.extend(self.count.map(Value::I32));
        all.push(ZERO);
        all.extend(self.tail());
        all
    }

    fn record(&self, hal: &Hal) {
        hal.call_spans("command_buffer.dispatch", &self.spans(), &self.arguments());
    }

    fn code(&self, hal: &Hal) -> Code {
        hal.code("command_buffer.dispatch", &self.spans(), &self.arguments())
    }

    /// With counts from (slot, buffer or null, offset) and flags.
    fn indirect(&self, counts: (i32, &Value, i64), flags: i64) -> Vec<Value> {
        let mut all = vec![self.commands.clone(), self.executable.clone(), Value::I64(self.function)];
        all.extend([Value::I32(counts.0), counts.1.clone(), Value::I64(counts.2), Value::I64(flags)]);
        all.extend(self.tail());
        all
    }
}

/// Loading by format. [hal-module 43]
#[test]
fn executables_load_and_answer() {
    let hal = Hal::new();
    let loaded = executable(&hal);
    assert_eq!(unwrap::<Executable>(&loaded).function_count(), 2);
    assert_ne!(function(&hal, &loaded, ADD), function(&hal, &loaded, DOUBLE));
    let unknown = [loaded.clone(), bytes("nothing")];
    assert_eq!(hal.code("executable.lookup.function", &[], &unknown), Code::NotFound);
    let library = library();
    let code = |format: &str, data: &[u8], constants: Value| {
        hal.code("executable.create", &[], &create_arguments(&hal, format, data, constants))
    };
    for format in ["", "cuda-ptx", "embedded-elf-arm_64", "embedded-elf-x86_64x"] {
        assert_eq!(code(format, &library, NULL), Code::NotFound, "{format}");
    }
    assert_eq!(code(FORMAT, b"", NULL), Code::FailedPrecondition);
    assert_eq!(code(FORMAT, b"not an object file", NULL), Code::FailedPrecondition);
    assert_eq!(code(FORMAT, &library[..library.len() / 2], NULL), Code::FailedPrecondition);
    assert_eq!(code(FORMAT, &library, bytes([1, 2, 3])), Code::InvalidArgument);
    // The compiler never declares constants, so a library that declares none may still read some.
    hal.call("executable.create", &create_arguments(&hal, FORMAT, &library, bytes([1, 2, 3, 4])));
    hal.call("executable.create", &create_arguments(&hal, FORMAT, &library, bytes([])));
    let other = weft::open_device("local-sync").unwrap();
    let mut foreign = create_arguments(&hal, FORMAT, &library, NULL);
    foreign[0] = super::harness::object(other);
    assert_eq!(hal.code("executable.create", &[], &foreign), Code::NotFound);
}

/// The data may go right after the executable was made. [hal-module 44]
#[test]
fn executables_do_not_need_their_data() {
    let hal = Hal::new();
    let library = library();
    let data = super::harness::mutable_bytes(&library, 64);
    let mut arguments = create_arguments(&hal, FORMAT, &library, NULL);
    arguments[3] = super::harness::object(data.clone());
    let loaded = hal.call("executable.create", &arguments).remove(0);
    data.write(0, &vec![0xCC; library.len()]).unwrap();
    drop((arguments, data));
    let output = hal.buffer(&[0; 16]);
    let ones = hal.buffer(&i32s(&[1, 2, 3, 4]));
    let commands = create(&hal, 1, 3, 0);
    let bindings = [(0, ones.clone(), 0, -1), (0, ones, 0, -1), (0, output.clone(), 0, -1)];
    let function = function(&hal, &loaded, ADD);
    let dispatch = Dispatch {
        commands: &commands,
        executable: &loaded,
        function,
        count: [1; 3],
        constants: &[],
        bindings: &bindings,
    };
    dispatch.record(&hal);
    drop(loaded);
    finalize(&hal, &commands);
    execute(&hal, &commands);
    assert_eq!(contents(&output), i32s(&[2, 4, 6, 8]));
}

/// What a dispatch takes and refuses. [hal-module 25]
#[test]
fn dispatches() {
    let hal = Hal::new();
    let loaded = executable(&hal);
    let (add, double) = (function(&hal, &loaded, ADD), function(&hal, &loaded, DOUBLE));
    let input = hal.buffer(&i32s(&(0..24).collect::<Vec<_>>()));
    let output = hal.buffer(&[0; 96]);
    let commands = create(&hal, 0, 3, 0);
    let direct = |buffer: &Value, offset: i64, length: i64| (0, buffer.clone(), offset, length);
    let sum = [direct(&input, 0, 16), direct(&input, 64, -1), direct(&output, 0, -1)];
    let base = Dispatch {
        commands: &commands,
        executable: &loaded,
        function: add,
        count: [1; 3],
        constants: &[],
        bindings: &sum,
    };
    base.record(&hal);
    // Kernels ignore the counts that they were not compiled for; every workgroup writes the same.
    Dispatch { count: [1, 2048, 3], ..base }.record(&hal);
    // No work, whatever else is given.
    let nothing = [direct(&input, 0, 16), direct(&input, 0, 16), direct(&output, 80, -1)];
    for count in [[0, 1, 1], [1, 0, 1], [1, 1, 0]] {
        Dispatch { count, bindings: &nothing, ..base }.record(&hal);
    }
    // Constants are copied when they are recorded.
    let doubled = [direct(&input, 64, 16), direct(&output, 64, 16)];
    Dispatch { function: double, constants: &[4, 0], bindings: &doubled, ..base }.record(&hal);
    assert_eq!(Dispatch { function: 2, ..base }.code(&hal), Code::OutOfRange);
    assert_eq!(Dispatch { function: -1, ..base }.code(&hal), Code::OutOfRange);
    assert_eq!(Dispatch { constants: &[1], ..base }.code(&hal), Code::InvalidArgument);
    assert_eq!(
        Dispatch { function: double, constants: &[4], bindings: &doubled, ..base }.code(&hal),
        Code::InvalidArgument
    );
    assert_eq!(Dispatch { bindings: &sum[..2], ..base }.code(&hal), Code::InvalidArgument);
    let many = vec![direct(&input, 0, 16); 33];
    let status =
        hal.fails("command_buffer.dispatch", &[0, 33], &Dispatch { bindings: &many, ..base }.arguments());
    assert_eq!((status.code(), &*status.message()), (Code::OutOfRange, "binding count 33 > 32"));
    let null = [direct(&input, 0, 16), direct(&input, 0, 16), direct(&NULL, 0, -1)];
    assert_eq!(Dispatch { bindings: &null, ..base }.code(&hal), Code::OutOfRange);
    let beyond = [direct(&input, 0, 16), direct(&input, 96, 1), direct(&output, 0, -1)];
    assert_eq!(Dispatch { bindings: &beyond, ..base }.code(&hal), Code::OutOfRange);
    let transfer_only = [hal.allocator(), ANY, Value::I32(48), Value::I32(3), Value::I64(16)];
    let transfer_only = hal.call("allocator.allocate", &transfer_only).remove(0);
    let denied = [direct(&input, 0, 16), direct(&input, 0, 16), direct(&transfer_only, 0, -1)];
    assert_eq!(Dispatch { bindings: &denied, ..base }.code(&hal), Code::PermissionDenied);
    finalize(&hal, &commands);
    execute(&hal, &commands);
    let mut expected = vec![0; 24];
    expected[..4].copy_from_slice(&[16, 18, 20, 22]);
    expected[16..20].copy_from_slice(&[32, 34, 36, 38]);
    assert_eq!(contents(&output), i32s(&expected));
}

/// A later dispatch reads what an earlier one wrote. [hal-module 26]
#[test]
fn barriers_order_dispatches() {
    let hal = Hal::new();
    let loaded = executable(&hal);
    let function = function(&hal, &loaded, ADD);
    let buffers: Vec<_> = (0..3).map(|_| hal.buffer(&i32s(&[1, 2, 3, 4]))).collect();
    let commands = create(&hal, 0, 3, 0);
    let direct = |index: usize| (0, buffers[index].clone(), 0, -1);
    let barrier = [commands.clone(), Value::I32(28), Value::I32(13), ZERO];
    for round in 0..2 {
        let bindings = [direct(round), direct(round), direct(round + 1)];
        let dispatch = Dispatch {
            commands: &commands,
            executable: &loaded,
            function,
            count: [1; 3],
            constants: &[],
            bindings: &bindings,
        };
        dispatch.record(&hal);
        hal.call("command_buffer.execution_barrier", &barrier);
    }
    finalize(&hal, &commands);
    execute(&hal, &commands);
    assert_eq!(contents(&buffers[2]), i32s(&[4, 8, 12, 16]));
}

/// Counts from a buffer. [hal-module 27]
#[test]
fn indirect_dispatches() {
    let hal = Hal::new();
    let loaded = executable(&hal);
    let function = function(&hal, &loaded, ADD);
    let input = hal.buffer(&i32s(&[1, 2, 3, 4]));
    let usage = Value::I32(0xD03);
    let counts = [hal.allocator(), ANY, Value::I32(48), usage, Value::I64(32)];
    let counts = hal.call("allocator.allocate", &counts).remove(0);
    unwrap::<weft::hal::Buffer>(&counts).write(0, &i32s(&[7, 0, 1, 1, 7, 7, 7, 7])).unwrap();
    let run = |flags: i64, is_written: bool| {
        let output = hal.buffer(&[0; 16]);
        let commands = create(&hal, 1, 3, 0);
        let bindings = [(0, input.clone(), 0, -1), (0, input.clone(), 0, -1), (0, output.clone(), 0, -1)];
        let dispatch = Dispatch {
            commands: &commands,
            executable: &loaded,
            function,
            count: [0; 3],
            constants: &[],
            bindings: &bindings,
        };
        if is_written {
            // The count becomes 1 within the same command buffer.
            let one = [
                commands.clone(),
                counts.clone(),
                Value::I64(4),
                Value::I64(4),
                Value::I32(0),
                Value::I64(1),
                Value::I32(4),
                ZERO,
            ];
            hal.call("command_buffer.fill_buffer", &one);
            hal.call(
                "command_buffer.execution_barrier",
                &[commands.clone(), Value::I32(28), Value::I32(13), ZERO],
            );
        }
        hal.call_spans(
            "command_buffer.dispatch.indirect",
            &dispatch.spans(),
            &dispatch.indirect((0, &counts, 4), flags),
        );
        finalize(&hal, &commands);
        execute(&hal, &commands);
        contents(&output)
    };
    assert_eq!(run(0, false), [0; 16]);
    assert_eq!(run(2, false), [0; 16]);
    assert_eq!(run(1, true), i32s(&[2, 4, 6, 8]));
    assert_eq!(run(0, false), i32s(&[2, 4, 6, 8]));
    assert_eq!(run(2, false), i32s(&[2, 4, 6, 8]));
}

/// Counts that are refused. [hal-module 27]
#[test]
fn wrong_indirect_counts() {
    let hal = Hal::new();
    let loaded = executable(&hal);
    let function = function(&hal, &loaded, ADD);
    let input = hal.buffer(&[0; 16]);
    let counts = [hal.allocator(), ANY, Value::I32(48), Value::I32(0xD03), Value::I64(32)];
    let counts = hal.call("allocator.allocate", &counts).remove(0);
    let commands = create(&hal, 1, 3, 1);
    let bindings = [(0, input.clone(), 0, -1), (0, input.clone(), 0, -1), (0, hal.buffer(&[0; 16]), 0, -1)];
    let dispatch = Dispatch {
        commands: &commands,
        executable: &loaded,
        function,
        count: [0; 3],
        constants: &[],
        bindings: &bindings,
    };
    let code = |counts: (i32, &Value, i64)| {
        hal.code("command_buffer.dispatch.indirect", &dispatch.spans(), &dispatch.indirect(counts, 0))
    };
    assert_eq!(code((0, &counts, 2)), Code::InvalidArgument);
    assert_eq!(code((0, &counts, 24)), Code::OutOfRange);
    assert_eq!(code((0, &input, 0)), Code::PermissionDenied);
    assert_eq!(code((1, &NULL, 0)), Code::OutOfRange);
}

/// Dispatches through slots. [hal-module 28]
#[test]
fn dispatches_with_tables() {
    let hal = Hal::new();
    let loaded = executable(&hal);
    let function = function(&hal, &loaded, ADD);
    let commands = create(&hal, 0, 3, 2);
    let bindings = [(0, NULL, 0, 16), (0, NULL, 64, 16), (1, NULL, 0, -1)];
    let dispatch = Dispatch {
        commands: &commands,
        executable: &loaded,
        function,
        count: [1; 3],
        constants: &[],
        bindings: &bindings,
    };
    dispatch.record(&hal);
    finalize(&hal, &commands);
    for round in 0..5 {
        let mut numbers = vec![0; 36];
        numbers[16..20].copy_from_slice(&[1, 2, 3, 4]);
        numbers[32..].fill(round);
        let input = hal.buffer(&i32s(&numbers));
        let output = hal.buffer(&[0; 16]);
        execute_table(&hal, &commands, &[(input.clone(), 64, -1), (output.clone(), 0, -1)]);
        assert_eq!(contents(&output), i32s(&[1 + round, 2 + round, 3 + round, 4 + round]));
        let code = |offset: i64| {
            let table =
                table_arguments(&hal, &commands, &[(input.clone(), offset, -1), (output.clone(), 0, -1)]);
            hal.code("device.queue.execute.indirect", &[2], &table)
        };
        assert_eq!(code(128), Code::OutOfRange);
        // Kernels are compiled for bindings at multiples of 64.
        assert_eq!(code(4), Code::InvalidArgument);
    }
}
