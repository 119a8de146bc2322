//! Sequences: steps in order, the function between them, cancels in every state.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft_io::ops::{
    EventWait, FutexWait, Kind, Message, Nop, NotificationWait, SemaphoreSignal, SemaphoreWait, Sequence,
    Step, Timer,
};
use weft_io::{Event, Notification, Operation};
use weft_sync::{Code, Deadline, bail};

use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, after_ms, lock, point, poll_dry, poll_nothing, poll_until, submit,
    timeline, timer,
};

crate::cases! { $ SEQUENCE for_each_io_sequence_case of IoSubject {
    sequences_run_their_steps: IoCaps::NONE;
    a_sequence_of_no_steps_asks_nobody: IoCaps::NONE;
    sequences_ask_between_their_steps: IoCaps::NONE;
    a_function_that_refuses_ends_the_sequence: IoCaps::NONE;
    the_first_failure_is_the_result: IoCaps::NONE;
    steps_of_every_software_kind: IoCaps::NONE;
    sequences_are_cancelled_in_every_state: IoCaps::NONE;
    a_cancel_while_the_function_runs_counts: IoCaps::NONE;
    a_sequence_runs_again: IoCaps::NONE;
    a_sequence_that_is_refused_comes_back: IoCaps::NONE;
    steps_of_the_kernel: IoCaps::KERNEL;
} }

fn nops(count: usize) -> Vec<Step> {
    (0..count).map(|_| Step::new(Nop)).collect()
}

/// [async 63] [async 64] [async 75] [async-backends 61] Steps run in order, their own callbacks never; each counts; one
/// callback at the end, with all of the steps in it.
fn sequences_run_their_steps(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    for count in [1_usize, 2, 3, 4, 40] {
        let steps = (0..count).map(|_| Step::new(Operation::new(Nop).on_done(log.line("never")))).collect();
        let inner = log.clone();
        let sequence = Operation::new(Sequence::new(steps)).on_done(move |done| {
            assert_eq!(done.operation.ended(), count);
            assert!(done.operation.steps.iter().all(|step| step.kind() == Kind::Nop));
            inner.write("sequence", done.result.err().map(|status| status.code()));
        });
        poller.handle().submit(sequence).unwrap();
        let counted = poll_until(&mut poller, || log.len() == 1);
        assert_eq!(counted, count);
        assert_eq!(log.take_names(), ["sequence"]);
    }
    let start = std::time::Instant::now();
    let steps = vec![Step::new(Nop), Step::new(timer(after_ms(10))), Step::new(Nop)];
    submit(&poller.handle().clone(), Sequence::new(steps), &log, "timer");
    poll_until(&mut poller, || log.len() == 1);
    assert!(start.elapsed() >= std::time::Duration::from_millis(10));
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 62] [async-backends 61] It ends in the next poll, like everything else; with a function or without.
fn a_sequence_of_no_steps_asks_nobody(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let handle = poller.handle().clone();
    submit(&handle, Sequence::new(Vec::new()), &log, "bare");
    let asking = Sequence::with_advance(Vec::new(), |_, _| panic!("there is nothing to ask about"));
    submit(&handle, asking, &log, "asking");
    assert!(log.is_empty(), "no callback runs inside submit");
    assert_eq!(poller.poll(Deadline::IMMEDIATE).unwrap(), 2);
    assert_eq!(log.take_names(), ["bare", "asking"]);
}

/// [async 66] [async 67] [async-backends 61] With the step that ended and the next one, which it may change; with none
/// after the last.
fn sequences_ask_between_their_steps(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&asked);
    let steps = vec![Step::new(Nop), Step::new(timer(Deadline::NEVER)), Step::new(Nop)];
    let sequence = Sequence::with_advance(steps, move |ended, next| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        assert_eq!(next.is_none(), call == 2);
        assert_eq!(ended.take_output::<Timer>().is_some(), call == 1);
        if let Some(timer) = next.and_then(|next| next.params_mut::<Timer>()) {
            timer.deadline = after_ms(1);
        }
        Ok(())
    });
    submit(&poller.handle().clone(), sequence, &log, "changed");
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(asked.load(Ordering::Relaxed), 3);
    assert_eq!(log.take_names(), ["changed"]);
}

/// [async 68] [async 69] [async-backends 61] After whichever step, the last one included; a panic of it is a failure too.
fn a_function_that_refuses_ends_the_sequence(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    for wrong in 0..3 {
        let (mut call, moved) = (0, timeline());
        let mut steps = nops(3);
        steps.push(Step::new(SemaphoreSignal::new([point(&moved, 1)])));
        steps.truncate(wrong + 2);
        let is_last = wrong == 2;
        let sequence = Sequence::with_advance(steps, move |_, _| {
            call += 1;
            if call > wrong + usize::from(is_last) {
                bail!(DataLoss, "no");
            }
            Ok(())
        });
        submit(&handle, sequence, &log, "refused");
        let steps = poll_until(&mut poller, || log.len() == 1);
        assert_eq!(steps, 1 + wrong + usize::from(is_last), "later steps do not run");
        assert_eq!(log.take(), [("refused", Some(Code::DataLoss))]);
        assert_eq!(moved.query().unwrap(), u64::from(is_last));
    }
    let panics = Sequence::with_advance(nops(2), |_, _| panic!("a test's own"));
    submit(&handle, panics, &log, "panicked");
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take(), [("panicked", Some(Code::Internal))]);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 76] A step that fails ends it with that failure, and nobody is asked.
fn the_first_failure_is_the_result(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let (broken, untouched) = (timeline(), timeline());
    broken.fail(weft_sync::status!(DataLoss, "gone"));
    for is_asking in [false, true] {
        let steps = vec![
            Step::new(Nop),
            Step::new(SemaphoreWait::all([point(&broken, 1)])),
            Step::new(SemaphoreSignal::new([point(&untouched, 1)])),
        ];
        let mut sequence = Sequence::new(steps);
        let asked = Arc::new(AtomicUsize::new(0));
        if is_asking {
            let asked = Arc::clone(&asked);
            sequence.advance = Some(Box::new(move |_, _| {
                asked.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }));
        }
        submit(&handle, sequence, &log, "failed");
        assert_eq!(poll_until(&mut poller, || log.len() == 1), 2);
        assert_eq!(log.take(), [("failed", Some(Code::DataLoss))]);
        assert_eq!((untouched.query().unwrap(), asked.load(Ordering::Relaxed)), (0, is_asking.into()));
    }
}

/// [async 63] Whatever a step is, the next one starts behind it.
fn steps_of_every_software_kind(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let inbox = log.clone();
    poller.on_message(move |_| inbox.write("message", None));
    let (first, second, changed) = (timeline(), timeline(), Arc::new(Notification::new()));
    let steps = vec![
        Step::new(SemaphoreWait::any([point(&first, 1)])),
        Step::new(NotificationWait::new(Arc::clone(&changed))),
        Step::new(Message { target: handle.clone(), payload: 1 }),
        Step::new(timer(after_ms(1))),
        Step::new(SemaphoreSignal::new([point(&second, 1)])),
    ];
    submit(&handle, Sequence::new(steps), &log, "sequence");
    poll_nothing(&mut poller);
    first.signal(1).unwrap();
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 1);
    poll_nothing(&mut poller);
    changed.signal(1);
    poll_until(&mut poller, || log.len() == 2);
    assert_eq!(log.take_names(), ["message", "sequence"]);
    assert_eq!(second.query().unwrap(), 1);
}

/// [async 65] [async 70] [async 71] [async 73] [async-backends 62] In its first step, at once, after a step, with a
/// function and without: once, cancelled, and later steps do not run.
fn sequences_are_cancelled_in_every_state(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let untouched = timeline();
    for is_asking in [false, true] {
        let long = |first: Step| {
            let last = Step::new(SemaphoreSignal::new([point(&untouched, 1)]));
            let mut sequence = Sequence::new(vec![first, Step::new(timer(Deadline::NEVER)), last]);
            if is_asking {
                sequence.advance = Some(Box::new(|_, _| Ok(())));
            }
            sequence
        };
        let ticket = submit(&handle, long(Step::new(timer(Deadline::NEVER))), &log, "first step");
        poll_nothing(&mut poller);
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        let ticket = submit(&handle, long(Step::new(Nop)), &log, "second step");
        assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 1, "the first step");
        handle.cancel(ticket).unwrap();
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || log.len() == 2);
        let ticket = submit(&handle, long(Step::new(Nop)), &log, "at once");
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || log.len() == 3);
        let lines = ["first step", "second step", "at once"].map(|name| (name, CANCELLED));
        assert_eq!(log.take(), lines);
        let ticket = submit(&handle, Sequence::new(nops(1)), &log, "single");
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        assert!(matches!(log.take()[..], [("single", None | CANCELLED)]));
    }
    assert_eq!(untouched.query().unwrap(), 0);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 72] [async-backends 62] The step has ended, so there is none to cancel; the next one does not run all the same.
/// In the last call too.
fn a_cancel_while_the_function_runs_counts(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for at in 0..3 {
        let log = Log::default();
        let own = Arc::new(std::sync::Mutex::new(None));
        let (inner, canceller) = (Arc::clone(&own), handle.clone());
        let mut call = 0;
        let sequence = Sequence::with_advance(nops(3), move |_, _| {
            if call == at {
                let ticket = lock(&inner).expect("written before the poll");
                // From another thread, as cancels come.
                let canceller = canceller.clone();
                std::thread::spawn(move || canceller.cancel(ticket)).join().expect("no panic")?;
            }
            call += 1;
            Ok(())
        });
        *lock(&own) = Some(submit(&handle, sequence, &log, "function"));
        let counted = poll_until(&mut poller, || log.len() == 1);
        assert_eq!(counted, at + 1);
        assert_eq!(log.take(), [("function", CANCELLED)]);
    }
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 75] A sequence that has come back can be submitted as it is; so can its steps.
fn a_sequence_runs_again(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let back = Arc::new(std::sync::Mutex::new(None));
    let mut sequence = Operation::new(Sequence::new(vec![
        Step::new(Operation::new(Nop).on_done(log.line("step"))),
        Step::new(timer(after_ms(1))),
    ]));
    for _ in 0..3 {
        let home = Arc::clone(&back);
        let again = sequence.on_done(move |done| {
            super::subject::ended_well(&done.result);
            *lock(&home) = Some(done.operation);
        });
        handle.submit(again).unwrap();
        poll_until(&mut poller, || lock(&back).is_some());
        sequence = lock(&back).take().expect("it came back");
        assert_eq!(sequence.ended(), 2);
    }
    assert!(log.is_empty());
    // Alone it has the callback that it had.
    let step = sequence.into_params().steps.swap_remove(0);
    handle.submit(step.into_operation::<Nop>().expect("a NOP")).unwrap();
    poll_until(&mut poller, || log.len() == 1);
}

/// [async 75] [async 77] Steps are looked at before anything happens: a bad one refuses the whole, which comes back with
/// its callbacks.
fn a_sequence_that_is_refused_comes_back(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let first = Operation::new(Nop).on_done(log.line("first"));
    let bad = SemaphoreWait::any([]);
    let sequence = Sequence::new(vec![Step::new(first), Step::new(bad)]);
    let refused = handle.submit(Operation::new(sequence).on_done(log.line("sequence"))).unwrap_err();
    assert_eq!(refused.why.code(), Code::InvalidArgument);
    poll_nothing(&mut poller);
    let mut sequence = refused.operation;
    sequence.steps.truncate(1);
    handle.submit(sequence).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take_names(), ["sequence"]);
    assert_eq!(poll_dry(&mut poller), 0);
}

/// [async 63] [async 65] [async-backends 62] Waits of the kernel are steps like others, and are cancelled in place.
fn steps_of_the_kernel(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let events: Vec<Event> = (0..3).map(|_| Event::new().unwrap()).collect();
    let sequence = || {
        let waits = events.iter().map(|event| Step::new(EventWait { event: event.clone() }));
        Sequence::new(waits.collect())
    };
    let ticket = submit(&handle, sequence(), &log, "events");
    events[0].set();
    assert_eq!(poller.poll(super::subject::soon()).unwrap(), 1);
    events[2].set();
    poll_nothing(&mut poller);
    events[1].set();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take_names(), ["events"]);
    handle.cancel(ticket).unwrap();
    let ticket = submit(&handle, sequence(), &log, "cancelled");
    events[0].set();
    assert_eq!(poller.poll(super::subject::soon()).unwrap(), 1);
    handle.cancel(ticket).unwrap();
    poll_until(&mut poller, || log.len() == 1);
    assert_eq!(log.take(), [("cancelled", CANCELLED)]);
    if handle.capabilities().contains(weft_io::Capabilities::FUTEX_OPERATIONS) {
        let word = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let futex = Sequence::new(vec![Step::new(Nop), Step::new(FutexWait { word, expected: 0 })]);
        let ticket = submit(&handle, futex, &log, "futex");
        assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 1);
        poll_nothing(&mut poller);
        handle.cancel(ticket).unwrap();
        poll_until(&mut poller, || log.len() == 1);
        assert_eq!(log.take(), [("futex", CANCELLED)]);
    }
}
