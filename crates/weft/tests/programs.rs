//! Compiled programs through the library: sharing, fences, errors, devices, state.
//!
//! What does not live here: values of results over all kinds of programs (`corpus.rs`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weft::hal::{BufferParams, BufferView, Encoding, MemoryAccess};
use weft::vm::Ref;
use weft::vm::module_builder::ModuleBuilder;
use weft::vm::native::Signal;
use weft::{
    CancelToken, Code, ElementType, Fence, Fences, InvokeOptions, Program, Session, Shape, Status, Tensor,
    Value,
};

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs").join(format!("{name}.vmfb"))
}

fn load(name: &str) -> Program {
    Program::load(model(name)).unwrap_or_else(|status| panic!("{name}: {status}"))
}

fn data(name: &str) -> Program {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/library").join(format!("{name}.vmfb"));
    Program::load(path).unwrap_or_else(|status| panic!("{name}: {status}"))
}

fn floats(values: &[f32]) -> Tensor {
    Tensor::new(&[values.len() as u64], values).unwrap()
}

/// One program, many threads, no lock of the caller.
#[test]
fn a_program_is_shared_between_threads() {
    let program = load("elementwise_f32");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let program = &program;
            scope.spawn(move || {
                for round in 0..100 {
                    let value = (thread * 1000 + round) as f32;
                    let result: Tensor = program.call("abs", floats(&[-value, value, 0.0, -0.5])).unwrap();
                    assert_eq!(result.to_vec::<f32>().unwrap(), [value, value, 0.0, 0.5]);
                }
            });
        }
    });
}

/// Globals change as if calls came one after the other.
#[test]
fn calls_that_store_globals_exclude_each_other() {
    let program = load("globals_counter");
    let before: (i32, i64, f32) = program.call("read", ()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    program.call::<(i32, i64, f32)>("bump", 1i32).unwrap();
                }
            });
        }
    });
    let after: (i32, i64, f32) = program.call("read", ()).unwrap();
    assert_eq!((after.0 - before.0, before.1 - after.1), (200, 200));
    // State belongs to one linking.
    let fresh: (i32, i64, f32) = program.fresh().unwrap().call("read", ()).unwrap();
    assert_eq!(fresh, before);
}

/// Errors name the argument, what was expected and what was found.
#[test]
fn errors_say_what_was_wrong() {
    let program = load("elementwise_f32");
    let fails = |status: Result<Tensor, Status>, code: Code, message: &str| {
        let status = status.unwrap_err();
        assert_eq!(status.code(), code);
        assert_eq!(status.message(), message);
        assert!(
            status.to_string().contains("invoking function 'abs'; `sync func @abs(%input0: tensor<4xf32>)"),
            "{status}"
        );
    };
    let mismatch = "input list and function mismatch; expected 1 arguments but passed";
    fails(program.call("abs", ()), Code::InvalidArgument, &format!("{mismatch} 0"));
    fails(program.call("abs", (1i32, 2i32)), Code::InvalidArgument, &format!("{mismatch} 2"));
    fails(
        program.call("abs", 1i32),
        Code::InvalidArgument,
        "argument 0 of `abs`: expected tensor, buffer, object or null, found i32",
    );
    fails(
        program.call("abs", floats(&[1.0; 5])),
        Code::InvalidArgument,
        "input0 shape dimension 0 mismatch; expected 4 but have 5; expected shape `4`, actual shape `5`",
    );
    fails(
        program.call("abs", Tensor::new(&[4], &[1i32; 4]).unwrap()),
        Code::InvalidArgument,
        "input0 element type mismatch; expected f32 (21000020) but have i32 (10000020)",
    );
    let status = program.call::<i32>("abs", floats(&[1.0; 4])).unwrap_err();
    assert_eq!(status.message(), "result 0 was taken as i32 but is tensor");
    let status = program.function("absolutely").unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().starts_with("no function `absolutely` exported by module"), "{status}");
    assert_eq!(Program::load("no/such/file.vmfb").unwrap_err().code(), Code::NotFound);
    assert!(Program::from_bytes(b"not a module").is_err());
    assert!(Program::from_bytes(&[]).is_err());
    assert_eq!(Session::new().unwrap().program().load().unwrap_err().code(), Code::InvalidArgument);
}

/// What a program says about its functions.
#[test]
fn functions_describe_themselves() {
    let program = load("async_basic");
    let names: Vec<_> = program.functions().filter(|f| f.is_public()).map(|f| f.name().to_owned()).collect();
    assert_eq!(names[..3], ["add", "two_steps", "scalar"]);
    let add = program.function("add").unwrap();
    assert_eq!((add.argument_count(), add.signature().text()), (2, "0rrrr_r"));
    assert!(add.is_asynchronous());
    assert_eq!(add.attribute("iree.abi.model"), Some("coarse-fences"));
    assert!(add.declaration().unwrap().starts_with("async func @add(%input0: tensor<4xf32>"));
    assert_eq!(program.default_function().unwrap_err().code(), Code::InvalidArgument);
    let only = data("expectations");
    assert!(only.functions().any(|function| function.name() == "__init" && !function.is_public()));
}

/// Functions with fences, called without. [hal-module 64]
#[test]
fn asynchronous_functions_can_be_called_plainly() {
    let program = load("async_basic");
    let sum: Tensor = program.call("add", (floats(&[1.0, 2.0, 3.0, 4.0]), floats(&[10.0; 4]))).unwrap();
    assert_eq!(sum.to_string(), "4xf32=11 12 13 14");
    assert_eq!(program.call::<i32>("scalar", 20i32).unwrap(), 40);
    program.call::<()>("nothing", ()).unwrap();
}

/// Chains through fences, without waiting on the host in between. [hal-module 64]
#[test]
fn asynchronous_calls_are_chained_by_fences() {
    let program = load("async_basic");
    let add = program.function("add").unwrap();
    let (first, second) = (Fence::create(), Fence::create());
    let fences = Fences { wait: None, signal: Some(first.clone()) };
    let once: Tensor = add.call_fenced((floats(&[1.0; 4]), floats(&[2.0; 4])), fences).unwrap();
    let fences = Fences { wait: Some(first), signal: Some(second.clone()) };
    let twice: Tensor = add.call_fenced((&once, &once), fences).unwrap();
    second.wait(weft::Deadline::NEVER).unwrap();
    assert_eq!(twice.to_vec::<f32>().unwrap(), [6.0; 4]);
    // Nothing to wait for and nobody to tell.
    add.call_fenced::<Tensor>((&once, &once), Fences::default()).unwrap();
    // Functions that give numbers, or nothing, signal as well.
    for name in ["nothing", "scalar"] {
        let signal = Fence::create();
        let fences = Fences { wait: None, signal: Some(signal.clone()) };
        let arguments = if name == "scalar" { vec![Value::I32(1)] } else { Vec::new() };
        program.function(name).unwrap().call_fenced::<Vec<Value>>(arguments, fences).unwrap();
        assert!(signal.query().unwrap(), "{name}");
    }
}

/// The wait fence holds the work back until somebody signals it. [hal-module 64]
#[test]
fn the_wait_fence_is_honoured() {
    let program = load("async_basic");
    let (wait, signal) = (Fence::create(), Fence::create());
    let is_signalled = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let (wait, is_signalled) = (wait.clone(), is_signalled.clone());
        move || {
            std::thread::sleep(Duration::from_millis(20));
            is_signalled.store(true, Ordering::SeqCst);
            wait.signal().unwrap();
        }
    });
    let fences = Fences { wait: Some(wait), signal: Some(signal.clone()) };
    let two = program.function("two_steps").unwrap();
    let result: Tensor = two.call_fenced(floats(&[1.0, 2.0, 3.0, 4.0]), fences).unwrap();
    signal.wait(weft::Deadline::NEVER).unwrap();
    assert!(is_signalled.load(Ordering::SeqCst));
    assert_eq!(result.item::<f32>().unwrap(), 30.0);
    thread.join().unwrap();
}

/// Failures travel through fences; a call that fails leaves nobody waiting. [hal-module 64]
#[test]
fn failures_travel_through_fences() {
    let program = load("async_basic");
    let add = program.function("add").unwrap();
    let (wait, signal) = (Fence::create(), Fence::create());
    wait.fail(Status::new(Code::DataLoss, "the disk is gone"));
    let fences = Fences { wait: Some(wait), signal: Some(signal.clone()) };
    let outcome = add.call_fenced::<Tensor>((floats(&[1.0; 4]), floats(&[2.0; 4])), fences);
    let status = signal.wait(weft::Deadline::NEVER).unwrap_err();
    assert_eq!((status.code(), &*status.message()), (Code::DataLoss, "the disk is gone"));
    assert!(outcome.is_ok() || outcome.unwrap_err().code() == Code::DataLoss);

    let signal = Fence::create();
    let fences = Fences { wait: None, signal: Some(signal.clone()) };
    let wrong = floats(&[1.0; 3]);
    let status = add.call_fenced::<Tensor>((&wrong, &wrong), fences).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(signal.query().unwrap_err().message(), status.message());
}

/// A dispatch that fails ends the call with what the kernel said and where, through the wait of the wrapper on workers;
/// the program goes on. [hal-module 65]
#[test]
fn kernels_that_fail() {
    for device in ["local-sync", "local-task"] {
        let session = Session::builder().device(device).build().unwrap();
        let gather = session.load(model("vmvx_bytecode")).unwrap().function("gather").unwrap();
        let call = |places: [i32; 4]| -> weft::Result<Vec<f32>> {
            let values = Tensor::new(&[6], &[0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0])?;
            gather.call::<Tensor>((values, Tensor::new(&[4], &places)?))?.to_vec()
        };
        let status = call([5, 0, 1_000_000, 2]).unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{device}: {status}");
        let import =
            if device == "local-task" { "hal.fence.await" } else { "hal.device.queue.execute.indirect" };
        let text = status.to_string();
        for part in ["element 1000000 of 4 bytes", "running kernel `gather_dispatch_0", import] {
            assert!(text.contains(part), "{device}: `{part}` in {text}");
        }
        assert_eq!(call([5, 0, 1, 2]).unwrap(), [5.0, 0.0, 1.0, 2.0], "{device}");
        let device = &session.devices().unwrap()[0];
        device.wait_idle(weft::Deadline::NEVER).unwrap();
        assert_eq!(device.allocator().statistics().device.live(), 0);
    }
}

/// Plain functions wait and signal on the caller's thread.
#[test]
fn plain_functions_between_fences() {
    let abs = load("elementwise_f32").function("abs").unwrap();
    let (wait, signal) = (Fence::create(), Fence::create());
    wait.signal().unwrap();
    let fences = Fences { wait: Some(wait), signal: Some(signal.clone()) };
    let result: Tensor = abs.call_fenced(floats(&[-1.0; 4]), fences).unwrap();
    assert!(signal.query().unwrap());
    assert_eq!(result.to_vec::<f32>().unwrap(), [1.0; 4]);
    let failed = Fence::create();
    failed.fail(Status::new(Code::Aborted, "no"));
    let signal = Fence::create();
    let fences = Fences { wait: Some(failed), signal: Some(signal.clone()) };
    assert_eq!(abs.call_fenced::<Tensor>(&result, fences).unwrap_err().code(), Code::Aborted);
    assert_eq!(signal.query().unwrap_err().code(), Code::Aborted);
}

/// Work over two devices; and what is said when one is missing. [hal-module 66]
#[test]
fn several_devices() {
    let two = || Session::builder().device("local-sync").device("local-sync://").build().unwrap();
    let program = two().load(model("two_devices")).unwrap();
    let result: Tensor = program.call("run", floats(&[1.0, 2.0, 3.0, 4.0])).unwrap();
    assert_eq!(result.to_string(), "4xf32=4 16 36 64");
    let status = Program::load(model("two_devices")).unwrap_err();
    assert_eq!(status.code(), Code::Incompatible);
    assert!(status.message().starts_with("HAL device `second` not found or unavailable"), "{status}");
}

/// A program for another processor is refused with a text. [hal-module 46]
#[test]
#[cfg(target_arch = "x86_64")]
fn programs_for_other_processors_are_refused() {
    let status = Program::load(model("other_architecture")).unwrap_err();
    assert!(matches!(status.code(), Code::Incompatible | Code::Unavailable), "{status}");
    assert!(
        status.message().contains("not found or unavailable")
            || status.message().contains("does not support")
    );
}

/// Storage that the caller brings; too little is seen before anything is written. [hal-module 67]
#[test]
fn storage_of_the_caller() {
    let in_place = load("output_in_place");
    let out = floats(&[0.0; 4]);
    let result: Tensor = in_place.call("add", (floats(&[1.0; 4]), floats(&[2.0; 4]), &out)).unwrap();
    assert_eq!(out.to_vec::<f32>().unwrap(), [3.0; 4]);
    assert!(result.view().buffer().same_allocation(out.view().buffer()));
    let buffer =
        |bytes: usize| Tensor::new(&[bytes as u64], &vec![0i8; bytes]).unwrap().view().buffer().clone();
    let exact: Tensor = in_place.call("add_to_buffer", (floats(&[1.0; 4]), buffer(16))).unwrap();
    assert_eq!(exact.to_vec::<f32>().unwrap(), [2.0; 4]);
    let short = in_place.call::<Tensor>("add_to_buffer", (floats(&[1.0; 4]), buffer(15))).unwrap_err();
    assert_eq!(short.message(), "tensor buffer byte length 15 less than expected minimum 16");
    let kind = in_place.call::<Tensor>("add_to_buffer", (floats(&[1.0; 4]), &out)).unwrap_err();
    assert_eq!(kind.code(), Code::InvalidArgument);

    let transients = data("transients").function("f").unwrap();
    let size: usize = transients.attribute("iree.abi.transients.size.constant").unwrap().parse().unwrap();
    let ones = Tensor::new(&[64, 64], &[1.0f32; 64 * 64]).unwrap();
    let storage = buffer(size);
    let result: Tensor = transients.call((&ones, &ones, storage.clone())).unwrap();
    assert_eq!(result.to_vec::<f32>().unwrap(), [4096.0; 64 * 64]);
    assert_eq!(storage.read_to_vec(0, 4).unwrap(), 64f32.to_le_bytes());
    let status = transients.call::<Tensor>((&ones, &ones, &ones)).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let small = transients.call::<Tensor>((&ones, &ones, buffer(size - 4))).unwrap_err();
    assert_eq!(small.code(), Code::OutOfRange, "{small}");
    assert!(
        small.message().contains("argument 2: scratch storage of 16380 bytes, 16384 are needed"),
        "{small}"
    );

    // The same where another attribute of the argument is printed first.
    let attributes = data("transients_attributes").function("f").unwrap();
    let small = attributes.call::<Tensor>((&ones, &ones, buffer(size - 4))).unwrap_err();
    assert_eq!(small.code(), Code::OutOfRange, "{small}");

    let dynamic = data("transients_dynamic").function("f").unwrap();
    let two_rows = Tensor::new(&[2, 64], &[1.0f32; 2 * 64]).unwrap();
    let result: Tensor = dynamic.call((&two_rows, &ones, buffer(512))).unwrap();
    assert_eq!(result.to_vec::<f32>().unwrap(), [4096.0; 2 * 64]);
    let small = dynamic.call::<Tensor>((&two_rows, &ones, buffer(508))).unwrap_err();
    assert_eq!(small.code(), Code::OutOfRange, "{small}");
}

/// Storage that a function writes may not be read-only: kernels do not ask.
#[test]
fn read_only_storage_is_not_written() {
    let params = BufferParams { access: MemoryAccess::READ, ..BufferParams::device_local() };
    let storage = weft::host_allocator().allocate(&params, 64).unwrap();
    let shape = Shape::new(&[4]).unwrap();
    let view = BufferView::new(storage, shape, ElementType::F32, Encoding::DENSE_ROW_MAJOR).unwrap();
    let out = Tensor::from(view);
    let in_place = load("output_in_place");
    let (ones, object) = (floats(&[1.0; 4]), Ref::new(out.view().clone()));
    for storage in [Value::Tensor(out), Value::Object(object)] {
        let status = in_place.call::<Tensor>("add", (&ones, &ones, storage)).unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        assert!(status.message().contains("argument 2 of `add` is written"), "{status}");
    }
}

/// An asynchronous function that lets go of its fence is an error, not a wait without end; a pending one can be
/// cancelled.
#[test]
fn fences_that_nobody_signals() {
    let forgetful = ModuleBuilder::new("m")
        .function("f", "0rr_v", "vm.return")
        .function_attribute("iree.abi.model", "coarse-fences");
    let program = Program::from_bytes(&forgetful.build().unwrap()).unwrap();
    let status = program.call::<()>("f", ()).unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");

    let keeping = ModuleBuilder::new("m")
        .type_entry("!hal.fence")
        .global_refs(1)
        .function("f", "0rr_v", "vm.global.store.ref %r1, .refs[0] : !hal.fence \n vm.return")
        .function_attribute("iree.abi.model", "coarse-fences");
    let program = Program::from_bytes(&keeping.build().unwrap()).unwrap();
    let cancel = CancelToken::new();
    let options = InvokeOptions { cancel: Some(cancel.clone()), budget: None };
    let status = std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            program.function("f").unwrap().invoke_with(&options, Vec::new(), &mut Vec::new()).unwrap_err()
        });
        std::thread::sleep(std::time::Duration::from_millis(30));
        cancel.cancel();
        call.join().unwrap()
    });
    assert_eq!(status.code(), Code::Cancelled, "{status}");
}

/// A thread that is ending can still call, or is told why not: it is not aborted.
#[test]
fn threads_that_end_may_call() {
    struct AtTheEnd;
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            // Whether it works depends on the order in which thread-locals end.
            if let Ok(program) = Program::load(model("elementwise_f32")) {
                let _ = program.call::<Tensor>("abs", floats(&[-1.0; 4]));
            }
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) });
    std::thread::spawn(|| {
        LAST.with(|last| *last.borrow_mut() = Some(AtTheEnd));
        let program = load("elementwise_f32");
        program.call::<Tensor>("abs", floats(&[-1.0; 4])).unwrap();
    })
    .join()
    .unwrap();
}

/// Memory is given back when asked; forks share what was loaded. [hal-module 42]
#[test]
fn notifications_and_forks() {
    let program = load("elementwise_f32");
    let call = |program: &Program| -> Tensor { program.call("abs", floats(&[-1.0; 4])).unwrap() };
    call(&program);
    for signal in [Signal::Suspend, Signal::LowMemory, Signal::Resume] {
        program.signal(signal).unwrap();
        assert_eq!(call(&program).to_vec::<f32>().unwrap(), [1.0; 4]);
    }
    let fork = program.context().fork().unwrap();
    let function = fork.function(&format!("{}.abs", program.main_module().name())).unwrap();
    let argument = Value::from(floats(&[-2.0; 4])).into();
    let results = function.call(&[argument]).unwrap();
    assert_eq!(Value::from(results[0].clone()).to_string(), "4xf32=2 2 2 2");
}

/// Programs on several threads share devices, which are trimmed meanwhile. [hal-module 79]
#[test]
fn programs_share_devices() {
    let session = Session::new().unwrap();
    let program = session.load(model("elementwise_f32")).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|thread| {
                let program = program.fresh().unwrap();
                scope.spawn(move || {
                    for round in 0..200 {
                        let value = (thread * 1000 + round) as f32;
                        let result: Tensor = program.call("abs", floats(&[-value; 4])).unwrap();
                        assert_eq!(result.to_vec::<f32>().unwrap(), [value; 4]);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                program.signal(Signal::LowMemory).unwrap();
                std::thread::yield_now();
            }
        });
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Dropping a program while a call waits inside. [hal-module 41]
#[test]
fn a_program_may_go_while_it_is_called() {
    let program = load("async_basic");
    let add = program.function("add").unwrap();
    let (wait, signal) = (Fence::create(), Fence::create());
    let fences = Fences { wait: Some(wait.clone()), signal: Some(signal.clone()) };
    let thread = std::thread::spawn(move || {
        let result: Tensor = add.call_fenced((floats(&[1.0; 4]), floats(&[2.0; 4])), fences).unwrap();
        drop(add);
        result
    });
    std::thread::sleep(Duration::from_millis(10));
    drop(program);
    wait.signal().unwrap();
    let result = thread.join().unwrap();
    signal.wait(weft::Deadline::NEVER).unwrap();
    assert_eq!(result.to_vec::<f32>().unwrap(), [3.0; 4]);
}

/// A call can be ended from another thread.
#[test]
fn calls_can_be_cancelled() {
    let program = load("vm_collatz");
    let function = program.functions().find(|function| function.is_public()).unwrap();
    let cancel = CancelToken::new();
    cancel.cancel();
    let options = InvokeOptions { cancel: Some(cancel), budget: None };
    let arguments = vec![Value::I64(27); function.argument_count()];
    let status = function.invoke_with(&options, arguments, &mut Vec::new()).unwrap_err();
    assert_eq!(status.code(), Code::Cancelled, "{status}");
}

/// Constants of a program that was read into memory are used where they lie. [hal-module 9]
#[test]
fn constants_are_not_copied() {
    let session = Session::new().unwrap();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits/digits.vmfb");
    let program = session.load(digits).unwrap();
    let statistics = || session.lead_device().unwrap().allocator().statistics();
    assert_eq!((statistics().device.allocated, statistics().host.allocated), (0, 0));
    program.call::<Vec<Value>>("classify", Tensor::zeros::<f32>(&[8, 8]).unwrap()).unwrap();
    assert_eq!(statistics().device.live(), 0);
}

/// Tensors outlive the program that made them.
#[test]
fn results_outlive_the_program() {
    let result: Tensor = load("elementwise_f32").call("abs", floats(&[-1.0; 4])).unwrap();
    assert_eq!(result.to_vec::<f32>().unwrap(), [1.0; 4]);
}
