//! Queue operations: order, failures, host calls, affinities, queries.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft_hal::{
    AllocaFlags, BufferParams, ExecuteFlags, Fence, HostCallEnd, HostCallFlags, QueueAffinity, Region,
    Submission,
};
use weft_sync::{Code, Deadline, Result, Status};

use crate::case::Caps;
use crate::hal::host_call::host_call;
use crate::subject::{NOW, Subject, bytes_of, failed, fails_with, point, region, semaphore, soon, whole};

crate::cases! { $ QUEUE for_each_queue_case {
    lists_may_be_empty_and_barriers_order: Caps::NONE;
    failures_travel_through_chains: Caps::NONE;
    a_failed_wait_does_no_work: Caps::WORK;
    failing_later_is_failing_before: Caps::WORK;
    the_queue_survives_failures: Caps::WORK;
    waits_are_released_by_other_threads: Caps::WORK;
    results_are_there_when_the_call_returns: Caps::WORK.union(Caps::INLINE);
    argument_errors_leave_signals_alone: Caps::NONE;
    blocked_operations_do_not_delay_others: Caps::WORK;
    chains_work_in_any_order_of_submission: Caps::WORK;
    hosts_and_devices_wait_for_each_other: Caps::WORK;
    affinities_select_queues: Caps::NONE;
    flush_is_harmless: Caps::NONE;
    signals_that_are_passed_already_fail: Caps::NONE;
    queries_answer_what_programs_ask: Caps::NONE;
} }

/// [hal 112] [hal 123] [hal-module 33]
fn lists_may_be_empty_and_barriers_order(subject: &Subject) {
    subject.run(|at| subject.device.queue_barrier(at)).unwrap();
    subject.run(|at| subject.device.queue_execute(at, None, None, ExecuteFlags::empty())).unwrap();
    // One semaphore several times, with rising values, and several semaphores.
    let (first, second) = (semaphore(2), semaphore(0));
    let wait = [point(&first, 1), point(&first, 2)];
    let signal = [point(&second, 1), point(&second, 5), point(&first, 3)];
    subject.device.queue_barrier(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap();
    subject.reaches(&signal);
    assert_eq!((first.query().unwrap(), second.query().unwrap()), (3, 5));
}

/// [hal 116] [hal-module 33]
fn failures_travel_through_chains(subject: &Subject) {
    let first = failed(Code::Cancelled);
    let mut previous = first;
    for _ in 0..10 {
        let next = semaphore(0);
        let (wait, signal) = ([point(&previous, 1)], [point(&next, 1)]);
        subject.device.queue_barrier(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap();
        previous = next;
    }
    subject.fails(Ok(()), &[point(&previous, 1)], Code::Cancelled);
    assert!(previous.query().unwrap_err().message().contains("given up"), "the cause travels along");
    let sibling = [point(&semaphore(0), 1)];
    subject.device.queue_barrier(&Submission { signal: &sibling, ..NOW }).unwrap();
    subject.reaches(&sibling);
}

/// [hal 116] [hal 138] [hal-module 33]
fn a_failed_wait_does_no_work(subject: &Subject) {
    let buffer = subject.buffer(8);
    let wait = [point(&semaphore(1), 1), point(&failed(Code::Unavailable), 1)];
    let commands = subject.commands(weft_hal::CommandBufferMode::empty(), 0);
    commands.fill(&whole(&buffer), 1, 1).unwrap();
    commands.end().unwrap();
    let count = Arc::new(AtomicU32::new(0));
    type Operation<'a> = &'a dyn Fn(&Submission<'_>) -> Result<()>;
    let operations: [Operation<'_>; 7] = [
        &|at| subject.device.queue_fill(at, &Region::whole(&buffer), 1, 1),
        &|at| subject.device.queue_update(at, &[1; 8], &buffer, 0),
        &|at| {
            subject.device.queue_copy(
                at,
                &Region::whole(&subject.buffer_with(&[1; 8])),
                &Region::whole(&buffer),
            )
        },
        &|at| subject.device.queue_execute(at, Some(&commands), None, ExecuteFlags::empty()),
        &|at| subject.device.queue_barrier(at),
        &|at| subject.alloca(at, 8).map(|allocated| assert!(!allocated.is_committed())),
        &|at| {
            let count = Arc::clone(&count);
            subject.device.queue_host_call(
                at,
                host_call(HostCallFlags::empty(), move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(HostCallEnd::Done)
                }),
            )
        },
    ];
    for operation in operations {
        let signal = [point(&semaphore(0), 1), point(&semaphore(0), 9)];
        operation(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap();
        subject.fails(Ok(()), &signal, Code::Unavailable);
    }
    assert_eq!(bytes_of(&buffer), [0; 8]);
    assert_eq!(count.load(Ordering::Relaxed), 0);
}

/// [hal 117]
fn failing_later_is_failing_before(subject: &Subject) {
    let buffer = subject.buffer(8);
    let gate = semaphore(0);
    let (wait, signal) = ([point(&gate, 1)], [point(&semaphore(0), 1)]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            gate.fail(Status::new(Code::Cancelled, "given up"));
        });
        let submission = Submission { wait: &wait, signal: &signal, ..NOW };
        subject.device.queue_fill(&submission, &Region::whole(&buffer), 1, 1).unwrap();
    });
    subject.fails(Ok(()), &signal, Code::Cancelled);
    assert_eq!(bytes_of(&buffer), [0; 8]);
}

/// [hal 118]
fn the_queue_survives_failures(subject: &Subject) {
    let wait = [point(&failed(Code::Internal), 1)];
    let buffer = subject.buffer(8);
    subject.device.queue_barrier(&Submission { wait: &wait, ..NOW }).unwrap();
    let gone = subject.run(|at| subject.alloca(at, 8)).unwrap();
    subject.run(|at| subject.dealloca(at, &gone)).unwrap();
    fails_with(
        subject.run(|at| subject.device.queue_fill(at, &Region::whole(&gone), 1, 1)),
        Code::FailedPrecondition,
    );
    let fence = Fence::create();
    let after = Submission::between(None, Some(&fence));
    subject.device.queue_fill(&after, &Region::whole(&buffer), 3, 1).unwrap();
    subject.passes(&fence);
    assert_eq!(bytes_of(&buffer), [3; 8]);
}

/// [hal 138] [hal 112]
fn waits_are_released_by_other_threads(subject: &Subject) {
    let (one, two) = (semaphore(0), semaphore(0));
    let wait = [point(&one, 1), point(&two, 3)];
    let signal = [point(&semaphore(0), 1)];
    let buffer = subject.buffer(8);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(10));
            one.signal(1).unwrap();
            std::thread::sleep(Duration::from_millis(10));
            assert_eq!(bytes_of(&buffer), [0; 8], "nothing starts before all waits");
            two.signal(3).unwrap();
        });
        let at = Submission { wait: &wait, signal: &signal, ..NOW };
        subject.device.queue_fill(&at, &Region::whole(&buffer), 4, 1).unwrap();
    });
    subject.reaches(&signal);
    assert_eq!(bytes_of(&buffer), [4; 8]);
}

/// [hal 137]
fn results_are_there_when_the_call_returns(subject: &Subject) {
    let caller = std::thread::current().id();
    let (buffer, seen) = (subject.buffer(8), Arc::new(Mutex::new(None)));
    let fence = Fence::create();
    subject.device.queue_fill(&NOW, &Region::whole(&buffer), 6, 1).unwrap();
    assert_eq!(bytes_of(&buffer), [6; 8]);
    let note = Arc::clone(&seen);
    let call = host_call(HostCallFlags::empty(), move |_| {
        *note.lock().unwrap() = Some(std::thread::current().id());
        Ok(HostCallEnd::Done)
    });
    subject.device.queue_host_call(&Submission::between(None, Some(&fence)), call).unwrap();
    assert!(fence.query().unwrap());
    assert_eq!(*seen.lock().unwrap(), Some(caller), "work runs on the caller");
}

/// [hal 125] the argument half: nothing was accepted, so nobody is told.
fn argument_errors_leave_signals_alone(subject: &Subject) {
    let signal = [point(&semaphore(0), 1)];
    let at = Submission { signal: &signal, ..NOW };
    let buffer = subject.buffer(8);
    let recording = subject.commands(weft_hal::CommandBufferMode::empty(), 0);
    assert!(subject.device.queue_fill(&at, &region(&buffer, 0, 9), 0, 1).is_err());
    assert!(subject.device.queue_update(&at, &[0; 9], &buffer, 0).is_err());
    assert!(subject.device.queue_copy(&at, &Region::whole(&buffer), &Region::whole(&buffer)).is_err());
    assert!(subject.device.queue_execute(&at, Some(&recording), None, ExecuteFlags::empty()).is_err());
    let bad = BufferParams { alignment_min: 5, ..BufferParams::device_local() };
    assert!(subject.device.queue_alloca(&at, &bad, 8, AllocaFlags::empty()).is_err());
    let nothing = subject.dispatch("nothing", [1; 3], &[1], &[]);
    assert!(subject.device.queue_dispatch(&at, &nothing).is_err());
    assert_eq!(signal[0].semaphore.query().unwrap(), 0);
    assert_eq!(Arc::strong_count(&buffer), 1);
    assert_eq!(subject.device.allocator().statistics().device.live(), 8);
}

/// [hal 119] on an inline device a blocked operation holds its caller, and nobody else.
fn blocked_operations_do_not_delay_others(subject: &Subject) {
    let gate = semaphore(0);
    let (wait, signal) = ([point(&gate, 1)], [point(&semaphore(0), 1)]);
    let (blocked, free) = (subject.buffer(8), subject.buffer(8));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let at = Submission { wait: &wait, signal: &signal, ..NOW };
            subject.device.queue_fill(&at, &Region::whole(&blocked), 1, 1).unwrap();
        });
        std::thread::sleep(Duration::from_millis(10));
        subject.run(|at| subject.device.queue_fill(at, &Region::whole(&free), 1, 1)).unwrap();
        assert_eq!((bytes_of(&free), bytes_of(&blocked)), (vec![1; 8], vec![0; 8]));
        gate.signal(1).unwrap();
    });
    subject.reaches(&signal);
    assert_eq!(bytes_of(&blocked), [1; 8]);
}

/// [hal 114] later batches are submitted first, each from a thread of its own; two wait for one.
fn chains_work_in_any_order_of_submission(subject: &Subject) {
    let (timeline, sibling) = (semaphore(0), semaphore(0));
    let buffer = subject.buffer(8);
    let step = |from: u64, to: &Arc<weft_sync::Semaphore>, value: u64| {
        let (wait, signal) = ([point(&timeline, from)], [point(to, value)]);
        let at = Submission { wait: &wait, signal: &signal, ..NOW };
        subject.device.queue_fill(&at, &region(&buffer, value - 1, 1), value, 1).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| step(2, &sibling, 8));
        for value in (2..=4).rev() {
            let (step, timeline) = (&step, &timeline);
            scope.spawn(move || step(value - 1, timeline, value));
        }
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(bytes_of(&buffer), [0; 8]);
        step(0, &timeline, 1);
    });
    subject.reaches(&[point(&timeline, 4), point(&sibling, 8)]);
    assert_eq!(bytes_of(&buffer), [1, 2, 3, 4, 0, 0, 0, 8]);
}

/// [hal 115] [hal 114]
fn hosts_and_devices_wait_for_each_other(subject: &Subject) {
    let (host, device, both) = (semaphore(0), semaphore(0), semaphore(0));
    let wait = [point(&host, 1)];
    let signal = [point(&device, 1), point(&both, 3)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            subject.device.queue_barrier(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap()
        });
        let points = [point(&host, 1), point(&device, 1), point(&both, 2)];
        let short = Deadline::after(Duration::from_millis(5));
        fails_with(subject.device.wait_any(&points, short), Code::DeadlineExceeded);
        host.signal(1).unwrap();
        subject.device.wait_any(&points, soon()).unwrap();
        subject.device.wait_all(&points, soon()).unwrap();
    });
    subject.reaches(&[point(&both, 3)]);
    assert_eq!(both.query().unwrap(), 3);
}

/// [hal 124] [hal-module 36]
fn affinities_select_queues(subject: &Subject) {
    let count = subject.device.queue_count();
    for affinity in [QueueAffinity::ANY, QueueAffinity(0), QueueAffinity(1), QueueAffinity(u64::MAX - 2)] {
        subject.run(|at| subject.device.queue_barrier(&at.on(affinity))).unwrap();
    }
    let none = QueueAffinity(!QueueAffinity::ANY.folded(count).0);
    assert!(none.0 != 0 && count < 64);
    fails_with(subject.run(|at| subject.device.queue_barrier(&at.on(none))), Code::InvalidArgument);
    for raw in [0, 1, 2, 1 << 63, u64::MAX, none.0] {
        subject.run(|at| subject.device.queue_barrier(&at.on(QueueAffinity(raw).folded(count)))).unwrap();
    }
}

/// [hal 123] [hal-module 36]
fn flush_is_harmless(subject: &Subject) {
    subject.device.queue_flush(QueueAffinity::ANY).unwrap();
    subject.device.queue_flush(QueueAffinity(0)).unwrap();
}

/// A signal that cannot be given is a failure of the operation: whoever waits on the rest hears of it.
fn signals_that_are_passed_already_fail(subject: &Subject) {
    let signal = [point(&semaphore(5), 5), point(&semaphore(0), 1)];
    let barrier = subject.device.queue_barrier(&Submission { signal: &signal, ..NOW });
    subject.fails(barrier, &signal[1..], Code::InvalidArgument);
}

/// [hal 134] [hal-module 45]
fn queries_answer_what_programs_ask(subject: &Subject) {
    let query = |category, key| subject.device.query_i64(category, key);
    let identifier = subject.device.identifier().to_owned();
    let (start, end) = (format!("{}*", &identifier[..2]), format!("?{}", &identifier[1..]));
    for pattern in ["*", &identifier, &start, &end] {
        assert_eq!(query("hal.device.id", pattern), Some(1), "{pattern}");
    }
    let longer = format!("{identifier}?");
    for pattern in ["", "cuda*", "?", &longer] {
        assert_eq!(query("hal.device.id", pattern), Some(0), "{pattern}");
    }
    assert_eq!(query("hal.device", "concurrency"), Some(i64::from(subject.device.queue_count())));
    assert_eq!(query("hal.dispatch", "concurrency"), Some(i64::from(subject.workers)));
    assert_eq!(query("hal.executable.format", "no-such-format"), Some(0));
    for (category, key) in [("", ""), ("hal.device", "x"), ("hal.dispatch", ""), ("no.such", "category")] {
        assert_eq!(query(category, key), None);
    }
}
