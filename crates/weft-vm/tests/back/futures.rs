//! Calls as futures.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use crate::support::*;
use weft_sync::{Deadline, Point, Semaphore};
use weft_vm::native::{NativeModule, Object, Step, Wait};
use weft_vm::{CallFuture, CancelToken, Context, Instance, InvokeOptions, Ref, Value};

/// Counts how often the task is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(future: &mut Pin<&mut CallFuture>, woken: &Arc<Woken>) -> Poll<Result<Vec<Value>>> {
    let waker = Waker::from(woken.clone());
    future.as_mut().poll(&mut TaskContext::from_waker(&waker))
}

fn waiting() -> Arc<Context> {
    let module = NativeModule::builder("host", 0, |_| Ok(()))
        .export_yielding("await", |_: &(), (semaphore, value): (Object<'_, Semaphore>, u64)| {
            let point = Point { semaphore: semaphore.to_arc(), value };
            let deadline = Deadline::after(Duration::from_secs(1000));
            Ok(Step::wait(Wait::all([point], deadline), |outcome| outcome.map(|()| Step::Done(7_i32))))
        })
        .build()
        .expect("built");
    Context::new(&Instance::new(), vec![module.into()]).expect("made")
}

/// [vm 124]
#[test]
fn completion_comes_once() {
    let context = waiting();
    let semaphore = Arc::new(Semaphore::new(0));
    let arguments = vec![Value::Ref(Some(Ref::new(semaphore.clone()))), l(2)];
    let mut call = pin!(CallFuture::new(&context.function("host.await").expect("await"), arguments));
    let woken = Arc::new(Woken::default());
    assert!(poll(&mut call, &woken).is_pending());
    assert!(call.deadline() < Deadline::NEVER);
    assert!(poll(&mut call, &woken).is_pending(), "polled for nothing");
    semaphore.signal(1).expect("not far enough");
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    semaphore.signal(2).expect("forward");
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(results) = poll(&mut call, &woken) else { panic!("ready") };
    assert_eq!(results.expect("returned"), [i(7)]);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
}

/// [vm 124] A call that cannot begin reports that, once, and never wakes anybody.
#[test]
fn a_failing_begin_is_reported_once() {
    let context = waiting();
    let function = context.function("host.await").expect("await");
    let woken = Arc::new(Woken::default());
    for arguments in [vec![], vec![Value::NULL, l(1)]] {
        let mut call = pin!(CallFuture::new(&function, arguments));
        let Poll::Ready(results) = poll(&mut call, &woken) else { panic!("ready") };
        assert_eq!(code(results), Code::InvalidArgument);
    }
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
}

/// [vm 124] A dropped future takes its wake-up back and aborts.
#[test]
fn dropping_aborts() {
    let context = waiting();
    let semaphore = Arc::new(Semaphore::new(0));
    let arguments = vec![Value::Ref(Some(Ref::new(semaphore.clone()))), l(1)];
    let mut call = Box::pin(CallFuture::new(&context.function("host.await").expect("await"), arguments));
    let woken = Arc::new(Woken::default());
    assert!(poll(&mut call.as_mut(), &woken).is_pending());
    drop(call);
    assert_eq!(Arc::strong_count(&semaphore), 1);
    semaphore.signal(1).expect("forward");
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
}

/// [vm 80] [vm 124] Cancelling wakes the task, which then finds the end; nothing is left registered.
#[test]
fn cancelling_wakes() {
    let context = waiting();
    let (semaphore, token) = (Arc::new(Semaphore::new(0)), CancelToken::new());
    let arguments = vec![Value::Ref(Some(Ref::new(semaphore.clone()))), l(1)];
    let options = InvokeOptions { cancel: Some(token.clone()), budget: None };
    let function = context.function("host.await").expect("await");
    let mut call = pin!(CallFuture::with_options(&function, arguments, options));
    let woken = Arc::new(Woken::default());
    assert!(poll(&mut call, &woken).is_pending());
    assert!(poll(&mut call, &woken).is_pending(), "polled for nothing");
    token.cancel();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(results) = poll(&mut call, &woken) else { panic!("ready") };
    assert_eq!(code(results), Code::Cancelled);
    assert!(format!("{semaphore:?}").contains("pending: 0"));
}

/// [vm 124] A yield gives the executor's other tasks a turn.
#[test]
fn yields_wake_at_once() {
    let function = function("0i_i", "vm.yield ^on() \n ^on: \n vm.yield ^out() \n ^out: \n vm.return %i0");
    let mut call = pin!(CallFuture::new(&function, vec![i(3)]));
    let woken = Arc::new(Woken::default());
    for round in 1..=2 {
        assert!(poll(&mut call, &woken).is_pending());
        assert_eq!(woken.0.load(Ordering::SeqCst), round);
    }
    let Poll::Ready(results) = poll(&mut call, &woken) else { panic!("ready") };
    assert_eq!(results.expect("returned"), [i(3)]);
}
