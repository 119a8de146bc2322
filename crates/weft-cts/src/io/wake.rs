//! What ends a poll that waits, and what must not: wakes, signals, and everything that other threads leave at the very
//! moment in which a poll goes to sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weft_io::ops::{Nop, SemaphoreWait};
use weft_io::{Handle, Operation};
use weft_sync::{Code, Deadline};

use super::subject::{
    IoCaps, IoSubject, after_ms, point, poll_dry, poll_nothing, poll_until, rounds, soon, timeline,
};
use super::system::{ThreadId, handle_signal, woken_by_signals};

crate::cases! { $ WAKE for_each_io_wake_case of IoSubject {
    wakes_stick_and_count_once: IoCaps::NONE;
    a_wake_from_a_signal_handler: IoCaps::NONE;
    signals_do_not_prolong_a_poll: IoCaps::NONE;
    no_wake_is_lost: IoCaps::NONE;
    wakes_from_many_threads: IoCaps::NONE;
    no_submission_is_lost_to_a_poll_that_falls_asleep: IoCaps::NONE;
    no_message_is_lost_to_a_poll_that_falls_asleep: IoCaps::NONE;
    no_signal_is_lost_to_a_poll_that_falls_asleep: IoCaps::NONE;
} }

/// [async 6] [async 7] [async-backends 22] Ten wakes before a poll count as one; a wake during one ends it.
fn wakes_stick_and_count_once(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    (0..10).for_each(|_| handle.wake());
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    poll_nothing(&mut poller);
    assert_eq!(poller.poll(after_ms(2)).unwrap_err().code(), Code::DeadlineExceeded);
    let waker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(5));
        handle.wake();
    });
    assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
    waker.join().unwrap();
}

/// [async 7] A handler that runs on the poll thread while that waits may wake it.
fn a_wake_from_a_signal_handler(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    handle_signal(libc::SIGUSR1);
    let thread = ThreadId::of_this_thread();
    woken_by_signals(&handle, || {
        for pause in [0, 1, 5] {
            let sender = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(pause));
                thread.signal(libc::SIGUSR1);
            });
            assert_eq!(poller.poll(Deadline::NEVER).unwrap(), 0);
            sender.join().unwrap();
        }
    });
}

/// [async 8] [async-backends 20] A thousand signals a second neither prolong nor shorten a poll.
fn signals_do_not_prolong_a_poll(subject: &IoSubject) {
    let mut poller = subject.open();
    handle_signal(libc::SIGUSR2);
    let thread = ThreadId::of_this_thread();
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_over);
    let sender = std::thread::spawn(move || {
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            thread.signal(libc::SIGUSR2);
            sent += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        sent
    });
    for _ in 0..3 {
        let start = Instant::now();
        let status = poller.poll(after_ms(50)).unwrap_err();
        let waited = start.elapsed();
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert!(waited >= Duration::from_millis(50) && waited < Duration::from_secs(3), "{waited:?}");
    }
    // An operation ends in the storm like anywhere else.
    poller.handle().submit(Nop).unwrap();
    assert_eq!(poller.poll(soon()).unwrap(), 1);
    is_over.store(true, Ordering::Relaxed);
    assert!(sender.join().unwrap() > 2, "there was a storm");
}

/// [async-backends 23] One thread wakes as soon as the last wake was seen, at every phase of the poll.
fn no_wake_is_lost(subject: &IoSubject) {
    let rounds = rounds(50_000);
    let mut poller = subject.open();
    let seen = Arc::new(AtomicUsize::new(0));
    let (handle, acknowledged) = (poller.handle().clone(), Arc::clone(&seen));
    let waker = std::thread::spawn(move || {
        for round in 0..rounds {
            while acknowledged.load(Ordering::Acquire) < round {
                std::hint::spin_loop();
                std::thread::yield_now();
            }
            handle.wake();
        }
    });
    for round in 1..=rounds {
        assert_eq!(poller.poll(soon()).expect("the wake comes"), 0);
        seen.store(round, Ordering::Release);
    }
    waker.join().unwrap();
    poll_nothing(&mut poller);
}

/// [async-backends 23] Four threads wake without a pause: none blocks, no poll is left asleep behind the last one, and
/// there are no more early returns than wakes.
fn wakes_from_many_threads(subject: &IoSubject) {
    let per_thread = rounds(100_000);
    let mut poller = subject.open();
    let left = Arc::new(AtomicUsize::new(4));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (handle, left) = (poller.handle().clone(), Arc::clone(&left));
            std::thread::spawn(move || {
                (1..per_thread).for_each(|_| handle.wake());
                left.fetch_sub(1, Ordering::Release);
                handle.wake();
            })
        })
        .collect();
    let mut returns = 0;
    while left.load(Ordering::Acquire) > 0 {
        assert_eq!(poller.poll(soon()).expect("a wake follows every count"), 0);
        returns += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(returns <= 4 * per_thread);
    poll_dry(&mut poller);
    poll_nothing(&mut poller);
}

/// Runs `leave` on another thread once for each round, when the poll of the round before has returned, with a pause of a
/// length that differs; and polls until `count` has counted it.
fn at_every_phase(
    subject: &IoSubject,
    leave: impl Fn(&Handle, usize, &Arc<AtomicUsize>) + Send + 'static,
    prepare: impl Fn(&mut weft_io::Poller, &Arc<AtomicUsize>),
) {
    let rounds = rounds(50_000);
    let mut poller = subject.open();
    let count = Arc::new(AtomicUsize::new(0));
    prepare(&mut poller, &count);
    let (handle, counted) = (poller.handle().clone(), Arc::clone(&count));
    let producer = std::thread::spawn(move || {
        let mut random = 0x9E37_79B9_u32;
        for round in 0..rounds {
            while counted.load(Ordering::Acquire) < round {
                std::thread::yield_now();
            }
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (0..random >> 26).for_each(|_| std::hint::spin_loop());
            leave(&handle, round, &counted);
        }
    });
    poll_until(&mut poller, || count.load(Ordering::Acquire) == rounds);
    producer.join().unwrap();
    poll_dry(&mut poller);
}

/// [async-backends 24] [async-backends 25] Submissions at every phase of a poll that waits.
fn no_submission_is_lost_to_a_poll_that_falls_asleep(subject: &IoSubject) {
    let leave = |handle: &Handle, _: usize, count: &Arc<AtomicUsize>| {
        let count = Arc::clone(count);
        let nop = Operation::new(Nop).on_done(move |done| {
            super::subject::ended_well(&done.result);
            count.fetch_add(1, Ordering::Release);
        });
        handle.submit(nop).unwrap();
    };
    at_every_phase(subject, leave, |_, _| {});
}

/// [async-backends 24] Messages at every phase of a poll that waits.
fn no_message_is_lost_to_a_poll_that_falls_asleep(subject: &IoSubject) {
    let prepare = |poller: &mut weft_io::Poller, count: &Arc<AtomicUsize>| {
        let count = Arc::clone(count);
        poller.on_message(move |payload| {
            assert_eq!(count.fetch_add(1, Ordering::Release), payload as usize);
        });
    };
    at_every_phase(subject, |handle, round, _| handle.send_message(round as u64).unwrap(), prepare);
}

/// [async-backends 24] Signals of a timeline, at every phase of a poll that waits for it.
fn no_signal_is_lost_to_a_poll_that_falls_asleep(subject: &IoSubject) {
    let reached = timeline();
    let wait = Arc::clone(&reached);
    let arm = move |handle: &Handle, count: &Arc<AtomicUsize>, value: u64| {
        let count = Arc::clone(count);
        let wait = SemaphoreWait::all([point(&wait, value)]);
        let wait = Operation::new(wait).on_done(move |done| {
            // The last one ends with the proactor.
            count.fetch_add(usize::from(done.result.is_ok()), Ordering::Release);
        });
        handle.submit(wait).unwrap();
    };
    let armed = arm.clone();
    let leave = move |handle: &Handle, round: usize, count: &Arc<AtomicUsize>| {
        armed(handle, count, round as u64 + 2);
        reached.signal(round as u64 + 1).unwrap();
    };
    at_every_phase(subject, leave, move |poller, count| arm(&poller.handle().clone(), count, 1));
}
