//! `hal.buffer_view.*`.

use super::harness::{Hal, NULL, WHOLE, bytes, contents, i32s, object, unwrap};
use std::sync::{Arc, Mutex};
use weft::hal::{Buffer, BufferView};
use weft::vm::Value;
use weft::{Code, Session};

const I32: i32 = 0x1000_0020;
const F32: i32 = 0x2100_0020;
const DENSE: i32 = 1;

fn create_arguments(buffer: &Value, range: (i64, i64), types: (i32, i32), dims: &[i64]) -> Vec<Value> {
    let mut arguments = vec![buffer.clone(), Value::I64(range.0), Value::I64(range.1)];
    arguments.extend([Value::I32(types.0), Value::I32(types.1)]);
    arguments.extend(dims.iter().map(|dim| Value::I64(*dim)));
    arguments
}

fn create(hal: &Hal, buffer: &Value, types: (i32, i32), dims: &[i64]) -> Value {
    let arguments = create_arguments(buffer, (0, -1), types, dims);
    hal.call_spans("buffer_view.create", &[dims.len()], &arguments).remove(0)
}

/// Lengths are checked against the buffer. [hal-module 15]
#[test]
fn create_checks_the_length() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 16]);
    let fails = |range, types, dims: &[i64]| {
        hal.fails("buffer_view.create", &[dims.len()], &create_arguments(&buffer, range, types, dims))
    };
    create(&hal, &buffer, (I32, DENSE), &[4]);
    create(&hal, &buffer, (I32, DENSE), &[1, 3]);
    create(&hal, &buffer, (I32, DENSE), &[]);
    create(&hal, &buffer, (I32, DENSE), &[0]);
    create(&hal, &buffer, (I32, DENSE), &[0, 1 << 62, 1 << 62]);
    create(&hal, &buffer, (I32, DENSE), &[1; 128]);
    let status = fails((0, -1), (I32, DENSE), &[5]);
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(status.message(), "buffer view byte length 20 exceeds backing buffer byte length 16");
    assert_eq!(fails((4, 8), (I32, DENSE), &[3]).code(), Code::OutOfRange);
    assert_eq!(fails((12, 8), (I32, DENSE), &[1]).code(), Code::OutOfRange);
    for dims in [&[1 << 62, 4][..], &[-1], &[1 << 32, 1 << 32], &[i64::MIN, 2]] {
        assert_eq!(fails((0, -1), (I32, DENSE), dims).code(), Code::OutOfRange, "{dims:?}");
    }
    assert_eq!(fails((0, -1), (I32, DENSE), &[1; 129]).code(), Code::OutOfRange);
    // 7 elements of 4 bits take 4 bytes.
    let small = hal.buffer(&[0; 4]);
    create(&hal, &small, (0x1000_0004, DENSE), &[7]);
    create(&hal, &small, (0x1000_0004, DENSE), &[8]);
    let nine = create_arguments(&small, (0, -1), (0x1000_0004, DENSE), &[9]);
    assert_eq!(hal.code("buffer_view.create", &[1], &nine), Code::OutOfRange);
    // Numbers without a meaning are kept.
    let odd = create(&hal, &small, (0x7700_0008, -5), &[4]);
    assert_eq!(hal.call("buffer_view.element_type", &[odd.clone()]), [Value::I32(0x7700_0008)]);
    assert_eq!(hal.call("buffer_view.encoding_type", &[odd]), [Value::I32(-5)]);
}

/// The texts that users see when an argument does not fit. [hal-module 16]
#[test]
fn assert_says_what_does_not_fit() {
    let hal = Hal::new();
    let buffer = hal.buffer(&[0; 64]);
    let arguments = |view: &Value, types: (i32, i32), dims: &[i64]| {
        let mut all = vec![view.clone(), bytes("input0"), Value::I32(types.0), Value::I32(types.1)];
        all.extend(dims.iter().map(|dim| Value::I64(*dim)));
        all
    };
    let passes = |view: &Value, types, dims: &[i64]| {
        hal.call_spans("buffer_view.assert", &[dims.len()], &arguments(view, types, dims));
    };
    let message = |view: &Value, types, dims: &[i64]| {
        let status = hal.fails("buffer_view.assert", &[dims.len()], &arguments(view, types, dims));
        assert_eq!(status.code(), Code::InvalidArgument);
        status.message().into_owned()
    };
    let view = create(&hal, &buffer, (F32, DENSE), &[4, 4]);
    passes(&view, (F32, DENSE), &[4, 4]);
    assert_eq!(
        message(&view, (I32, 2), &[9]),
        "input0 encoding mismatch; expected 00000002 but have 00000001"
    );
    assert_eq!(
        message(&view, (I32, DENSE), &[9]),
        "input0 element type mismatch; expected i32 (10000020) but have f32 (21000020)"
    );
    assert_eq!(
        message(&view, (F32, DENSE), &[4]),
        "input0 shape rank mismatch; expected 1 but have 2; expected shape `4`, actual shape `4x4`"
    );
    assert_eq!(
        message(&view, (F32, DENSE), &[4, 5]),
        "input0 shape dimension 1 mismatch; expected 5 but have 4; expected shape `4x5`, actual shape `4x4`"
    );
    passes(&create(&hal, &buffer, (F32, 0), &[4]), (F32, 77), &[4]);
    passes(&create(&hal, &buffer, (0, DENSE), &[4]), (F32, DENSE), &[4]);
    let integer = create(&hal, &buffer, (I32, DENSE), &[2]);
    passes(&integer, (0x1100_0020, DENSE), &[2]);
    passes(&integer, (0x1200_0020, DENSE), &[2]);
    passes(&create(&hal, &buffer, (0x1300_0008, DENSE), &[2]), (0x1000_0008, DENSE), &[2]);
}

/// Questions about a view. [hal-module 17]
#[test]
fn views_answer_questions() {
    let hal = Hal::new();
    let buffer = hal.buffer(&i32s(&[1, 2, 3, 4]));
    let arguments = create_arguments(&buffer, (4, 8), (I32, DENSE), &[2, 1]);
    let view = hal.call_spans("buffer_view.create", &[2], &arguments).remove(0);
    let dim = |index: i32| hal.call("buffer_view.dim", &[view.clone(), Value::I32(index)]).remove(0);
    assert_eq!((dim(0), dim(1)), (Value::I64(2), Value::I64(1)));
    for index in [2, 3, 128, -1, i32::MAX, i32::MIN] {
        assert_eq!(dim(index), Value::I64(0));
    }
    assert_eq!(hal.call("buffer_view.rank", &[view.clone()]), [Value::I32(2)]);
    assert_eq!(hal.call("buffer_view.element_type", &[view.clone()]), [Value::I32(I32)]);
    assert_eq!(hal.call("buffer_view.encoding_type", &[view.clone()]), [Value::I32(DENSE)]);
    let part = hal.call("buffer_view.buffer", &[view.clone()]).remove(0);
    assert_eq!(contents(&part), i32s(&[2, 3]));
    let whole = create(&hal, &buffer, (I32, DENSE), &[4]);
    assert_eq!(hal.call("buffer_view.buffer", &[whole]), [buffer]);
    let _: (Arc<Buffer>, Arc<BufferView>) = (unwrap(&part), unwrap(&view));
}

/// Traces reach the sink, or nobody. [hal-module 18]
#[test]
fn traces_reach_the_sink() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let device = weft::open_device("local-sync").unwrap();
    let session = Session::builder().open_device(device.clone()).trace(Arc::new(
        move |key: &str, views: &[&BufferView]| {
            let texts: Vec<_> = views.iter().map(|view| view.shape().to_string()).collect();
            sink.lock().unwrap().push(format!("{key}: {}", texts.join(" ")));
            Ok(())
        },
    ));
    let hal = Hal::with(session, device);
    let view = create(&hal, &hal.buffer(&[0; 16]), (I32, DENSE), &[2, 2]);
    let trace = |count: usize| [&[bytes("key")][..], &vec![view.clone(); count]].concat();
    hal.call_spans("buffer_view.trace", &[2], &trace(2));
    hal.call_spans("buffer_view.trace", &[0], &trace(0));
    assert_eq!(*seen.lock().unwrap(), ["key: 2x2 2x2", "key: "]);
    assert_eq!(hal.code("buffer_view.trace", &[129], &trace(129)), Code::ResourceExhausted);
    assert_eq!(hal.code("buffer_view.trace", &[1], &[bytes("key"), NULL]), Code::InvalidArgument);
    Hal::new().call_spans("buffer_view.trace", &[2], &trace(2));
    let _ = (WHOLE, object(Arc::new(0)));
}
