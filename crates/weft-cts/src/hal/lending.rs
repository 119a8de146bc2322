//! Threads that lend themselves to the device while they wait: nothing but time may change.

use std::sync::Arc;

use weft_hal::{Fence, QueueAffinity, Region, Submission};
use weft_sync::{Code, Deadline, Status};

use crate::case::Caps;
use crate::subject::{Chain, NOW, Subject, bytes_of, failed, fails_with, point, semaphore, soon, whole};

crate::cases! { $ LENDING for_each_lending_case {
    lent_threads_see_their_results: Caps::WORK;
    work_without_a_wait_begins_all_the_same: Caps::WORK;
    lent_threads_hear_of_failures: Caps::NONE;
    deadlines_are_kept_while_lending: Caps::NONE;
    lent_threads_are_woken_by_others: Caps::WORK;
    lending_nests_and_returns_values: Caps::NONE;
} }

/// A wait without a deadline, for work that was submitted just before: the shortest way there is.
fn lent_threads_see_their_results(subject: &Subject) {
    let (input, output) = (subject.buffer(4), subject.buffer(4));
    let operands = [whole(&input)];
    let add_one = subject.dispatch("add_one", [1; 3], &[], &operands);
    for round in 1..=200 {
        let chain = Chain::new(2);
        subject.device.lending(|| {
            subject.device.queue_dispatch(&chain.step(0), &add_one).unwrap();
            let (from, to) = (Region::whole(&input), Region::whole(&output));
            subject.device.queue_copy(&chain.step(1), &from, &to).unwrap();
            subject.device.wait_all(chain.end(), Deadline::NEVER).unwrap();
        });
        assert_eq!(subject.read_words(&output), [round]);
    }
}

/// [hal 123] at the end of the lending, at a flush, or when somebody waits in another way.
fn work_without_a_wait_begins_all_the_same(subject: &Subject) {
    let buffer = subject.buffer(4);
    let operands = [whole(&buffer)];
    let add_one = subject.dispatch("add_one", [1; 3], &[], &operands);
    let submit = || {
        let fence = Fence::create();
        subject.device.queue_dispatch(&Submission::between(None, Some(&fence)), &add_one).unwrap();
        fence
    };
    for _ in 0..10 {
        let fence = subject.device.lending(submit);
        fence.wait(soon()).unwrap();
        subject.device.lending(|| {
            let fence = submit();
            subject.device.queue_flush(QueueAffinity::ANY).unwrap();
            fence.wait(soon()).unwrap();
        });
        subject.device.lending(|| subject.device.wait_all(submit().points(), soon()).unwrap());
        // Nobody lends anything: the plainest program.
        submit().wait(soon()).unwrap();
    }
    assert_eq!(subject.read_words(&buffer), [40]);
}

/// [hal 116]
fn lent_threads_hear_of_failures(subject: &Subject) {
    let wait = [point(&failed(Code::DataLoss), 1)];
    let signal = [point(&semaphore(0), 1)];
    let outcome = subject.device.lending(|| {
        subject.device.queue_barrier(&Submission { wait: &wait, signal: &signal, ..NOW })?;
        subject.device.wait_all(&signal, Deadline::NEVER)
    });
    fails_with(outcome, Code::DataLoss);
    let gate = semaphore(0);
    let held = [point(&gate, 1)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            gate.fail(Status::new(Code::Aborted, "changed my mind"));
        });
        fails_with(subject.device.lending(|| subject.device.wait_all(&held, Deadline::NEVER)), Code::Aborted);
    });
}

/// [hal 67]
fn deadlines_are_kept_while_lending(subject: &Subject) {
    let never = [point(&semaphore(0), 1)];
    let begin = std::time::Instant::now();
    let short = Deadline::after(std::time::Duration::from_millis(5));
    let outcome = subject.device.lending(|| subject.device.wait_all(&never, short));
    fails_with(outcome, Code::DeadlineExceeded);
    let took = begin.elapsed();
    assert!(took >= std::time::Duration::from_millis(5) && took < std::time::Duration::from_secs(10));
    fails_with(subject.device.wait_all(&never, Deadline::IMMEDIATE), Code::DeadlineExceeded);
}

/// More threads than there can be seats; what each waits for is signalled by another one.
fn lent_threads_are_woken_by_others(subject: &Subject) {
    let count = 24;
    let gates: Vec<_> = (0..=count).map(|_| semaphore(0)).collect();
    let buffer = subject.buffer(4);
    let operands = [whole(&buffer)];
    let add_one = subject.dispatch("add_one", [1; 3], &[], &operands);
    std::thread::scope(|scope| {
        for index in 0..count {
            let (wait, signal) = ([point(&gates[index], 1)], [point(&gates[index + 1], 1)]);
            scope.spawn(move || {
                subject.device.lending(|| {
                    let at = Submission { wait: &wait, signal: &signal, ..NOW };
                    subject.device.queue_dispatch(&at, &add_one).unwrap();
                    subject.device.wait_all(&signal, Deadline::NEVER).unwrap();
                });
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        gates[0].signal(1).unwrap();
    });
    assert_eq!(subject.read_words(&buffer), [count as u32]);
    assert_eq!(bytes_of(&buffer).len(), 4);
}

/// What the body returns comes back, from any depth.
fn lending_nests_and_returns_values(subject: &Subject) {
    let device = Arc::clone(&subject.device);
    let value = device.lending(|| device.lending(|| device.lending(|| vec![1, 2, 3])));
    assert_eq!(value, [1, 2, 3]);
}
