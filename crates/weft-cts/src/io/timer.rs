//! Timers: never early, in order, in any number.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weft_io::Operation;
use weft_io::ops::Timer;
use weft_sync::{Code, Deadline};

use super::subject::{
    CANCELLED, IoCaps, IoSubject, Log, after_ms, poll_dry, poll_nothing, poll_until, rounds, submit, timer,
};

crate::cases! { $ TIMER for_each_io_timer_case of IoSubject {
    timers_end_in_order_and_not_early: IoCaps::NONE;
    short_timers_are_not_early: IoCaps::NONE;
    a_timer_of_the_past_ends_at_the_next_poll: IoCaps::NONE;
    a_timer_for_never_waits_for_its_cancel: IoCaps::NONE;
    a_linked_timer_ends_in_its_turn: IoCaps::NONE;
    removed_timers_leave_the_others_in_order: IoCaps::NONE;
    timers_end_when_every_slot_is_taken: IoCaps::NONE;
    ten_thousand_timers_end: IoCaps::NONE;
    ten_thousand_timers_are_cancelled: IoCaps::NONE;
} }

/// [async 33] [async 34] [async-backends 33] [async-backends 34] Timers end in the order of their deadlines, equal ones in
/// that of submission, none early; a past one at the next poll.
fn timers_end_in_order_and_not_early(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let handle = poller.handle().clone();
    let start = Instant::now();
    let base = weft_sync::Instant::now();
    let at = |milliseconds| Deadline::at(base + Duration::from_millis(milliseconds));
    for (name, deadline) in
        [("60", at(60)), ("30", at(30)), ("40a", at(40)), ("40b", at(40)), ("past", Deadline::IMMEDIATE)]
    {
        submit(&handle, timer(deadline), &log, name);
    }
    poll_until(&mut poller, || !log.is_empty());
    if start.elapsed() < Duration::from_millis(30) {
        assert_eq!(log.take_names(), ["past"]);
        poll_until(&mut poller, || log.len() == 4);
        assert_eq!(log.take_names(), ["30", "40a", "40b", "60"]);
    } else {
        // A machine that is this slow still keeps the order.
        poll_until(&mut poller, || log.len() == 5);
        assert_eq!(log.take_names(), ["past", "30", "40a", "40b", "60"]);
    }
    assert!(start.elapsed() >= Duration::from_millis(60));
    poll_nothing(&mut poller);
}

/// [async 31] [async-backends 33] Down to a microsecond.
fn short_timers_are_not_early(subject: &IoSubject) {
    let mut poller = subject.open();
    for microseconds in [1, 10, 100, 500, 1_000, 5_000, 50_000] {
        let start = Instant::now();
        poller.handle().submit(timer(Deadline::after(Duration::from_micros(microseconds)))).unwrap();
        assert_eq!(poller.poll(super::subject::soon()).unwrap(), 1);
        let waited = start.elapsed();
        assert!(waited >= Duration::from_micros(microseconds), "{waited:?} of {microseconds} µs");
        assert!(waited < Duration::from_secs(5), "{waited:?} of {microseconds} µs");
    }
}

/// [async 32] [async-backends 33] Success, not a timeout; as far back as there is a clock.
fn a_timer_of_the_past_ends_at_the_next_poll(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let past = weft_sync::Instant::now();
    std::thread::sleep(Duration::from_millis(1));
    for deadline in [Deadline::at(past), Deadline::IMMEDIATE, Deadline::after(Duration::ZERO)] {
        submit(&poller.handle().clone(), timer(deadline), &log, "past");
        assert_eq!(log.len(), 0);
        assert_eq!(poller.poll(Deadline::IMMEDIATE).unwrap(), 1);
        assert_eq!(log.take_names(), ["past"]);
    }
}

/// [async 36] [async-backends 33]
fn a_timer_for_never_waits_for_its_cancel(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let tickets = [
        submit(&handle, timer(Deadline::NEVER), &log, "never"),
        submit(&handle, timer(Deadline::after(Duration::MAX)), &log, "far away"),
        submit(&handle, timer(Deadline::after(Duration::from_secs(u64::MAX / 2))), &log, "almost as far"),
    ];
    assert_eq!(poller.poll(after_ms(5)).unwrap_err().code(), Code::DeadlineExceeded);
    tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
    poll_until(&mut poller, || log.len() == 3);
    assert!(log.take().iter().all(|(_, code)| *code == CANCELLED));
}

/// [async 33] What is linked behind a timer that is over, and is over itself, ends before those of later deadlines.
fn a_linked_timer_ends_in_its_turn(subject: &IoSubject) {
    let mut poller = subject.open();
    let log = Log::default();
    let start = weft_sync::Instant::now();
    let at = |after: u64| timer(Deadline::at(start + Duration::from_nanos(after)));
    let handle = poller.handle().clone();
    let mut batch = handle.batch();
    batch.add(at(0).on_done(log.line("a"))).unwrap();
    batch.then(at(1).on_done(log.line("b"))).unwrap();
    batch.then(at(1_000).on_done(log.line("d"))).unwrap();
    batch.add(at(1_000).on_done(log.line("c"))).unwrap();
    batch.add(at(1_001).on_done(log.line("e"))).unwrap();
    batch.submit().unwrap();
    std::thread::sleep(Duration::from_millis(1));
    poll_until(&mut poller, || log.len() == 5);
    assert_eq!(log.take_names(), ["a", "b", "c", "d", "e"]);
}

/// [async 34] [async-backends 41] The first, one in the middle and the last are taken out, and one is put in again: the
/// others end in order.
fn removed_timers_leave_the_others_in_order(subject: &IoSubject) {
    // On a machine that is very slow some end before the others are cancelled: then there is more time.
    let in_time = [20, 200, 2_000, 20_000].into_iter().find_map(|first| ended_but_for_three(subject, first));
    assert_eq!(in_time.expect("twenty seconds are enough"), ["3 again", "1", "2", "4", "5"]);
}

/// Seven timers from so many milliseconds on, of which three are cancelled; the names of the others, in order. `None`: some
/// had ended before.
fn ended_but_for_three(subject: &IoSubject, first: u64) -> Option<Vec<&'static str>> {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let log = Log::default();
    let base = weft_sync::Instant::now();
    let at = |milliseconds| timer(Deadline::at(base + Duration::from_millis(milliseconds)));
    let names = ["0", "1", "2", "3", "4", "5", "6"];
    let tickets: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| submit(&handle, at(first + index as u64), &log, name))
        .collect();
    poll_dry(&mut poller);
    for index in [3, 0, 6] {
        handle.cancel(tickets[index]).unwrap();
    }
    poll_until(&mut poller, || log.len() >= 3);
    submit(&handle, at(first), &log, "3 again");
    poll_dry(&mut poller);
    let is_in_time = log.len() == 3;
    poll_until(&mut poller, || log.len() == 8);
    let lines = log.take();
    let ended = lines.iter().filter(|(_, code)| code.is_none()).map(|(name, _)| *name).collect();
    let are_cancelled = lines[..3].iter().all(|(_, code)| *code == CANCELLED);
    (is_in_time && are_cancelled).then_some(ended)
}

/// [async 35] Expiry needs no room.
fn timers_end_when_every_slot_is_taken(subject: &IoSubject) {
    let mut poller = subject.open_with(|config| config.operations_max = 8);
    let handle = poller.handle().clone();
    let log = Log::default();
    for index in 0..8 {
        let deadline = if index % 2 == 0 { after_ms(1) } else { Deadline::IMMEDIATE };
        submit(&handle, timer(deadline), &log, "timer");
    }
    assert_eq!(handle.submit(timer(Deadline::NEVER)).unwrap_err().why.code(), Code::ResourceExhausted);
    poll_until(&mut poller, || log.len() == 8);
}

/// Submits ten thousand timers, each of which counts how it ended.
fn ten_thousand(subject: &IoSubject, deadline: Deadline, are_cancelled: bool) -> [usize; 2] {
    let count = rounds(10_000).max(1000);
    let mut poller = subject.open_with(|config| config.operations_max = count as u32);
    let handle = poller.handle().clone();
    let ended = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let tickets: Vec<_> = (0..count)
        .map(|_| {
            let ended = Arc::clone(&ended);
            let count = move |done: weft_io::Done<Timer>| {
                let is_cancelled = done.result.is_err_and(|status| status.code() == Code::Cancelled);
                ended[usize::from(is_cancelled)].fetch_add(1, Ordering::Relaxed);
            };
            handle.submit(Operation::new(Timer { deadline }).on_done(count)).unwrap()
        })
        .collect();
    if are_cancelled {
        tickets.iter().for_each(|&ticket| handle.cancel(ticket).unwrap());
    }
    let sum = || ended.iter().map(|count| count.load(Ordering::Relaxed)).sum::<usize>();
    poll_until(&mut poller, || sum() == count);
    assert_eq!(poll_dry(&mut poller), 0);
    assert_eq!(sum(), count);
    [0, 1].map(|index| ended[index].load(Ordering::Relaxed))
}

/// [async 37] [async-backends 36]
fn ten_thousand_timers_end(subject: &IoSubject) {
    let [ended, cancelled] = ten_thousand(subject, after_ms(3), false);
    assert!(ended >= 1000 && cancelled == 0);
}

/// [async 37] [async 38] [async-backends 36] Cancelled, all of them; or ended before, when they are short.
fn ten_thousand_timers_are_cancelled(subject: &IoSubject) {
    let [ended, cancelled] = ten_thousand(subject, Deadline::NEVER, true);
    assert!(ended == 0 && cancelled >= 1000);
    let [ended, cancelled] = ten_thousand(subject, after_ms(1), true);
    assert!(ended + cancelled >= 1000);
}
