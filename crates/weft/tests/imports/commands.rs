//! `hal.command_buffer.*` without dispatches, and executing what was recorded.

use super::harness::{ANY, Hal, NULL, WHOLE, bytes, contents, mutable_bytes, object};
use std::sync::Arc;
use weft::Code;
use weft::vm::Value;

const ONE_SHOT: i32 = 1;
const INLINE: i32 = 0x11;
const ANY_CATEGORY: i32 = 3;
const ZERO: Value = Value::I64(0);

pub fn create(hal: &Hal, modes: i32, categories: i32, capacity: i32) -> Value {
    hal.call("command_buffer.create", &create_arguments(hal, modes, categories, capacity)).remove(0)
}

fn create_arguments(hal: &Hal, modes: i32, categories: i32, capacity: i32) -> [Value; 5] {
    [hal.device(), Value::I32(modes), Value::I32(categories), ANY, Value::I32(capacity)]
}

pub fn finalize(hal: &Hal, commands: &Value) {
    hal.call("command_buffer.finalize", &[commands.clone()]);
}

pub fn execute_arguments(hal: &Hal, commands: &Value) -> [Value; 6] {
    [hal.device(), ANY, NULL, NULL, commands.clone(), ZERO]
}

pub fn execute(hal: &Hal, commands: &Value) {
    hal.call("device.queue.execute", &execute_arguments(hal, commands));
}

/// Arguments of an execution with a table of (buffer, offset, length).
pub fn table_arguments(hal: &Hal, commands: &Value, table: &[(Value, i64, i64)]) -> Vec<Value> {
    let mut arguments = execute_arguments(hal, commands).to_vec();
    for (buffer, offset, length) in table {
        arguments.extend([buffer.clone(), Value::I64(*offset), Value::I64(*length)]);
    }
    arguments
}

pub fn execute_table(hal: &Hal, commands: &Value, table: &[(Value, i64, i64)]) {
    hal.call_spans("device.queue.execute.indirect", &[table.len()], &table_arguments(hal, commands, table));
}

fn table_code(hal: &Hal, commands: &Value, table: &[(Value, i64, i64)]) -> Code {
    hal.code("device.queue.execute.indirect", &[table.len()], &table_arguments(hal, commands, table))
}

/// Target or null with slot, range, pattern.
fn fill(commands: &Value, target: (&Value, i32), range: (i64, i64), pattern: (i64, i32)) -> Vec<Value> {
    let (offset, length) = range;
    vec![
        commands.clone(),
        target.0.clone(),
        Value::I64(offset),
        Value::I64(length),
        Value::I32(target.1),
        Value::I64(pattern.0),
        Value::I32(pattern.1),
        ZERO,
    ]
}

fn update(commands: &Value, source: (&Value, i64), target: &Value, range: (i64, i64)) -> Vec<Value> {
    vec![
        commands.clone(),
        source.0.clone(),
        Value::I64(source.1),
        target.clone(),
        Value::I64(range.0),
        Value::I64(range.1),
        Value::I32(0),
        ZERO,
    ]
}

/// Source and target as (buffer or null, slot, offset).
fn copy(commands: &Value, source: (&Value, i32, i64), target: (&Value, i32, i64), length: i64) -> Vec<Value> {
    vec![
        commands.clone(),
        Value::I32(source.1),
        Value::I32(target.1),
        source.0.clone(),
        Value::I64(source.2),
        target.0.clone(),
        Value::I64(target.2),
        Value::I64(length),
        ZERO,
    ]
}

fn barrier(hal: &Hal, commands: &Value) {
    let arguments = [commands.clone(), Value::I32(28), Value::I32(13), ZERO];
    hal.call("command_buffer.execution_barrier", &arguments);
}

/// Every cell of the state machine. [hal-module 19]
#[test]
fn recording_states() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 8]);
    let recording = create(&hal, 0, ANY_CATEGORY, 0);
    assert_eq!(
        hal.code("device.queue.execute", &[], &execute_arguments(&hal, &recording)),
        Code::FailedPrecondition
    );
    finalize(&hal, &recording);
    let finished = recording;
    assert_eq!(hal.code("command_buffer.finalize", &[], &[finished.clone()]), Code::FailedPrecondition);
    let command = fill(&finished, (&buffer, 0), (0, 8), (1, 1));
    assert_eq!(hal.code("command_buffer.fill_buffer", &[], &command), Code::FailedPrecondition);
    // An empty one does nothing, as often as one likes.
    execute(&hal, &finished);
    execute(&hal, &finished);

    let dispatch_only = create(&hal, 0, 2, 0);
    let command = fill(&dispatch_only, (&buffer, 0), (0, 8), (1, 1));
    assert_eq!(hal.code("command_buffer.fill_buffer", &[], &command), Code::FailedPrecondition);
    barrier(&hal, &dispatch_only);
    finalize(&hal, &dispatch_only);

    for unbalanced in [&["begin"][..], &["end"], &["end", "begin"]] {
        let commands = create(&hal, 0, ANY_CATEGORY, 0);
        for what in unbalanced {
            let label = (*what == "begin").then(|| bytes("group"));
            let arguments: Vec<_> = [commands.clone()].into_iter().chain(label).collect();
            hal.call(&format!("command_buffer.{what}_debug_group"), &arguments);
        }
        assert_eq!(hal.code("command_buffer.finalize", &[], &[commands]), Code::FailedPrecondition);
    }
}

/// Inline execution has conditions. [hal-module 20]
#[test]
fn inline_execution_is_for_one_shot_buffers_without_waits() {
    let hal = Hal::new();
    for (modes, capacity) in [(0x10, 0), (INLINE, 1)] {
        let arguments = create_arguments(&hal, modes, ANY_CATEGORY, capacity);
        assert_eq!(hal.code("command_buffer.create", &[], &arguments), Code::InvalidArgument);
    }
    let negative = create_arguments(&hal, 0, ANY_CATEGORY, -1);
    assert_eq!(hal.code("command_buffer.create", &[], &negative), Code::InvalidArgument);
    let commands = create(&hal, INLINE, ANY_CATEGORY, 0);
    let buffer = hal.buffer(&[0; 4]);
    hal.call("command_buffer.fill_buffer", &fill(&commands, (&buffer, 0), (0, -1), (9, 1)));
    finalize(&hal, &commands);
    let fence = hal.fence();
    hal.call("fence.signal", &[fence.clone()]);
    let mut arguments = execute_arguments(&hal, &commands);
    arguments[2] = fence;
    assert_eq!(hal.code("device.queue.execute", &[], &arguments), Code::InvalidArgument);
    execute(&hal, &commands);
    assert_eq!(contents(&buffer), [9; 4]);
}

/// Fills of every width. [hal-module 21]
#[test]
fn fills() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 16]);
    let commands = create(&hal, 0, ANY_CATEGORY, 1);
    let record = |arguments: Vec<Value>| hal.call("command_buffer.fill_buffer", &arguments);
    let target = (&buffer, 0);
    record(fill(&commands, target, (0, 4), (0x1234_5678_9A11, 1)));
    record(fill(&commands, target, (4, 4), (0x2233, 2)));
    record(fill(&commands, target, (8, 4), (0x4455_6677, 4)));
    record(fill(&commands, target, (12, -1), (0x55, 1)));
    record(fill(&commands, (&NULL, 77), (3, 0), (1, 4)));
    for (range, pattern) in [((0, 4), 0), ((0, 4), 3), ((0, 4), 5), ((0, 8), 8), ((0, 16), 16), ((0, 4), -1)]
    {
        let command = fill(&commands, target, range, (1, pattern));
        assert_eq!(hal.code("command_buffer.fill_buffer", &[], &command), Code::InvalidArgument, "{pattern}");
    }
    for (range, pattern) in [((1, 4), 2), ((0, 3), 2), ((2, 4), 4), ((0, 6), 4)] {
        let command = fill(&commands, target, range, (1, pattern));
        assert_eq!(hal.code("command_buffer.fill_buffer", &[], &command), Code::InvalidArgument, "{range:?}");
    }
    for range in [(0, 17), (16, 1), (17, -1), (-4, 4)] {
        let command = fill(&commands, target, range, (1, 1));
        assert_eq!(hal.code("command_buffer.fill_buffer", &[], &command), Code::OutOfRange, "{range:?}");
    }
    finalize(&hal, &commands);
    execute(&hal, &commands);
    let expected =
        [0x11, 0x11, 0x11, 0x11, 0x33, 0x22, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44, 0x55, 0x55, 0x55, 0x55];
    assert_eq!(contents(&buffer), expected);
    // Through a slot, the table's offset counts too.
    let commands = create(&hal, 0, ANY_CATEGORY, 1);
    record(fill(&commands, (&NULL, 0), (0, 4), (0, 4)));
    finalize(&hal, &commands);
    assert_eq!(table_code(&hal, &commands, &[(buffer.clone(), 2, 8)]), Code::InvalidArgument);
    execute_table(&hal, &commands, &[(buffer.clone(), 4, 8)]);
    assert_eq!(contents(&buffer)[3..9], [0x11, 0, 0, 0, 0, 0x77]);
}

/// Updates take their bytes when they are recorded. [hal-module 22]
#[test]
fn updates() {
    let hal = Hal::new();
    let source = mutable_bytes(&[1, 2, 3, 4], 0);
    let buffer = hal.buffer(&[0; 8]);
    let commands = create(&hal, 0, ANY_CATEGORY, 0);
    let value = object(source.clone());
    hal.call("command_buffer.update_buffer", &update(&commands, (&value, 1), &buffer, (3, 3)));
    hal.call("command_buffer.update_buffer", &update(&commands, (&value, 0), &buffer, (0, 1)));
    source.write(0, &[9; 4]).unwrap();
    for (offset, length) in [(0, 5), (4, 1), (5, 0), (-1, 1), (1, i64::MAX)] {
        let command = update(&commands, (&value, offset), &buffer, (0, length));
        assert_eq!(
            hal.code("command_buffer.update_buffer", &[], &command),
            Code::OutOfRange,
            "{offset} {length}"
        );
    }
    finalize(&hal, &commands);
    execute(&hal, &commands);
    assert_eq!(contents(&buffer), [1, 0, 0, 2, 3, 4, 0, 0]);
    for length in [64 << 10, 1 << 20] {
        let pattern: Vec<u8> = (0..length).map(|index: usize| (index * 7) as u8).collect();
        let large = hal.buffer(&vec![0; length]);
        let commands = create(&hal, ONE_SHOT, ANY_CATEGORY, 0);
        let command = update(&commands, (&bytes(&pattern), 0), &large, (0, length as i64));
        hal.call("command_buffer.update_buffer", &command);
        finalize(&hal, &commands);
        execute(&hal, &commands);
        assert!(contents(&large) == pattern);
    }
}

/// Copies never overlap. [hal-module 23]
#[test]
fn copies() {
    let hal = Hal::new();
    let (from, to) = (hal.buffer(&[1, 2, 3, 4, 5, 6, 7, 8]), hal.buffer(&[0; 8]));
    let commands = create(&hal, 0, ANY_CATEGORY, 2);
    let record = |commands: &Value, source: i64, target: i64, length: i64| {
        copy(commands, (&from, 0, source), (&from, 0, target), length)
    };
    hal.call("command_buffer.copy_buffer", &copy(&commands, (&from, 0, 2), (&to, 0, 4), 3));
    hal.call("command_buffer.copy_buffer", &copy(&commands, (&from, 0, 6), (&to, 0, 0), -1));
    hal.call("command_buffer.copy_buffer", &record(&commands, 0, 4, 4));
    for (source, target) in [(0, 2), (2, 0), (0, 0)] {
        let command = record(&commands, source, target, 4);
        assert_eq!(hal.code("command_buffer.copy_buffer", &[], &command), Code::InvalidArgument);
    }
    let outside = copy(&commands, (&from, 0, 6), (&to, 0, 0), 3);
    assert_eq!(hal.code("command_buffer.copy_buffer", &[], &outside), Code::OutOfRange);
    finalize(&hal, &commands);
    execute(&hal, &commands);
    assert_eq!(contents(&to), [7, 8, 0, 0, 3, 4, 5, 0]);
    assert_eq!(contents(&from), [1, 2, 3, 4, 1, 2, 3, 4]);
    // Through two slots the same is found out at submission.
    let commands = create(&hal, 0, ANY_CATEGORY, 2);
    hal.call("command_buffer.copy_buffer", &copy(&commands, (&NULL, 0, 0), (&NULL, 1, 0), 4));
    finalize(&hal, &commands);
    for offset in [0, 2] {
        let table = [(from.clone(), 0, -1), (from.clone(), offset, -1)];
        assert_eq!(table_code(&hal, &commands, &table), Code::InvalidArgument);
    }
    execute_table(&hal, &commands, &[(from.clone(), 0, -1), (from.clone(), 4, -1)]);
    execute_table(&hal, &commands, &[(from, 0, -1), (to.clone(), 2, -1)]);
    assert_eq!(contents(&to), [7, 8, 1, 2, 3, 4, 5, 0]);
}

/// Transient buffers are recorded before their memory exists. [hal-module 24]
#[test]
fn transient_buffers_are_recorded_before_commitment() {
    let hal = Hal::new();
    let plain = hal.buffer(&[5, 6, 7, 8]);
    let fence = hal.fence();
    let arguments =
        [hal.device(), ANY, NULL, fence, ZERO, Value::I32(48), Value::I32(0), Value::I64(8), ZERO];
    let transient = hal.call("device.queue.alloca", &arguments).remove(0);
    let commands = create(&hal, ONE_SHOT, ANY_CATEGORY, 0);
    hal.call("command_buffer.fill_buffer", &fill(&commands, (&transient, 0), (0, 8), (1, 1)));
    barrier(&hal, &commands);
    hal.call("command_buffer.copy_buffer", &copy(&commands, (&plain, 0, 0), (&transient, 0, 2), 2));
    hal.call("command_buffer.update_buffer", &update(&commands, (&bytes([9]), 0), &transient, (7, 1)));
    finalize(&hal, &commands);
    execute(&hal, &commands);
    assert_eq!(contents(&transient), [1, 1, 5, 6, 1, 1, 1, 9]);
}

/// Later commands see what earlier ones wrote. [hal-module 26]
#[test]
fn barriers_order_commands() {
    let hal = Hal::new();
    let (first, second) = (hal.buffer(&[0; 4]), hal.buffer(&[0; 4]));
    let commands = create(&hal, ONE_SHOT, ANY_CATEGORY, 0);
    hal.call("command_buffer.fill_buffer", &fill(&commands, (&first, 0), (0, -1), (3, 1)));
    barrier(&hal, &commands);
    hal.call("command_buffer.copy_buffer", &copy(&commands, (&first, 0, 0), (&second, 0, 0), -1));
    barrier(&hal, &commands);
    hal.call("command_buffer.fill_buffer", &fill(&commands, (&first, 0), (0, -1), (4, 1)));
    finalize(&hal, &commands);
    execute(&hal, &commands);
    assert_eq!((contents(&first), contents(&second)), (vec![4; 4], vec![3; 4]));
}

/// Every row of the binding-table rules, and resubmission. [hal-module 28]
#[test]
fn binding_tables() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 16]);
    let commands = create(&hal, 0, ANY_CATEGORY, 3);
    let beyond = fill(&commands, (&NULL, 3), (0, 4), (1, 1));
    assert_eq!(hal.code("command_buffer.fill_buffer", &[], &beyond), Code::OutOfRange);
    hal.call("command_buffer.fill_buffer", &fill(&commands, (&NULL, 1), (2, 4), (1, 1)));
    finalize(&hal, &commands);
    let entry = |offset: i64, length: i64| (buffer.clone(), offset, length);
    let unused = || (NULL, 0, 0);
    assert_eq!(
        hal.code("device.queue.execute", &[], &execute_arguments(&hal, &commands)),
        Code::InvalidArgument
    );
    assert_eq!(table_code(&hal, &commands, &[entry(0, -1)]), Code::OutOfRange);
    assert_eq!(table_code(&hal, &commands, &[]), Code::OutOfRange);
    assert_eq!(table_code(&hal, &commands, &[entry(0, -1), unused()]), Code::InvalidArgument);
    assert_eq!(table_code(&hal, &commands, &[unused(), entry(0, 5)]), Code::OutOfRange);
    assert_eq!(table_code(&hal, &commands, &[unused(), entry(12, -1)]), Code::OutOfRange);
    assert_eq!(table_code(&hal, &commands, &[unused(), entry(8, 16)]), Code::OutOfRange);
    assert_eq!(table_code(&hal, &commands, &[unused(), entry(17, -1)]), Code::OutOfRange);
    let host_only = [hal.allocator(), ANY, Value::I32(0x46), Value::I32(0xC03), Value::I64(16)];
    let host_only = hal.call("allocator.allocate", &host_only).remove(0);
    assert_eq!(table_code(&hal, &commands, &[unused(), (host_only, 0, -1)]), Code::PermissionDenied);
    assert_eq!(contents(&buffer), [0; 16]);
    execute_table(&hal, &commands, &[unused(), entry(0, -1)]);
    execute_table(&hal, &commands, &[unused(), entry(8, 6)]);
    let other = hal.buffer(&[0; 6]);
    let mut long = vec![unused(), (other.clone(), 0, -1)];
    long.extend((0..70).map(|_| unused()));
    execute_table(&hal, &commands, &long);
    assert_eq!(contents(&buffer), [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0]);
    assert_eq!(contents(&other), [0, 0, 1, 1, 1, 1]);
    // A table for a command buffer without slots is ignored.
    let direct = create(&hal, 0, ANY_CATEGORY, 0);
    hal.call("command_buffer.fill_buffer", &fill(&direct, (&buffer, 0), (0, -1), (0, 1)));
    finalize(&hal, &direct);
    execute_table(&hal, &direct, &[unused(), unused()]);
    assert_eq!(contents(&buffer), [0; 16]);
}

/// One command buffer, many threads, a table each. [hal-module 28]
#[test]
fn one_recording_runs_on_many_threads() {
    let hal = Arc::new(Hal::new());
    let commands = create(&hal, 0, ANY_CATEGORY, 1);
    hal.call("command_buffer.fill_buffer", &fill(&commands, (&NULL, 0), (0, -1), (7, 1)));
    finalize(&hal, &commands);
    std::thread::scope(|scope| {
        for thread in 1..=4 {
            let (hal, commands) = (&hal, &commands);
            scope.spawn(move || {
                for round in 1..50 {
                    let buffer = hal.buffer(&vec![0; thread * round]);
                    execute_table(hal, commands, &[(buffer.clone(), 0, -1)]);
                    assert!(contents(&buffer).iter().all(|byte| *byte == 7));
                }
            });
        }
    });
}

/// What was made for one submission is submitted once. [hal-module 29]
#[test]
fn one_shot_buffers_run_once() {
    let hal = Hal::new();
    let commands = create(&hal, ONE_SHOT, ANY_CATEGORY, 0);
    finalize(&hal, &commands);
    execute(&hal, &commands);
    assert_eq!(
        hal.code("device.queue.execute", &[], &execute_arguments(&hal, &commands)),
        Code::FailedPrecondition
    );
}

/// What CPU devices do not have, and what does no harm. [hal-module 30]
#[test]
fn collectives_are_refused_and_hints_accepted() {
    let hal = Hal::new();
    let create_channel = [hal.device(), ANY, ZERO, NULL, NULL, Value::I32(-1), Value::I32(-1)];
    let status = hal.fails("channel.create", &[], &create_channel);
    assert_eq!((status.code(), &*status.message()), (Code::Unimplemented, "collectives not implemented"));
    // No channel exists, so the others can only be given something else.
    let split = [hal.device(), Value::I32(0), Value::I32(0), ZERO];
    assert_eq!(hal.code("channel.split", &[], &split), Code::InvalidArgument);
    assert_eq!(hal.code("channel.rank_and_count", &[], &[NULL]), Code::InvalidArgument);
    let buffer = hal.buffer(&[0; 4]);
    let commands = create(&hal, ONE_SHOT, ANY_CATEGORY, 1);
    hal.call("command_buffer.begin_debug_group", &[commands.clone(), bytes("outer")]);
    let advise = |buffer: Value, slot: i32| [commands.clone(), buffer, ZERO, ZERO, ZERO, Value::I32(slot)];
    hal.call("command_buffer.advise_buffer", &advise(buffer.clone(), 0));
    hal.call("command_buffer.advise_buffer", &advise(NULL, 0));
    hal.call("command_buffer.begin_debug_group", &[commands.clone(), bytes([0xFF])]);
    hal.call("command_buffer.end_debug_group", &[commands.clone()]);
    hal.call("command_buffer.end_debug_group", &[commands.clone()]);
    finalize(&hal, &commands);
    execute(&hal, &commands);
    let _ = WHOLE;
}
