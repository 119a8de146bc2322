//! `hal.allocator.*` and `hal.buffer.*`.

use super::harness::{ANY, Hal, NULL, WHOLE, bytes, contents, mutable_bytes, object, unwrap};
use std::sync::Arc;
use weft::hal::{Allocator, Buffer, BufferUsage, Device, MemoryAccess};
use weft::vm::{Buffer as Bytes, BufferOrigin, Value};
use weft::{Code, Session};

const DEVICE_LOCAL: Value = Value::I32(48);
/// DEFAULT and SHARING_IMMUTABLE, as programs pass for constants.
const IMMUTABLE: Value = Value::I32(0x80C03);

fn i32_of(value: &Value) -> i32 {
    match value {
        Value::I32(value) => *value,
        other => panic!("{other:?} is no i32"),
    }
}

/// A read-only source whose bytes start at a multiple of 64 plus `shift`.
fn constant(length: usize, shift: usize) -> Arc<Bytes> {
    let storage = weft::vm::ModuleBytes::copy_of(&vec![7; length + shift]);
    Arc::new(Bytes::shared(Arc::new(storage), shift..shift + length, BufferOrigin::Module).unwrap())
}

/// Which device a shared buffer goes to. [hal-module 7]
#[test]
fn select_prefers_the_lead_device() {
    let [first, second, third] = [(); 3].map(|()| weft::open_device("local-sync").unwrap());
    let session = Session::builder().open_device(first.clone()).open_device(second.clone()).lead_device(1);
    let hal = Hal::with(session, first.clone());
    let head = [DEVICE_LOCAL, Value::I32(0xC03), Value::I64(0)];
    let select = |pairs: &[(&Arc<Device>, i64)]| {
        let mut arguments = head.to_vec();
        for (device, affinity) in pairs {
            arguments.extend([object((*device).clone()), Value::I64(*affinity)]);
        }
        let results = hal.call_spans("allocator.select", &[pairs.len()], &arguments);
        (unwrap::<Device>(&results[0]).id(), results[1].clone())
    };
    assert_eq!(select(&[(&first, 1)]), (first.id(), Value::I64(1)));
    assert_eq!(select(&[(&first, 1), (&second, 2)]), (second.id(), Value::I64(2)));
    assert_eq!(select(&[(&third, 5), (&first, 1)]), (third.id(), Value::I64(5)));
    assert_eq!(hal.code("allocator.select", &[0], &head), Code::InvalidArgument);
    let with_null = [&head[..], &[object(second.clone()), ANY, NULL, ANY]].concat();
    assert_eq!(hal.code("allocator.select", &[2], &with_null), Code::InvalidArgument);
    let many = |count: usize| [&head[..], &vec![[object(first.clone()), ANY]; count].concat()].concat();
    assert_eq!(hal.code("allocator.select", &[65], &many(65)), Code::ResourceExhausted);
    hal.call_spans("allocator.select", &[64], &many(64));
}

/// Parameters are completed, sizes checked. [hal-module 8]
#[test]
fn allocate_completes_parameters() {
    let hal = Hal::new();
    let allocate =
        |size: i64| [hal.allocator(), Value::I64(0), Value::I32(0), Value::I32(0), Value::I64(size)];
    let buffer = unwrap::<Buffer>(&hal.call("allocator.allocate", &allocate(100))[0]);
    assert!(buffer.usage().contains(BufferUsage::DEFAULT));
    assert_eq!(buffer.access(), MemoryAccess::ALL);
    assert_eq!(buffer.byte_length(), 100);
    assert_eq!(buffer.pin().unwrap().base().addr() % 64, 0);
    assert_eq!(unwrap::<Buffer>(&hal.call("allocator.allocate", &allocate(0))[0]).byte_length(), 0);
    assert_eq!(hal.code("allocator.allocate", &[], &allocate(1 << 62)), Code::ResourceExhausted);
    for negative in [-1, -64, i64::MIN] {
        let code = hal.code("allocator.allocate", &[], &allocate(negative));
        assert!(matches!(code, Code::ResourceExhausted | Code::InvalidArgument), "{code}");
    }
}

/// Constants are used in place. [hal-module 9]
#[test]
fn import_aliases_aligned_constants() {
    let hal = Hal::new();
    let import = |is_try: i32, usage: Value, source: Value, offset: i64, length: i64| {
        [
            hal.allocator(),
            Value::I32(is_try),
            ANY,
            DEVICE_LOCAL,
            usage,
            source,
            Value::I64(offset),
            Value::I64(length),
        ]
    };
    let source = constant(256, 0);
    let imported = hal.call("allocator.import", &import(1, IMMUTABLE, object(source.clone()), 64, 128));
    let buffer = unwrap::<Buffer>(&imported[0]);
    assert_eq!(buffer.byte_length(), 128);
    assert_eq!(buffer.pin().unwrap().base().addr(), source.base().as_ptr().addr() + 64);
    // The rest of the source.
    let rest = hal.call("allocator.import", &import(0, IMMUTABLE, object(source.clone()), 192, -1));
    assert_eq!(contents(&rest[0]), [7; 64]);
    // The source lives as long as the buffer.
    drop(rest);
    drop(imported);
    let weak = Arc::downgrade(&source);
    drop(source);
    assert!(weak.upgrade().is_some());
    drop(buffer);
    assert!(weak.upgrade().is_none());

    let shifted = constant(64, 16);
    let unaligned = |is_try| import(is_try, IMMUTABLE, object(shifted.clone()), 0, -1);
    assert_eq!(hal.call("allocator.import", &unaligned(1)), [NULL]);
    assert_eq!(hal.code("allocator.import", &[], &unaligned(0)), Code::OutOfRange);
    for is_try in [0, 1] {
        let plain = import(is_try, Value::I32(0xC03), object(shifted.clone()), 0, -1);
        assert_eq!(hal.code("allocator.import", &[], &plain), Code::PermissionDenied);
        for (offset, length) in [(0, 65), (65, 0), (65, -1), (i64::MAX, 1), (-2, 1), (64, 1)] {
            let outside = import(is_try, IMMUTABLE, object(shifted.clone()), offset, length);
            assert_eq!(
                hal.code("allocator.import", &[], &outside),
                Code::InvalidArgument,
                "{offset} {length}"
            );
        }
    }
}

/// Who may write what was imported. [hal-module 10]
#[test]
fn imported_constants_are_read_only() {
    let hal = Hal::new();
    let import = |source: Arc<Bytes>, usage: i32| {
        let arguments = [
            hal.allocator(),
            Value::I32(0),
            ANY,
            DEVICE_LOCAL,
            Value::I32(usage),
            object(source),
            Value::I64(0),
            WHOLE,
        ];
        hal.call("allocator.import", &arguments).remove(0)
    };
    let store = |buffer: Value| [Value::I32(0x55), buffer, Value::I64(3), Value::I32(1)];
    let constant = import(constant(64, 0), 0x80C03);
    assert_eq!(hal.code("buffer.store", &[], &store(constant)), Code::PermissionDenied);
    let source = mutable_bytes(&[0; 64], 64);
    hal.call("buffer.store", &store(import(source.clone(), 0xC03)));
    assert_eq!(source.bytes()[..5], [0, 0, 0, 0x55, 0]);
    let shared = import(source, 0x80C03);
    assert_eq!(hal.code("buffer.store", &[], &store(shared)), Code::PermissionDenied);
}

/// What programs demand of argument buffers. [hal-module 11]
#[test]
fn assert_checks_length_type_and_usage() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 16]);
    let assert = |allocator: Value, minimum: i64, memory_type: i32, usage: i32| {
        [
            buffer.clone(),
            bytes("tensor"),
            allocator,
            Value::I64(minimum),
            Value::I32(memory_type),
            Value::I32(usage),
        ]
    };
    hal.call("buffer.assert", &assert(hal.allocator(), 16, 16, 0xC03));
    let other = weft::open_device("local-sync").unwrap();
    hal.call("buffer.assert", &assert(object(other.allocator().clone()), 0, 16, 0xC03));
    let short = hal.fails("buffer.assert", &[], &assert(hal.allocator(), 17, 16, 0xC03));
    assert_eq!(short.code(), Code::InvalidArgument);
    assert_eq!(short.message(), "tensor buffer byte length 16 less than expected minimum 17");
    for (memory_type, usage) in [(1 << 20, 0xC03), (16, 0x1000)] {
        let status = hal.fails("buffer.assert", &[], &assert(hal.allocator(), 16, memory_type, usage));
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    }
    assert_eq!(hal.code("buffer.assert", &[], &assert(NULL, 16, 16, 0xC03)), Code::InvalidArgument);
    let _: Arc<Allocator> = unwrap(&hal.allocator());
}

/// Parts of buffers. [hal-module 12]
#[test]
fn subspans_refer_to_the_allocation() {
    let hal = Hal::new();
    let buffer = hal.buffer(&(0..32).collect::<Vec<u8>>());
    let subspan = |of: &Value, offset: i64, length: i64| [of.clone(), Value::I64(offset), Value::I64(length)];
    let call =
        |of: &Value, offset, length| hal.call("buffer.subspan", &subspan(of, offset, length)).remove(0);
    assert_eq!(call(&buffer, 0, -1), buffer);
    assert_eq!(call(&buffer, 0, 32), buffer);
    let outer = call(&buffer, 8, 16);
    let inner = call(&outer, 4, -1);
    assert_eq!(contents(&inner), (12..24).collect::<Vec<u8>>());
    assert_eq!(unwrap::<Buffer>(&inner).byte_offset(), 12);
    assert_eq!(hal.call("buffer.length", &[inner.clone()]), [Value::I64(12)]);
    assert_eq!(hal.call("buffer.length", &[call(&outer, 16, 0)]), [Value::I64(0)]);
    for (offset, length) in [(17, 0), (0, 17), (16, 1), (17, -1), (-1, 1), (8, -2), (1 << 62, 1 << 62)] {
        assert_eq!(hal.code("buffer.subspan", &[], &subspan(&outer, offset, length)), Code::OutOfRange);
    }
    // The allocation lives as long as a part of it.
    let weak = Arc::downgrade(&unwrap::<Buffer>(&buffer));
    drop((buffer, outer));
    assert!(weak.upgrade().is_some());
    assert_eq!(contents(&inner)[0], 12);
    drop(inner);
    assert!(weak.upgrade().is_none());
}

/// Host access of 0 to 4 bytes. [hal-module 13]
#[test]
fn loads_and_stores() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0xFA]);
    let load = |offset: i64, length: i32| [buffer.clone(), Value::I64(offset), Value::I32(length)];
    let value = |offset, length| i32_of(&hal.call("buffer.load", &load(offset, length))[0]) as u32;
    assert_eq!((value(0, 1), value(0, 2), value(0, 3), value(0, 4)), (0xFF, 0xFEFF, 0xFDFEFF, 0xFCFDFEFF));
    assert_eq!((value(5, 1), value(2, 4), value(0, 0), value(900, 0)), (0xFA, 0xFAFBFCFD, 0, 0));
    for length in [5, -1, i32::MIN] {
        assert_eq!(hal.code("buffer.load", &[], &load(0, length)), Code::InvalidArgument);
    }
    for (offset, length) in [(6, 1), (3, 4), (-1, 1), (i64::MAX, 4)] {
        assert_eq!(hal.code("buffer.load", &[], &load(offset, length)), Code::OutOfRange);
    }
    let store = |value: u32, offset: i64, length: i32| {
        [Value::I32(value as i32), buffer.clone(), Value::I64(offset), Value::I32(length)]
    };
    hal.call("buffer.store", &store(0x11223344, 0, 4));
    hal.call("buffer.store", &store(0x55667788, 3, 3));
    hal.call("buffer.store", &store(0x99, 900, 0));
    assert_eq!(contents(&buffer), [0x44, 0x33, 0x22, 0x88, 0x77, 0x66]);
    assert_eq!(hal.code("buffer.store", &[], &store(0, 0, 5)), Code::InvalidArgument);
    assert_eq!(hal.code("buffer.store", &[], &store(0, 5, 2)), Code::OutOfRange);
}

/// Owners of an allocation are counted where subspans meet. [hal-module 14]
#[test]
fn ownership_is_counted_on_the_allocation() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 8]);
    let part = hal.call("buffer.subspan", &[buffer.clone(), Value::I64(4), WHOLE]).remove(0);
    let ask = |what: &str, of: &Value| hal.call(&format!("buffer.allocation.{what}"), &[of.clone()]);
    assert_eq!(ask("is_terminal", &part), [Value::I32(1)]);
    ask("preserve", &part);
    assert_eq!(ask("is_terminal", &buffer), [Value::I32(0)]);
    assert_eq!(ask("discard", &buffer), [Value::I32(0)]);
    assert_eq!(ask("is_terminal", &part), [Value::I32(1)]);
    assert_eq!(ask("discard", &part), [Value::I32(1)]);
    assert_eq!(ask("is_terminal", &part), [Value::I32(0)]);
    assert_eq!(ask("discard", &part), [Value::I32(0)]);

    let shared = unwrap::<Buffer>(&hal.buffer(&[0; 4]));
    (0..7).for_each(|_| shared.preserve());
    let last: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| usize::from(shared.discard()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(last, 1);
}
