//! Chains of kernel and software members, and sequences.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{CANCELLED, Log, after_ms, every, poll_dry, poll_until, real};
use weft_io::ops::{
    EventWait, FutexWait, HandlePoll, Interest, Message, Nop, NotificationWait, SemaphoreSignal,
    SemaphoreWait, Sequence, Step, Timer,
};
use weft_io::{Capabilities, Event, Notification, Operation};
use weft_sync::{Code, Deadline, Point, Semaphore, bail};

fn point(semaphore: &Arc<Semaphore>, value: u64) -> Point {
    Point { semaphore: Arc::clone(semaphore), value }
}

fn timer(deadline: Deadline) -> Operation<Timer> {
    Operation::new(Timer { deadline })
}

/// [async 44] [async 45] [async 48] [async 53] [async 55] [async-backends 42] Chains of any length run in order, each for
/// itself; the batch may be gone.
#[test]
fn long_chains_run_in_order() {
    every(|mut subject| {
        for length in [1_usize, 2, 5, 17, 100, 1000] {
            let order = Arc::new(AtomicUsize::new(0));
            let submit = || {
                let mut batch = subject.poller.handle().batch();
                for index in 0..length {
                    let order = Arc::clone(&order);
                    let nop = Operation::new(Nop).on_done(move |done| {
                        done.result.unwrap();
                        assert_eq!(order.fetch_add(1, Ordering::Relaxed), index);
                    });
                    if index == 0 {
                        batch.add(nop).unwrap()
                    } else {
                        batch.then(nop).unwrap()
                    };
                }
                batch.submit().unwrap();
            };
            submit();
            let count = poll_until(&mut subject.poller, || order.load(Ordering::Relaxed) == length);
            assert_eq!(count, length, "{}", subject.name);
        }
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}

/// [async 46] [async-backends 43] [async-backends 51] A timer in front delays its own chain and no other operation.
#[test]
fn a_chain_waits_for_its_trigger() {
    every(|mut subject| {
        let log = Log::default();
        let mut batch = subject.poller.handle().batch();
        batch.add(timer(after_ms(10)).on_done(log.line("timer"))).unwrap();
        batch.then(timer(Deadline::IMMEDIATE).on_done(log.line("behind it"))).unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("last"))).unwrap();
        batch.add(Operation::new(Nop).on_done(log.line("free"))).unwrap();
        batch.add(Operation::new(Nop).on_done(log.line("free too"))).unwrap();
        batch.submit().unwrap();
        poll_until(&mut subject.poller, || log.len() == 5);
        let names: Vec<_> = log.take().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["free", "free too", "timer", "behind it", "last"], "{}", subject.name);
    });
}

/// [async 47] [async 56] [async-backends 44] [async-backends 57] A failure is called back first, then the rest, in order,
/// as cancelled; nothing of it is carried out.
#[test]
fn a_failure_cancels_the_rest() {
    every(|mut subject| {
        let log = Log::default();
        let (broken, untouched) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let mut batch = subject.poller.handle().batch();
        let wait = SemaphoreWait::all([point(&broken, 1)]);
        batch.add(Operation::new(Nop).on_done(log.line("before"))).unwrap();
        batch.then(Operation::new(wait).on_done(log.line("wait"))).unwrap();
        let signal = SemaphoreSignal::new([point(&untouched, 1)]);
        batch.then(Operation::new(signal).on_done(log.line("signal"))).unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
        batch.submit().unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        broken.fail(weft_sync::status!(DataLoss, "gone"));
        poll_until(&mut subject.poller, || log.len() == 4);
        let expected =
            [("before", None), ("wait", Some(Code::DataLoss)), ("signal", CANCELLED), ("nop", CANCELLED)];
        assert_eq!(log.take(), expected, "{}", subject.name);
        assert_eq!(untouched.query().unwrap(), 0);
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}

/// [async 234] [async 235] [async 60] [async-backends 106] [async-backends 55] Kernel and software members, mixed; the
/// value is visible to what comes behind.
#[test]
fn members_of_every_kind_follow_each_other() {
    every(|mut subject| {
        let log = Log::default();
        let (first, second) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let changed = Arc::new(Notification::new());
        let mut batch = subject.poller.handle().batch();
        batch.add(Operation::new(SemaphoreWait::all([point(&first, 1)])).on_done(log.line("wait"))).unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
        batch
            .then(Operation::new(SemaphoreSignal::new([point(&second, 3)])).on_done(log.line("signal")))
            .unwrap();
        let (seen, line) = (Arc::clone(&second), log.line("again"));
        let again = Operation::new(SemaphoreSignal::new([point(&second, 4)])).on_done(move |done| {
            assert_eq!(seen.query().unwrap(), 4);
            line(done);
        });
        batch.then(again).unwrap();
        batch.then(timer(after_ms(1)).on_done(log.line("timer"))).unwrap();
        let note = NotificationWait::since(Arc::clone(&changed), 77);
        batch.then(Operation::new(note).on_done(log.line("note"))).unwrap();
        let message = Message { target: subject.poller.handle().clone(), payload: 1 };
        batch.then(Operation::new(message).on_done(log.line("message"))).unwrap();
        batch.submit().unwrap();
        assert!(subject.poller.poll(Deadline::IMMEDIATE).is_err());
        assert_eq!(second.query().unwrap(), 0);
        first.signal(1).unwrap();
        poll_until(&mut subject.poller, || log.len() == 7);
        let names: Vec<_> = log.take().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["wait", "nop", "signal", "again", "timer", "note", "message"], "{}", subject.name);
    });
}

/// [async 49] [async-backends 46] [async-backends 53] What the kernel reports as a failure and is none continues the chain.
#[test]
fn kernel_members_follow_each_other() {
    real(|mut subject| {
        let log = Log::default();
        let event = Event::new().unwrap();
        let mut batch = subject.poller.handle().batch();
        batch.add(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
        batch.then(Operation::new(EventWait { event: event.clone() }).on_done(log.line("event"))).unwrap();
        if subject.poller.handle().capabilities().contains(Capabilities::FUTEX_OPERATIONS) {
            let word = Arc::new(weft_sync::atomic::AtomicU32::new(0));
            batch.then(Operation::new(FutexWait { word, expected: 1 }).on_done(log.line("futex"))).unwrap();
        } else {
            batch.then(Operation::new(Nop).on_done(log.line("futex"))).unwrap();
        }
        batch.then(Operation::new(Nop).on_done(log.line("last"))).unwrap();
        batch.submit().unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        assert_eq!(poll_dry(&mut subject.poller), 0);
        event.set();
        poll_until(&mut subject.poller, || log.len() == 4);
        let lines = log.take();
        assert_eq!(lines, ["nop", "event", "futex", "last"].map(|name| (name, None)), "{}", subject.name);
    });
}

/// [async-backends 57] A handle that cannot be polled fails its operation, and what is behind it.
#[test]
fn a_kernel_failure_cancels_the_rest() {
    real(|mut subject| {
        let log = Log::default();
        // Epoll says which files can be polled; io_uring reports such a one as ready at once, so both are fine.
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        let mut batch = subject.poller.handle().batch();
        let handle = Arc::new(file.into());
        batch
            .add(Operation::new(HandlePoll { handle, interest: Interest::IN }).on_done(log.line("poll")))
            .unwrap();
        batch.then(Operation::new(Nop).on_done(log.line("nop"))).unwrap();
        batch.submit().unwrap();
        poll_until(&mut subject.poller, || log.len() == 2);
        let lines = log.take();
        assert_eq!(lines[0].1.is_some(), lines[1].1.is_some());
    });
}

/// [async 21] [async 74] [async-backends 48] [async-backends 63] What cannot be linked is refused and comes back.
#[test]
fn links_that_make_no_sense_are_refused() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let mut batch = handle.batch();
        assert_eq!(batch.then(Nop).unwrap_err().why.code(), Code::InvalidArgument);
        batch.add(Sequence::new(vec![Step::new(Nop)])).unwrap();
        assert_eq!(batch.then(Nop).unwrap_err().why.code(), Code::InvalidArgument);
        batch.add(Nop).unwrap();
        let refused = batch.then(Sequence::new(Vec::new())).unwrap_err();
        assert_eq!(refused.why.code(), Code::InvalidArgument);
        assert!(refused.operation.steps.is_empty());
        assert_eq!(batch.len(), 2);
        drop(batch);
        assert_eq!(poll_dry(&mut subject.poller), 0, "nothing of it was submitted");
        handle.batch().submit().unwrap();
        let nested = Sequence::new(vec![Step::new(Sequence::new(Vec::new()))]);
        assert_eq!(handle.submit(nested).unwrap_err().why.code(), Code::InvalidArgument);
    });
}

/// [async 63] [async 64] [async 75] [async-backends 61] Steps run in order, their own callbacks never; each counts.
#[test]
fn sequences_run_their_steps() {
    every(|mut subject| {
        let log = Log::default();
        for count in [0_usize, 1, 2, 3, 4, 40] {
            let steps =
                (0..count).map(|_| Step::new(Operation::new(Nop).on_done(log.line("never")))).collect();
            let done = log.line("sequence");
            let sequence = Operation::new(Sequence::new(steps)).on_done(move |ended| {
                assert_eq!(ended.operation.ended(), count);
                assert!(
                    ended
                        .operation
                        .into_params()
                        .steps
                        .iter()
                        .all(|step| step.kind() == weft_io::ops::Kind::Nop)
                );
                done(weft_io::Done { operation: Operation::new(Nop), result: ended.result });
            });
            subject.poller.handle().submit(sequence).unwrap();
            let counted = poll_until(&mut subject.poller, || log.len() == 1);
            assert_eq!(counted, count.max(1));
            assert_eq!(log.take(), [("sequence", None)]);
        }
        let steps = vec![Step::new(Nop), Step::new(timer(after_ms(2))), Step::new(Nop)];
        subject
            .poller
            .handle()
            .submit(Operation::new(Sequence::new(steps)).on_done(log.line("timer")))
            .unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
    });
}

/// [async 66] [async 67] [async 68] [async 69] [async 76] [async-backends 61]
#[test]
fn sequences_ask_between_their_steps() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let calls = Arc::clone(&asked);
        let steps = vec![Step::new(Nop), Step::new(timer(Deadline::NEVER)), Step::new(Nop)];
        let sequence = Sequence::with_advance(steps, move |ended, next| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            assert_eq!(next.is_none(), call == 2);
            assert!(ended.take_output::<Timer>().is_some() == (call == 1));
            if let Some(timer) = next.and_then(|next| next.params_mut::<Timer>()) {
                timer.deadline = after_ms(1);
            }
            Ok(())
        });
        handle.submit(Operation::new(sequence).on_done(log.line("changed"))).unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        for wrong in 0..2 {
            let steps = vec![Step::new(Nop), Step::new(Nop)];
            let mut call = 0;
            let sequence = Sequence::with_advance(steps, move |_, _| {
                call += 1;
                if call > wrong {
                    bail!(DataLoss, "no");
                }
                Ok(())
            });
            handle.submit(Operation::new(sequence).on_done(log.line("refused"))).unwrap();
            let steps = poll_until(&mut subject.poller, || log.len() == 2 + wrong);
            assert_eq!(steps, 1 + wrong);
        }
        let broken = Arc::new(Semaphore::new(0));
        broken.fail(weft_sync::status!(DataLoss, "gone"));
        let steps = vec![Step::new(Nop), Step::new(SemaphoreWait::all([point(&broken, 1)])), Step::new(Nop)];
        handle.submit(Operation::new(Sequence::new(steps)).on_done(log.line("failed"))).unwrap();
        poll_until(&mut subject.poller, || log.len() == 4);
        let panics = Sequence::with_advance(vec![Step::new(Nop)], |_, _| panic!("a test's own"));
        handle.submit(Operation::new(panics).on_done(log.line("panicked"))).unwrap();
        poll_until(&mut subject.poller, || log.len() == 5);
        let codes: Vec<_> = log.take().into_iter().map(|(_, code)| code).collect();
        let loss = Some(Code::DataLoss);
        assert_eq!(codes, [None, loss, loss, loss, Some(Code::Internal)], "{}", subject.name);
    });
}

/// [async 65] [async 70] [async 71] [async 72] [async 73] [async-backends 62] A cancel ends a sequence whatever it is doing.
#[test]
fn sequences_are_cancelled_in_every_state() {
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let log = Log::default();
        let long = || vec![Step::new(Nop), Step::new(timer(Deadline::NEVER)), Step::new(Nop)];
        let steps = Operation::new(Sequence::new(long())).on_done(log.line("step"));
        let ticket = handle.submit(steps).unwrap();
        assert_eq!(subject.poller.poll(Deadline::NEVER).unwrap(), 1, "the first step");
        handle.cancel(ticket).unwrap();
        poll_until(&mut subject.poller, || log.len() == 1);
        let at_once =
            handle.submit(Operation::new(Sequence::new(long())).on_done(log.line("at once"))).unwrap();
        handle.cancel(at_once).unwrap();
        poll_until(&mut subject.poller, || log.len() == 2);
        // While the function runs.
        let own = Arc::new(std::sync::Mutex::new(None));
        let (inner, canceller) = (Arc::clone(&own), handle.clone());
        let steps = vec![Step::new(Nop), Step::new(timer(Deadline::NEVER))];
        let sequence = Sequence::with_advance(steps, move |_, _| {
            canceller.cancel(inner.lock().unwrap().unwrap())?;
            Ok(())
        });
        *own.lock().unwrap() =
            Some(handle.submit(Operation::new(sequence).on_done(log.line("function"))).unwrap());
        poll_until(&mut subject.poller, || log.len() == 3);
        assert!(log.take().iter().all(|(_, code)| *code == CANCELLED), "{}", subject.name);
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}
