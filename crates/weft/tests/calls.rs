//! Everything that can be said about a call but how it is cancelled: fences, storage for results, budgets.
//!
//! What does not live here: cancelling (`cancel/`), short forms of calls (`programs.rs`).

use std::path::Path;
use std::sync::Arc;

use weft::hal::{BufferParams, BufferView, Encoding, MemoryAccess};
use weft::{
    Code, Deadline, ElementType, Fence, Function, IntoArguments, Program, Session, Shape, Status, Tensor,
    Value,
};

const DEVICES: [&str; 2] = ["local-sync", "local-task"];
/// Functions that run to their end, and the same for callers that do not wait.
const PROGRAMS: [&str; 2] = ["outputs_brought", "outputs_brought_async"];

fn load(uri: &str, name: &str) -> Program {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/library").join(format!("{name}.vmfb"));
    let session = Session::builder().device(uri).build().unwrap();
    session.load(path).unwrap_or_else(|status| panic!("{name}: {status}"))
}

/// Both programs on both devices.
fn everywhere(mut body: impl FnMut(&Program)) {
    for uri in DEVICES {
        for name in PROGRAMS {
            body(&load(uri, name));
        }
    }
}

fn floats(values: &[f32]) -> Tensor {
    Tensor::new(&[values.len() as u64], values).unwrap()
}

fn integers(values: &[i32]) -> Tensor {
    Tensor::new(&[values.len() as u64], values).unwrap()
}

fn zeros(count: u64) -> Tensor {
    Tensor::zeros::<f32>(&[count]).unwrap()
}

fn is_same_storage(left: &Tensor, right: &Tensor) -> bool {
    Arc::ptr_eq(left.view().buffer(), right.view().buffer())
}

/// The call with these outputs is refused, and nothing has run.
fn refused(function: &Function, arguments: impl IntoArguments, outputs: impl IntoArguments) -> Status {
    let signal = Fence::create();
    let call = function.prepare(arguments).into_outputs(outputs).signalling(&signal);
    let status = call.run::<Vec<Value>>().unwrap_err();
    let told = signal.query().unwrap_err();
    assert_eq!((told.code(), told.message()), (status.code(), status.message()));
    assert!(status.to_string().contains(&format!("invoking function '{}'", function.name())), "{status}");
    status
}

/// Results that a function gives by itself are copied where the caller wants them; the caller's tensors are the results.
#[test]
fn results_are_put_into_outputs() {
    everywhere(|program| {
        let two = program.function("two").unwrap();
        let (sums, numbers) = (zeros(4), integers(&[0; 4]));
        for round in 1..4u8 {
            let value = f32::from(round);
            let call = two.prepare(floats(&[value; 4])).into_outputs([&sums, &numbers]);
            let results: (Tensor, Tensor) = call.run().unwrap();
            assert!(is_same_storage(&results.0, &sums) && is_same_storage(&results.1, &numbers));
            assert_eq!(sums.to_vec::<f32>().unwrap(), [2.0 * value; 4]);
            assert_eq!(numbers.to_vec::<i32>().unwrap(), [i32::from(round); 4]);
        }
        // One of them goes wherever the program likes.
        let call = two.prepare(floats(&[9.0; 4])).into_outputs([Value::Null, Value::from(&numbers)]);
        let (elsewhere, _): (Tensor, Tensor) = call.run().unwrap();
        assert_eq!(
            (elsewhere.to_vec::<f32>().unwrap(), sums.to_vec::<f32>().unwrap()),
            (vec![18.0; 4], vec![6.0; 4])
        );
        assert_eq!(numbers.to_vec::<i32>().unwrap(), [9; 4]);
        // Unsigned is the same to programs.
        let unsigned = Tensor::zeros::<u32>(&[4]).unwrap();
        let call = two.prepare(floats(&[3.0; 4])).into_outputs((Value::Null, &unsigned));
        call.run::<Vec<Value>>().unwrap();
        assert_eq!(unsigned.to_vec::<u32>().unwrap(), [3; 4]);
    });
}

/// Extents that only a call decides.
#[test]
fn outputs_of_any_length() {
    everywhere(|program| {
        let counting = program.function("counting").unwrap();
        for length in [1i64, 7, 1000] {
            let output = Tensor::zeros::<i32>(&[length as u64]).unwrap();
            counting.prepare(length).into_outputs(&output).run::<Tensor>().unwrap();
            let expected: Vec<i32> = (0..length as i32).collect();
            assert_eq!(output.to_vec::<i32>().unwrap(), expected);
        }
        let empty = Tensor::zeros::<i32>(&[0]).unwrap();
        counting.prepare(0i64).into_outputs(&empty).run::<Tensor>().unwrap();
        // Known only when the result is there.
        let output = Tensor::zeros::<i32>(&[8]).unwrap();
        let status = refused(&counting, 7i64, &output);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "shape mismatch; expected `7` but have `8`");
        assert!(status.to_string().contains("output 0"), "{status}");
        assert_eq!(output.to_vec::<i32>().unwrap(), [0; 8]);
    });
}

/// Storage that a function takes for a result is where it writes, among outputs that are copied. [hal-module 67]
#[test]
fn functions_write_into_outputs() {
    everywhere(|program| {
        let stored = program.function("stored").unwrap();
        let (sum, product) = (zeros(4), zeros(4));
        let arguments = || (floats(&[3.0; 4]), floats(&[2.0; 4]));
        let live = || program.session().lead_device().unwrap().allocator().statistics().device.live();
        let before = live();
        let call = stored.prepare(arguments()).into_outputs((&sum, &product));
        let results: (Tensor, Tensor) = call.run().unwrap();
        assert!(is_same_storage(&results.0, &sum) && is_same_storage(&results.1, &product));
        assert_eq!(sum.to_vec::<f32>().unwrap(), [5.0; 4]);
        assert_eq!(product.to_vec::<f32>().unwrap(), [6.0; 4]);
        assert_eq!(live(), before);
        let call = stored.prepare(arguments()).into_outputs((Value::Null, &sum));
        call.run::<Vec<Value>>().unwrap();
        assert_eq!(sum.to_vec::<f32>().unwrap(), [6.0; 4]);

        let plain = program.function("plain").unwrap();
        plain.prepare(floats(&[4.0; 4])).into_outputs(&sum).run::<Tensor>().unwrap();
        assert_eq!(sum.to_vec::<f32>().unwrap(), [8.0; 4]);

        // The arguments are those without the storage.
        let status = refused(&stored, (&sum, &product, &sum), (Value::Null, &sum));
        assert_eq!(status.message(), "expected 2 arguments beside the outputs but passed 3");
        let status = refused(&stored, arguments(), (&sum, Value::Null));
        assert_eq!(status.message(), "output 1: none, but the function writes result 1 there");
        let status = refused(&stored, arguments(), (&sum, zeros(5)));
        assert_eq!(status.message(), "shape mismatch; expected `4` but have `5`");
        assert!(status.to_string().contains("output 1"), "{status}");
    });
}

/// What does not fit is refused before anything runs, and named.
#[test]
fn outputs_that_do_not_fit_are_refused() {
    everywhere(|program| {
        let two = program.function("two").unwrap();
        let argument = floats(&[1.0; 4]);
        let (sums, numbers) = (zeros(4), integers(&[0; 4]));
        let fails = |outputs: Vec<Value>, output: &str, message: &str| {
            let status = refused(&two, &argument, outputs);
            assert_eq!((status.code(), &*status.message()), (Code::InvalidArgument, message));
            assert!(status.to_string().contains(output), "{status}");
            assert_eq!(sums.to_vec::<f32>().unwrap(), [0.0; 4]);
        };
        let sums_value = || Value::from(&sums);
        fails(vec![sums_value()], "outputs", "1 outputs for 2 results; each needs one, or null");
        fails(vec![], "outputs", "0 outputs for 2 results; each needs one, or null");
        fails(vec![sums_value(), Value::I32(1)], "", "output 1: expected tensor or null, found i32");
        fails(
            vec![sums_value(), Value::from(integers(&[0; 5]))],
            "output 1",
            "shape mismatch; expected `4` but have `5`",
        );
        let square = Tensor::zeros::<i32>(&[2, 2]).unwrap();
        fails(
            vec![sums_value(), Value::from(square)],
            "output 1",
            "shape mismatch; expected `4` but have `2x2`",
        );
        fails(
            vec![Value::from(&numbers), Value::Null],
            "output 0",
            "element type mismatch; expected `f32` but have `i32`",
        );
        let narrow = Tensor::zeros::<i16>(&[4]).unwrap();
        fails(
            vec![sums_value(), Value::from(narrow)],
            "output 1",
            "element type mismatch; expected `i32` but have `i16`",
        );
        let whole = numbers.view();
        let again = BufferView::new(
            whole.buffer().subspan(0, 16).unwrap(),
            Shape::new(&[4]).unwrap(),
            ElementType::F32,
            Encoding::DENSE_ROW_MAJOR,
        );
        fails(
            vec![Value::from(again.unwrap()), Value::from(&numbers)],
            "",
            "output 1: its storage overlaps that of output 0",
        );
    });
    let program = load("local-sync", "outputs_brought");
    let with_number = program.function("with_number").unwrap();
    let one = integers(&[0]);
    let status = refused(&with_number, (floats(&[1.0; 4]), 1i32), (Value::Null, &one));
    assert_eq!(status.message(), "output 1: storage for a result that is a number");
    let sums = zeros(4);
    let call = with_number.prepare((floats(&[1.0; 4]), 21i32)).into_outputs((&sums, Value::Null));
    let (_, number): (Tensor, i32) = call.run().unwrap();
    assert_eq!((number, sums.to_vec::<f32>().unwrap()), (42, vec![2.0; 4]));
}

/// Storage that may not be written is not.
#[test]
fn read_only_outputs_are_refused() {
    let params = BufferParams { access: MemoryAccess::READ, ..BufferParams::device_local() };
    let buffer = weft::host_allocator().allocate(&params, 16).unwrap();
    let shape = Shape::new(&[4]).unwrap();
    let view = BufferView::new(buffer, shape, ElementType::F32, Encoding::DENSE_ROW_MAJOR).unwrap();
    let read_only = Tensor::from(view);
    everywhere(|program| {
        let (two, stored) = (program.function("two").unwrap(), program.function("stored").unwrap());
        let argument = floats(&[1.0; 4]);
        let status = refused(&two, &argument, (&read_only, Value::Null));
        assert_eq!((status.code(), &*status.message()), (Code::PermissionDenied, "its storage is read-only"));
        assert!(status.to_string().contains("output 0"), "{status}");
        let status = refused(&stored, (&argument, &argument), (Value::Null, &read_only));
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.to_string().contains("output 1"), "{status}");
    });
}

/// Results that are arguments: copied, left where they are, or refused where one output would overwrite another's source.
#[test]
fn arguments_that_are_results() {
    everywhere(|program| {
        let same = program.function("same").unwrap();
        let (one, two) = (integers(&[1, 2]), integers(&[3, 4]));
        let (left, right) = (integers(&[0; 2]), integers(&[0; 2]));
        same.prepare((&one, &two)).into_outputs((&left, &right)).run::<Vec<Value>>().unwrap();
        assert_eq!((left.to_vec::<i32>().unwrap(), right.to_vec::<i32>().unwrap()), (vec![1, 2], vec![3, 4]));
        same.prepare((&one, &two)).into_outputs((&one, &two)).run::<Vec<Value>>().unwrap();
        assert_eq!((one.to_vec::<i32>().unwrap(), two.to_vec::<i32>().unwrap()), (vec![1, 2], vec![3, 4]));
        let crossed = same.prepare((&one, &two)).into_outputs((&two, &one)).run::<Vec<Value>>();
        // A program may well give copies of its arguments; then nothing is in the way.
        match crossed {
            Ok(_) => assert_eq!(one.to_vec::<i32>().unwrap(), [3, 4]),
            Err(status) => assert_eq!(status.message(), "output 1: its storage overlaps result 0"),
        }
    });
}

/// Waits of several fences, signals of several, and outputs behind them. [hal-module 64]
#[test]
fn calls_between_many_fences() {
    for uri in DEVICES {
        let program = load(uri, "outputs_brought_async");
        let two = program.function("two").unwrap();
        let (first, second) = (Fence::create(), Fence::create());
        let (told, told_too) = (Fence::create(), Fence::create());
        let (sums, numbers) = (zeros(4), integers(&[0; 4]));
        // local-sync waits in the call, so somebody else signals.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                assert!(!told.query().unwrap() && sums.to_vec::<f32>().unwrap() == [0.0; 4]);
                first.signal().unwrap();
                std::thread::sleep(std::time::Duration::from_millis(20));
                assert!(!told.query().unwrap() && sums.to_vec::<f32>().unwrap() == [0.0; 4]);
                second.signal().unwrap();
            });
            let call = two.prepare(floats(&[2.0; 4])).after(&first).after(&second);
            let call = call.signalling(&told).signalling(&told_too).into_outputs((&sums, &numbers));
            call.submit::<(Tensor, Tensor)>().unwrap();
            told.wait(Deadline::NEVER).unwrap();
            told_too.wait(Deadline::NEVER).unwrap();
        });
        assert_eq!(sums.to_vec::<f32>().unwrap(), [4.0; 4]);
        assert_eq!(numbers.to_vec::<i32>().unwrap(), [2; 4]);
    }
}

/// A call that blocks, or runs to its end anyway, signals as well, and its failures are the fences'.
#[test]
fn calls_that_block_signal_too() {
    everywhere(|program| {
        let two = program.function("two").unwrap();
        for submits in [false, true] {
            let (wait, told) = (Fence::create(), Fence::create());
            wait.signal().unwrap();
            let sums = zeros(4);
            let call = two.prepare(floats(&[2.0; 4])).after(&wait).signalling(&told);
            let call = call.into_outputs((&sums, Value::Null));
            let _: Vec<Value> = if submits { call.submit() } else { call.run() }.unwrap();
            told.wait(Deadline::NEVER).unwrap();
            assert_eq!(sums.to_vec::<f32>().unwrap(), [4.0; 4]);

            let (wait, told) = (Fence::create(), Fence::create());
            wait.fail(Status::new(Code::DataLoss, "the disk is gone"));
            let call = two.prepare(floats(&[2.0; 4])).after(&wait).signalling(&told);
            let call = call.into_outputs((&sums, Value::Null));
            let outcome = if submits { call.submit::<Vec<Value>>() } else { call.run() };
            assert!(submits || outcome.is_err());
            assert_eq!(told.wait(Deadline::NEVER).unwrap_err().code(), Code::DataLoss);
        }
    });
}

/// A budget ends calls that take too long, and only those.
#[test]
fn calls_have_budgets() {
    for uri in DEVICES {
        let program = load(uri, "cancellable");
        let steps = program.function("steps").unwrap();
        let call = |rounds: i64, budget: u64| {
            steps.prepare((floats(&[0.0; 4]), Value::I64(rounds))).budget(budget).run::<Tensor>()
        };
        assert_eq!(call(2, 100_000).unwrap().to_vec::<f32>().unwrap(), [1.5; 4]);
        assert_eq!(call(1_000_000_000, 100_000).unwrap_err().code(), Code::ResourceExhausted);
    }
}
