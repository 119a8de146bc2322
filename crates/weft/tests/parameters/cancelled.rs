//! Loading that is cancelled while files are being read, by every backend and without one.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use weft::hal::Buffer;
use weft::parameters::{ParameterFile, ParameterScopes, TransferObserver};
use weft::{CancelToken, Code, Deadline, Fence, Tensor, Value};

use crate::build::{Entry, irpa};
use crate::harness::{DEFAULT, DEVICES, NULL, TemporaryFile, World, tables};
use crate::imports::object;

/// What one transfer reads.
const PIECE: usize = 4 << 20;
/// So many make a load that takes many seconds from the fastest file.
const PIECES: u64 = 16384;
/// Pieces that lie side by side in the target. As many as a batch has timelines, which take them in turn: so nobody writes
/// where another one writes.
const PLACES: usize = 8;
/// Soon enough for a machine that does many things at once, and far too soon for all pieces.
const SOON: Duration = Duration::from_secs(5);

/// No backend, so that devices read by themselves.
const NOBODY: &str = "nobody";

/// A gather of all pieces into one buffer, cancelled in the middle. The code of its signal fence.
fn cancel_in_the_middle(world: &World, target: &Arc<Buffer>) -> (Code, CancelToken) {
    let (token, signal) = (CancelToken::new(), Fence::create());
    let mut arguments = world.queue(None, Some(&signal));
    arguments.extend([NULL, object(target.clone())]);
    let place = |index: u64| (index % PLACES as u64) * PIECE as u64;
    let spans: Vec<_> = (0..PIECES).map(|index| ("a", 0, place(index), PIECE as u64)).collect();
    arguments.extend(tables(&spans));
    let gather = world.function("gather");
    let asked = std::thread::scope(|scope| {
        // local-sync reads in the call.
        scope.spawn(|| {
            let call = gather.prepare(arguments).cancelled_by(&token);
            if let Err(status) = call.run::<Vec<Value>>() {
                assert_eq!(status.code(), Code::Cancelled, "{status}");
            }
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!signal.query().unwrap(), "it was to last longer");
        token.cancel();
        Instant::now()
    });
    let status = signal.wait(Deadline::after(SOON)).unwrap_err();
    token.wait_idle(Deadline::after(SOON)).unwrap();
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    (status.code(), token)
}

/// Reading stops, the fence says why, the buffer is the caller's again, and the next load is whole.
#[test]
fn loading_is_cancelled() {
    let data: Vec<u8> = (0..PIECE).map(|index| (index * 7 % 251) as u8).collect();
    let archive = irpa(&[Entry::Data("a", &data)]);
    for uri in DEVICES {
        let file = TemporaryFile::new(&format!("cancelled-{uri}.irpa"), &archive);
        for backend in ["uring", "epoll", "poll", NOBODY] {
            let open = ParameterFile::open(&file.0).unwrap();
            let (world, missing) = World::read_by(uri, &open, backend).unwrap();
            if let Some(why) = missing.filter(|_| backend != NOBODY) {
                println!("skipped: {backend}: {why}");
                continue;
            }
            let target = world.buffer(&vec![0; PLACES * PIECE]);
            for round in 0..3u8 {
                let (code, token) = cancel_in_the_middle(&world, &target);
                assert_eq!(code, Code::Cancelled, "{uri}, {backend}");
                let mark = vec![0xA0 | round; PLACES * PIECE];
                target.write(0, &mark).unwrap();
                std::thread::sleep(Duration::from_millis(20));
                assert!(target.read_to_vec(0, u64::MAX).unwrap() == mark, "somebody still writes");
                assert_eq!(token.work_count(), 0);
                world.transfer("gather", NULL, &target, &[("a", 0, 0, PIECE as u64)]).unwrap();
                assert!(target.read_to_vec(0, PIECE as u64).unwrap() == data);
            }
            world.device.wait_idle(Deadline::NEVER).unwrap();
            assert_eq!(
                world.device.allocator().statistics().device.live(),
                target.byte_length(),
                "the target"
            );
        }
    }
}

/// Buffers that were being loaded are given back; a program that waits for them is cancelled with them.
#[test]
fn buffers_of_cancelled_loads_are_freed() {
    let data = vec![7; 1 << 20];
    let archive = irpa(&[Entry::Data("a", &data)]);
    for uri in DEVICES {
        let file = TemporaryFile::new(&format!("freed-{uri}.irpa"), &archive);
        let world = World::of(uri, &ParameterFile::open(&file.0).unwrap());
        let (token, never, signal) = (CancelToken::new(), Fence::create(), Fence::create());
        let mut arguments = world.queue(Some(&never), Some(&signal));
        arguments.extend([NULL, Value::I64(-1).into(), Value::I32(48).into(), Value::I32(DEFAULT).into()]);
        arguments.extend(tables(&[("a", 0, 0, 1 << 20); 50]));
        let load = world.function("load");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let call = load.prepare(arguments).cancelled_by(&token);
                drop(call.run::<Vec<Value>>());
            });
            std::thread::sleep(Duration::from_millis(30));
            token.cancel();
        });
        let status = signal.wait(Deadline::after(SOON)).unwrap_err();
        assert_eq!(status.code(), Code::Cancelled, "{status}");
        token.wait_idle(Deadline::after(SOON)).unwrap();
        world.device.wait_idle(Deadline::NEVER).unwrap();
        assert_eq!(world.device.allocator().statistics().device.live(), 0, "{uri}");
        assert_eq!(world.load(NULL, DEFAULT, &[("a", 0, 0, 1 << 20)]).unwrap(), [&data[..]]);
    }
}

/// A program that reads its weights when it is loaded: before it begins, and as soon as it says that it reads.
#[test]
fn loading_a_program_is_cancelled() {
    let programs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/programs");
    for uri in DEVICES {
        let (slot, reports) = (Arc::<Mutex<Option<CancelToken>>>::default(), Arc::<Mutex<u32>>::default());
        let (seen, told) = (Arc::clone(&slot), Arc::clone(&reports));
        let observer: TransferObserver = Arc::new(move |_, _| {
            *told.lock().unwrap() += 1;
            if let Some(token) = &*seen.lock().unwrap() {
                token.cancel();
            }
        });
        let mut scopes = ParameterScopes::new();
        for (scope, name) in [("model", "weights.irpa"), ("", "state.irpa")] {
            scopes.add(scope, name, &ParameterFile::open(programs.join("data").join(name)).unwrap()).unwrap();
        }
        let world = World::observed(uri, scopes, Some(observer));
        let load = |token: &CancelToken| {
            let program = world.session.program().file(programs.join("parameters.vmfb")).unwrap();
            program.cancelled_by(token).load()
        };
        for is_cancelled_before in [true, false] {
            let token = CancelToken::new();
            if is_cancelled_before {
                token.cancel();
            } else {
                *slot.lock().unwrap() = Some(token.clone());
            }
            let status = load(&token).unwrap_err();
            assert_eq!(status.code(), Code::Cancelled, "{uri}: {status}");
            assert_eq!(token.work_count(), 0);
            assert_eq!(*reports.lock().unwrap() == 0, is_cancelled_before, "{uri}");
            world.device.wait_idle(Deadline::NEVER).unwrap();
            assert_eq!(world.device.allocator().statistics().device.live(), 0, "{uri}");
        }
        *slot.lock().unwrap() = None;
        let program = load(&CancelToken::new()).unwrap();
        assert_eq!(program.call::<Tensor>("get_bias", ()).unwrap().to_vec::<f32>().unwrap().len(), 2);
    }
}

/// Who shows the progress may cancel a call, also one whose end changes the counts: the call that made the progress goes
/// on, and the last report says that nothing is under way.
#[test]
fn an_observer_cancels_a_call() {
    let piece = 1 << 16;
    let file = TemporaryFile::new("observer-cancels.irpa", &irpa(&[Entry::Data("a", &vec![7; piece])]));
    let (slot, reports) = (Arc::<OnceLock<CancelToken>>::default(), Arc::<Mutex<Vec<(u64, u64)>>>::default());
    let (seen, told) = (Arc::clone(&slot), Arc::clone(&reports));
    let observer: TransferObserver = Arc::new(move |done, total| {
        told.lock().unwrap().push((done, total));
        if let Some(token) = seen.get() {
            token.cancel();
        }
    });
    let mut scopes = ParameterScopes::new();
    scopes.add("", "a.irpa", &ParameterFile::open(&file.0).unwrap()).unwrap();
    // On the other device a call does not leave before its work begins.
    let world = World::observed("local-task", scopes, Some(observer));
    let target = world.buffer(&vec![0; PLACES * piece]);
    let arguments = |wait: Option<&Arc<Fence>>, signal: &Arc<Fence>| {
        let mut arguments = world.queue(wait, Some(signal));
        arguments.extend([NULL, object(target.clone())]);
        let spans: Vec<_> = (0..PLACES).map(|at| ("a", 0, (at * piece) as u64, piece as u64)).collect();
        arguments.extend(tables(&spans));
        arguments
    };
    let gather = world.function("gather");
    let (token, gate, cancelled, whole) =
        (CancelToken::new(), Fence::create(), Fence::create(), Fence::create());
    let waiting = gather.prepare(arguments(Some(&gate), &cancelled)).cancelled_by(&token);
    waiting.run::<Vec<Value>>().unwrap();
    slot.set(token.clone()).unwrap();
    let (ended, end) = std::sync::mpsc::channel();
    let other = arguments(None, &whole);
    // A thread of its own: it would never return.
    std::thread::spawn(move || ended.send(gather.prepare(other).run::<Vec<Value>>().map(drop)));
    end.recv_timeout(SOON).expect("the observer keeps the call").unwrap();
    whole.wait(Deadline::after(SOON)).unwrap();
    assert_eq!(cancelled.wait(Deadline::after(SOON)).unwrap_err().code(), Code::Cancelled);
    token.wait_idle(Deadline::after(SOON)).unwrap();
    assert!(target.read_to_vec(0, u64::MAX).unwrap() == vec![7; PLACES * piece]);

    let begun = Instant::now();
    let is_settled =
        || reports.lock().unwrap().last().is_some_and(|(done, total)| done == total && *done > 0);
    while !is_settled() {
        assert!(begun.elapsed() < SOON, "{:?}", reports.lock().unwrap());
        std::thread::sleep(Duration::from_millis(1));
    }
    let reports = reports.lock().unwrap();
    assert!(reports.windows(2).all(|pair| pair[0].0 <= pair[1].0), "an older report came later: {reports:?}");
}
