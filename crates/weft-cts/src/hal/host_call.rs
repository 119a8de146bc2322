//! Host calls: arguments, answers, failures.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft_hal::{Fence, HostCall, HostCallContext, HostCallEnd, HostCallFlags, Region, Submission};
use weft_sync::{Code, Result, Status};

use crate::case::Caps;
use crate::subject::{NOW, Subject, bytes_of, eventually, fails_with, point, semaphore};

crate::cases! { $ HOST_CALL for_each_host_call_case {
    host_calls_get_their_arguments: Caps::NONE;
    host_calls_may_answer_later: Caps::NONE;
    host_calls_may_answer_with_a_failure: Caps::NONE;
    host_call_errors_reach_every_signal: Caps::NONE;
    every_code_of_a_host_call_arrives: Caps::NONE;
    host_calls_wait_for_their_turn: Caps::ASYNC;
    host_calls_may_submit: Caps::WORK;
    host_calls_of_failed_waits_are_dropped: Caps::NONE;
    host_calls_do_not_hold_up_the_queue_when_deferred: Caps::WORK;
    host_calls_that_panic_fail_their_signals: Caps::ASYNC;
} }

pub(super) fn host_call(
    flags: HostCallFlags,
    function: impl FnOnce(&HostCallContext<'_>) -> Result<HostCallEnd> + Send + 'static,
) -> HostCall {
    HostCall { function: Box::new(move |context, _| function(context)), arguments: [0; 4], flags }
}

/// [hal 121]
fn host_calls_get_their_arguments(subject: &Subject) {
    let arguments = [0, 1, u64::MAX, 0x8000_0000_0000_0000];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = [HostCallFlags::empty(), HostCallFlags::NON_BLOCKING, HostCallFlags::WAIT_ACTIVE];
    for (index, flags) in all.into_iter().enumerate() {
        let fence = Fence::create();
        let (note, during, device) = (Arc::clone(&seen), Arc::clone(&fence), subject.device.id());
        let function = Box::new(move |context: &HostCallContext<'_>, given: [u64; 4]| {
            assert_eq!(given, arguments);
            assert_eq!(context.device, device);
            assert_eq!(context.affinity.0.count_ones(), 1);
            note.lock().unwrap().push((context.signal.len(), during.query().unwrap()));
            Ok(HostCallEnd::Done)
        });
        let call = HostCall { function, arguments, flags };
        subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
        subject.passes(&fence);
        // A call that blocks nobody may come after its signals.
        eventually("the call was made", || seen.lock().unwrap().len() == index + 1);
    }
    assert_eq!(*seen.lock().unwrap(), [(1, false), (0, true), (1, false)]);
}

/// [hal 121]
fn host_calls_may_answer_later(subject: &Subject) {
    let fence = Fence::create();
    let call = host_call(HostCallFlags::empty(), |context| {
        let mine = context.signal.to_vec();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(10));
            weft_hal::signal_all(&mine).unwrap();
        });
        Ok(HostCallEnd::Deferred)
    });
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
    subject.passes(&fence);
    // Or at once, from inside.
    let fence = Fence::create();
    let call = host_call(HostCallFlags::empty(), |context| {
        weft_hal::signal_all(context.signal)?;
        Ok(HostCallEnd::Deferred)
    });
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
    subject.passes(&fence);
}

/// [hal 121] [hal 122]
fn host_call_errors_reach_every_signal(subject: &Subject) {
    let wait = [point(&semaphore(1), 1)];
    let signal = [point(&semaphore(0), 1), point(&semaphore(0), 1)];
    let failing = host_call(HostCallFlags::empty(), |_| Err(Status::new(Code::DataLoss, "the host lost it")));
    let at = Submission { wait: &wait, signal: &signal, ..NOW };
    subject.fails(subject.device.queue_host_call(&at, failing), &signal, Code::DataLoss);
    // The status is used once more, by an operation that waits for the first.
    let last = [point(&semaphore(0), 1)];
    let next = host_call(HostCallFlags::empty(), |_| Ok(HostCallEnd::Done));
    let after = Submission { wait: &signal, signal: &last, ..NOW };
    subject.device.queue_host_call(&after, next).unwrap();
    subject.fails(Ok(()), &last, Code::DataLoss);
    // Nobody hears about a non-blocking call.
    let fence = Fence::create();
    let ignored = host_call(HostCallFlags::NON_BLOCKING, |_| Err(Status::new(Code::Internal, "ignored")));
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), ignored).unwrap();
    subject.passes(&fence);
}

/// [hal 121]
fn host_calls_may_answer_with_a_failure(subject: &Subject) {
    let signal = [point(&semaphore(0), 1), point(&semaphore(0), 4)];
    let call = host_call(HostCallFlags::empty(), |context| {
        let mine = context.signal.to_vec();
        std::thread::spawn(move || weft_hal::fail_all(&mine, Status::new(Code::Unavailable, "not today")));
        Ok(HostCallEnd::Deferred)
    });
    subject.device.queue_host_call(&Submission { signal: &signal, ..NOW }, call).unwrap();
    subject.fails(Ok(()), &signal, Code::Unavailable);
}

/// [hal 121] [hal 122]
fn every_code_of_a_host_call_arrives(subject: &Subject) {
    for code in (1..17).filter_map(Code::from_raw) {
        let signal = [point(&semaphore(0), 1), point(&semaphore(7), 9)];
        let call = host_call(HostCallFlags::empty(), move |_| Err(Status::new(code, "as told")));
        let called = subject.device.queue_host_call(&Submission { signal: &signal, ..NOW }, call);
        subject.fails(called, &signal, code);
        let status = signal[1].semaphore.query().unwrap_err();
        assert!(status.message().contains("as told"), "{status}");
    }
}

/// [hal 121]
fn host_calls_wait_for_their_turn(subject: &Subject) {
    let gate = semaphore(0);
    let ran = Arc::new(AtomicU32::new(0));
    let wait = [point(&gate, 1)];
    let fences = [(); 3].map(|()| Fence::create());
    let ends: [fn() -> Result<HostCallEnd>; 2] =
        [|| Ok(HostCallEnd::Done), || Err(Status::new(Code::DataLoss, "after a wait"))];
    for (fence, end) in fences.iter().zip(ends) {
        let ran = Arc::clone(&ran);
        let call = host_call(HostCallFlags::RELAXED, move |_| {
            ran.fetch_add(1, Ordering::Relaxed);
            end()
        });
        let at = Submission { wait: &wait, signal: fence.points(), ..NOW };
        subject.device.queue_host_call(&at, call).unwrap();
    }
    // Even a call whose signals come before it comes after its waits.
    let early = Arc::clone(&ran);
    let call = host_call(HostCallFlags::NON_BLOCKING, move |_| {
        early.fetch_add(1, Ordering::Relaxed);
        Ok(HostCallEnd::Done)
    });
    let at = Submission { wait: &wait, signal: fences[2].points(), ..NOW };
    subject.device.queue_host_call(&at, call).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(ran.load(Ordering::Relaxed), 0, "nothing starts before its waits");
    assert!(!fences[0].query().unwrap() && !fences[1].query().unwrap() && !fences[2].query().unwrap());
    gate.signal(1).unwrap();
    subject.passes(&fences[0]);
    subject.fails(Ok(()), fences[1].points(), Code::DataLoss);
    subject.passes(&fences[2]);
    eventually("all calls were made", || ran.load(Ordering::Relaxed) == 3);
}

/// A call is made where nothing is locked: it may use its own device.
fn host_calls_may_submit(subject: &Subject) {
    let (buffer, filled) = (subject.buffer(8), Fence::create());
    let (device, target, signal) =
        (Arc::downgrade(&subject.device), Arc::clone(&buffer), Arc::clone(&filled));
    let call = host_call(HostCallFlags::empty(), move |_| {
        let device = device.upgrade().expect("the device outlives its work");
        let at = Submission::between(None, Some(&signal));
        device.queue_fill(&at, &Region::whole(&target), 8, 1)?;
        Ok(HostCallEnd::Done)
    });
    subject.run(|at| subject.device.queue_host_call(at, call)).unwrap();
    subject.passes(&filled);
    assert_eq!(bytes_of(&buffer), [8; 8]);
}

/// [hal 121] what the function holds is given up with it.
fn host_calls_of_failed_waits_are_dropped(subject: &Subject) {
    let held = Arc::new(());
    for flags in [HostCallFlags::empty(), HostCallFlags::NON_BLOCKING] {
        let mine = Arc::clone(&held);
        let call = host_call(flags, move |_| {
            let _ = &mine;
            panic!("the wait failed, so nobody calls");
        });
        let wait = [point(&crate::subject::failed(Code::Aborted), 1)];
        let outcome = subject.run_after(&wait, |at| subject.device.queue_host_call(at, call));
        fails_with(outcome, Code::Aborted);
    }
    eventually("the functions are gone", || Arc::strong_count(&held) == 1);
}

/// [hal 121] [hal 119] a deferred answer blocks what waits for it and nothing else.
fn host_calls_do_not_hold_up_the_queue_when_deferred(subject: &Subject) {
    let (taken, kept) = (Fence::create(), Arc::new(Mutex::new(Vec::new())));
    let keep = Arc::clone(&kept);
    let call = host_call(HostCallFlags::empty(), move |context| {
        keep.lock().unwrap().extend_from_slice(context.signal);
        Ok(HostCallEnd::Deferred)
    });
    subject.device.queue_host_call(&Submission::between(None, Some(&taken)), call).unwrap();
    let buffer = subject.buffer(4);
    for value in 1..50 {
        subject.run(|at| subject.device.queue_fill(at, &Region::whole(&buffer), value, 4)).unwrap();
        assert_eq!(subject.read_words(&buffer), [value as u32]);
    }
    eventually("the call was made", || !kept.lock().unwrap().is_empty());
    assert!(!taken.query().unwrap());
    weft_hal::signal_all(&kept.lock().unwrap()).unwrap();
    subject.passes(&taken);
}

/// Nobody is left waiting, and the thread goes on. On an inline device the panic is the caller's own.
fn host_calls_that_panic_fail_their_signals(subject: &Subject) {
    let signal = [point(&semaphore(0), 1)];
    // As `panic!` does, without the report of the hook, which takes seconds in an instrumented build.
    let mistake = "a mistake of the host, made on purpose";
    let call = host_call(HostCallFlags::empty(), move |_| std::panic::resume_unwind(Box::new(mistake)));
    subject.device.queue_host_call(&Submission { signal: &signal, ..NOW }, call).unwrap();
    let outcome = signal[0].semaphore.wait(1, crate::subject::soon());
    assert_ne!(outcome.expect_err("it cannot succeed").code(), Code::DeadlineExceeded);
    subject.run(|at| subject.device.queue_barrier(at)).unwrap();
}
