//! `hal.device.queue.*` and `hal.ex.file.*`.

use super::harness::{ANY, Hal, NULL, WHOLE, bytes, contents, mutable_bytes, object, unwrap};
use std::sync::Arc;
use weft::Code;
use weft::hal::{Buffer, BufferUsage, File, MemoryAccess, MemoryType};
use weft::vm::Value;

const ZERO: Value = Value::I64(0);

fn alloca(hal: &Hal, size: i64, fence: &Value) -> Value {
    hal.call("device.queue.alloca", &alloca_arguments(hal, 0, size, 0, fence)).remove(0)
}

fn alloca_arguments(hal: &Hal, pool: i64, size: i64, flags: i64, fence: &Value) -> [Value; 9] {
    let (memory_type, usage) = (Value::I32(48), Value::I32(0xC03));
    [
        hal.device(),
        ANY,
        NULL,
        fence.clone(),
        Value::I64(pool),
        memory_type,
        usage,
        Value::I64(size),
        Value::I64(flags),
    ]
}

fn dealloca(hal: &Hal, buffer: &Value, fence: &Value) {
    hal.call("device.queue.dealloca", &[hal.device(), ANY, NULL, fence.clone(), buffer.clone(), ZERO]);
}

/// A queue operation between two fences: device, affinity, wait, signal, then the rest.
fn between(hal: &Hal, fences: (&Value, &Value), rest: &[Value]) -> Vec<Value> {
    [&[hal.device(), ANY, fences.0.clone(), fences.1.clone()], rest].concat()
}

fn query(hal: &Hal, fence: &Value) -> Value {
    hal.call("fence.query", &[fence.clone()]).remove(0)
}

fn fill_rest(buffer: &Value, range: (i64, i64), pattern: (i64, i32)) -> Vec<Value> {
    let (offset, length) = range;
    vec![
        buffer.clone(),
        Value::I64(offset),
        Value::I64(length),
        Value::I64(pattern.0),
        Value::I32(pattern.1),
        ZERO,
    ]
}

fn copy_rest(source: (&Value, i64), target: (&Value, i64), length: i64) -> Vec<Value> {
    vec![
        source.0.clone(),
        Value::I64(source.1),
        target.0.clone(),
        Value::I64(target.1),
        Value::I64(length),
        ZERO,
    ]
}

fn memory_file(hal: &Hal, source: &Value, offset: i64, length: i64) -> Value {
    hal.call("ex.file.from_memory", &file_arguments(hal, 1, source, offset, length)).remove(0)
}

fn file_arguments(hal: &Hal, access: i32, source: &Value, offset: i64, length: i64) -> [Value; 7] {
    [
        hal.device(),
        ANY,
        Value::I32(access),
        source.clone(),
        Value::I64(offset),
        Value::I64(length),
        Value::I32(0),
    ]
}

/// Queue-ordered memory. [hal-module 31]
#[test]
fn alloca_gives_a_buffer_at_once() {
    let hal = Hal::new();
    let fence = hal.fence();
    let value = alloca(&hal, 64, &fence);
    let buffer = unwrap::<Buffer>(&value);
    assert_eq!(query(&hal, &fence), Value::I32(0));
    assert_eq!(buffer.byte_length(), 64);
    assert!(buffer.memory_type().contains(MemoryType::DEVICE_LOCAL | MemoryType::HOST_VISIBLE));
    assert!(buffer.usage().contains(BufferUsage::DEFAULT));
    assert_eq!(buffer.access(), MemoryAccess::ALL);
    let before = *buffer.metadata();
    hal.call("device.queue.fill", &between(&hal, (&fence, &NULL), &fill_rest(&value, (0, -1), (0x0102, 2))));
    assert_eq!(contents(&value)[..4], [2, 1, 2, 1]);
    assert_eq!(*buffer.metadata(), before);
    assert_eq!(unwrap::<Buffer>(&alloca(&hal, 0, &NULL)).byte_length(), 0);
    assert_eq!(
        hal.code("device.queue.alloca", &[], &alloca_arguments(&hal, 1, 4, 0, &NULL)),
        Code::Unimplemented
    );
    assert_eq!(
        hal.code("device.queue.alloca", &[], &alloca_arguments(&hal, 0, 4, 4, &NULL)),
        Code::InvalidArgument
    );
    hal.call("device.queue.alloca", &alloca_arguments(&hal, 0, 4, 3, &NULL));
    let huge = hal.try_call("device.queue.alloca", &[], &alloca_arguments(&hal, 0, -1, 0, &NULL));
    assert!(matches!(huge.unwrap_err().code(), Code::ResourceExhausted | Code::InvalidArgument));
}

/// Memory goes when it is told to. [hal-module 32]
#[test]
fn dealloca_takes_the_memory_away() {
    let hal = Hal::new();
    let live = || {
        let statistics = hal.device.allocator().statistics();
        statistics.device.live()
    };
    let before = live();
    let buffer = alloca(&hal, 4096, &NULL);
    assert!(live() > before);
    let fence = hal.fence();
    dealloca(&hal, &buffer, &fence);
    assert_eq!(query(&hal, &fence), Value::I32(0));
    assert_eq!(live(), before);
    dealloca(&hal, &buffer, &NULL);
    let load = [buffer.clone(), ZERO, Value::I32(4)];
    assert_eq!(hal.code("buffer.load", &[], &load), Code::FailedPrecondition);
    let failing = hal.fence();
    let fill = between(&hal, (&NULL, &failing), &fill_rest(&buffer, (0, 4), (1, 4)));
    let status = hal.fails("device.queue.fill", &[], &fill);
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(query(&hal, &failing), Value::I32(9));
    // Of a plain buffer it is a barrier.
    let plain = hal.buffer(&[1, 2]);
    let fence = hal.fence();
    dealloca(&hal, &plain, &fence);
    assert_eq!((query(&hal, &fence), contents(&plain)), (Value::I32(0), vec![1, 2]));
}

/// Waits, work, signals, and failures of each. [hal-module 33]
#[test]
fn every_operation_waits_and_signals() {
    let hal = Hal::new();
    let (buffer, other) = (hal.buffer(&[0; 8]), hal.buffer(&[1; 8]));
    let file = memory_file(&hal, &bytes([3; 8]), 0, 8);
    let commands = super::commands::create(&hal, 0, 3, 0);
    super::commands::finalize(&hal, &commands);
    let operations: [(&str, Vec<Value>); 6] = [
        ("device.queue.fill", fill_rest(&buffer, (0, 8), (5, 1))),
        ("device.queue.update", copy_rest((&bytes([6; 8]), 0), (&buffer, 0), 8)),
        ("device.queue.copy", copy_rest((&other, 0), (&buffer, 0), 8)),
        ("device.queue.read", copy_rest((&file, 0), (&buffer, 0), 8)),
        ("device.queue.barrier", vec![ZERO]),
        ("device.queue.execute", vec![commands, ZERO]),
    ];
    for (import, rest) in &operations {
        hal.call(import, &between(&hal, (&NULL, &NULL), rest));
        let reached = hal.fence();
        hal.call("fence.signal", &[reached.clone()]);
        let signal = hal.fence();
        hal.call(import, &between(&hal, (&reached, &signal), rest));
        assert_eq!(query(&hal, &signal), Value::I32(0), "{import}");
        // A failed wait skips the work and fails the signal.
        hal.call("device.queue.fill", &between(&hal, (&NULL, &NULL), &fill_rest(&buffer, (0, 8), (0x77, 1))));
        let (failed, signal) = (hal.fence(), hal.fence());
        hal.call("fence.fail", &[failed.clone(), Value::I32(15)]);
        hal.call(import, &between(&hal, (&failed, &signal), rest));
        assert_eq!(query(&hal, &signal), Value::I32(15), "{import}");
        assert_eq!(contents(&buffer), [0x77; 8], "{import}");
        let awaiting = [Value::I32(-1), ZERO, signal];
        assert_eq!(hal.code("fence.await", &[1], &awaiting), Code::DataLoss, "{import}");
    }
}

/// Fences alone order the work. [hal-module 34]
#[test]
fn chains_of_operations() {
    let hal = Hal::new();
    let (source, target) = (alloca(&hal, 8, &NULL), hal.buffer(&[0; 8]));
    let fences: Vec<_> = (0..4).map(|_| hal.fence()).collect();
    hal.call("device.queue.fill", &between(&hal, (&NULL, &fences[0]), &fill_rest(&source, (0, -1), (1, 1))));
    hal.call(
        "device.queue.copy",
        &between(&hal, (&fences[0], &fences[1]), &copy_rest((&source, 0), (&target, 0), -1)),
    );
    hal.call(
        "device.queue.fill",
        &between(&hal, (&fences[1], &fences[2]), &fill_rest(&target, (4, 4), (2, 2))),
    );
    let update = copy_rest((&bytes([9, 8, 7]), 1), (&target, 6), 2);
    hal.call("device.queue.update", &between(&hal, (&fences[2], &fences[3]), &update));
    let awaiting = [Value::I32(-1), ZERO, fences[3].clone()];
    assert_eq!(hal.call_spans("fence.await", &[1], &awaiting), [Value::I32(0)]);
    assert_eq!(query(&hal, &fences[3]), Value::I32(0));
    assert_eq!(contents(&target), [1, 1, 1, 1, 2, 0, 8, 7]);
}

/// Reading from memory files. [hal-module 35]
#[test]
fn reads_from_memory_files() {
    let hal = Hal::new();
    let source = mutable_bytes(&(0..=255).collect::<Vec<u8>>(), 0);
    let weak = Arc::downgrade(&source);
    let file = memory_file(&hal, &object(source.clone()), 3, -1);
    let buffer = hal.buffer(&[0; 8]);
    let read = |file: &Value, from: i64, to: i64, length: i64| {
        between(&hal, (&NULL, &NULL), &copy_rest((file, from), (&buffer, to), length))
    };
    hal.call("device.queue.read", &read(&file, 1, 2, 4));
    assert_eq!(contents(&buffer), [0, 0, 4, 5, 6, 7, 0, 0]);
    hal.call("device.queue.read", &read(&file, 9999, 0, 0));
    for (from, to, length) in [(250, 0, 4), (253, 0, 1), (0, 6, 3), (0, 9, 1), (i64::MAX, 0, 4)] {
        assert_eq!(hal.code("device.queue.read", &[], &read(&file, from, to, length)), Code::OutOfRange);
    }
    let write = between(&hal, (&NULL, &NULL), &copy_rest((&buffer, 0), (&file, 0), 4));
    assert_eq!(hal.code("device.queue.write", &[], &write), Code::PermissionDenied);
    let value = object(source.clone());
    for access in [0, 2, 3, 7] {
        let arguments = file_arguments(&hal, access, &value, 0, 4);
        assert_eq!(hal.code("ex.file.from_memory", &[], &arguments), Code::PermissionDenied);
    }
    for (offset, length) in [(0, 257), (257, 0), (256, 1), (-1, 1)] {
        let arguments = file_arguments(&hal, 1, &value, offset, length);
        assert_eq!(hal.code("ex.file.from_memory", &[], &arguments), Code::OutOfRange, "{offset} {length}");
    }
    drop((value, source, write));
    assert!(weak.upgrade().is_some());
    let _: Arc<File> = unwrap(&file);
    drop(file);
    assert!(weak.upgrade().is_none());
    let large: Vec<u8> = (0..256 << 10).map(|index: usize| ((index * 31) >> 3) as u8).collect();
    let (file, target) = (memory_file(&hal, &bytes(&large), 0, -1), hal.buffer(&vec![0; large.len()]));
    let rest = copy_rest((&file, 0), (&target, 0), large.len() as i64);
    hal.call("device.queue.read", &between(&hal, (&NULL, &NULL), &rest));
    assert!(contents(&target) == large);
}

/// Any affinity selects a queue. [hal-module 36]
#[test]
fn any_affinity_is_accepted() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 4]);
    for affinity in [-1, 0, 1, 2, 1 << 40, i64::MIN] {
        let mut arguments = between(&hal, (&NULL, &NULL), &fill_rest(&buffer, (0, 4), (affinity, 1)));
        arguments[1] = Value::I64(affinity);
        hal.call("device.queue.fill", &arguments);
        assert_eq!(contents(&buffer), [affinity as u8; 4]);
        hal.call("device.queue.flush", &[hal.device(), Value::I64(affinity)]);
    }
}

/// Errors in arguments are returned and leave the fence alone. [hal-module 33]
#[test]
fn wrong_arguments_are_returned() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 8]);
    let signal = hal.fence();
    let cases = [
        ("device.queue.fill", fill_rest(&buffer, (0, 8), (1, 3)), Code::InvalidArgument),
        ("device.queue.fill", fill_rest(&buffer, (1, 4), (1, 4)), Code::InvalidArgument),
        ("device.queue.fill", fill_rest(&buffer, (8, 4), (1, 4)), Code::OutOfRange),
        ("device.queue.update", copy_rest((&bytes([1; 4]), 2), (&buffer, 0), 3), Code::OutOfRange),
        ("device.queue.update", copy_rest((&bytes([1; 4]), 0), (&buffer, 6), 3), Code::OutOfRange),
        ("device.queue.copy", copy_rest((&buffer, 0), (&buffer, 2), 4), Code::InvalidArgument),
        ("device.queue.copy", copy_rest((&buffer, 0), (&buffer, 4), -1), Code::OutOfRange),
        ("device.queue.execute", vec![NULL, ZERO], Code::InvalidArgument),
    ];
    for (import, rest, code) in cases {
        assert_eq!(hal.code(import, &[], &between(&hal, (&NULL, &signal), &rest)), code, "{import}");
        assert_eq!(query(&hal, &signal), Value::I32(17), "{import}");
    }
    let _ = WHOLE;
}
