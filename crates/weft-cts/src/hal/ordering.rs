//! The order of operations: only semaphores make one, and any order of submission will do. For devices whose calls
//! return before their waits are reached.

use std::sync::Arc;

use weft_hal::{
    BindingEntry, CommandBufferMode, ExecuteFlags, Fence, HostCallEnd, HostCallFlags, Operand, QueueAffinity,
    Region, Submission, WHOLE_BUFFER,
};
use weft_sync::{Code, Deadline, Point, Semaphore, Status};

use crate::case::Caps;
use crate::hal::host_call::host_call;
use crate::subject::{
    Chain, NOW, Subject, bytes_of, eventually, failed, fails_with, point, region, semaphore, whole,
};

const ASYNC_WORK: Caps = Caps::ASYNC.union(Caps::WORK);

crate::cases! { $ ORDERING for_each_ordering_case {
    chains_are_submitted_backwards: ASYNC_WORK;
    queues_wait_for_each_other: ASYNC_WORK;
    one_timeline_fans_out: ASYNC_WORK;
    small_values_are_reached_with_large_ones: ASYNC_WORK;
    batches_meet_at_a_semaphore: ASYNC_WORK;
    hosts_take_turns_with_devices: ASYNC_WORK;
    waits_mix_hosts_and_devices: ASYNC_WORK;
    blocked_operations_hold_up_nobody: ASYNC_WORK;
    thousands_wait_for_one_signal: ASYNC_WORK;
    failures_travel_as_far_as_they_must: ASYNC_WORK;
    a_wait_that_failed_among_others_fails_once: Caps::ASYNC;
    waits_that_fail_one_after_the_other_fail_once: Caps::ASYNC;
    failed_operations_leave_the_queue_alone: ASYNC_WORK;
    recordings_are_in_flight_together: ASYNC_WORK;
    diamonds_keep_their_order: ASYNC_WORK;
    queues_are_chosen_and_named: Caps::NONE;
} }

/// The queues of the device, each by itself.
fn queues(subject: &Subject) -> Vec<QueueAffinity> {
    (0..subject.device.queue_count()).map(|index| QueueAffinity(1 << index)).collect()
}

/// [hal 114] back and forth, one more byte in each step: any other order gives other bytes.
fn chains_are_submitted_backwards(subject: &Subject) {
    let buffers = [subject.buffer(64), subject.buffer(64)];
    let chain = Chain::new(20);
    for step in (1..20).rev() {
        let part = |buffer| region(buffer, 0, step as u64 + 1);
        let (from, to) = (part(&buffers[(step + 1) % 2]), part(&buffers[step % 2]));
        subject.device.queue_copy(&chain.step(step), &from, &to).unwrap();
    }
    assert_eq!(bytes_of(&buffers[1]), [0; 64]);
    subject.device.queue_fill(&chain.step(0), &Region::whole(&buffers[0]), 5, 1).unwrap();
    subject.reaches(chain.end());
    let mut expected = [[5; 64], [0; 64]];
    for step in 1..20 {
        let from = expected[(step + 1) % 2];
        expected[step % 2][..=step].copy_from_slice(&from[..=step]);
    }
    assert_eq!([bytes_of(&buffers[0]), bytes_of(&buffers[1])], expected.map(Vec::from));
}

/// [hal 113] [hal 124] wait before signal across queues; with one queue they are all the same.
fn queues_wait_for_each_other(subject: &Subject) {
    let queues = queues(subject);
    let (buffer, result) = (subject.buffer(32), subject.buffer(32));
    let chain = Chain::new(32);
    for step in (0..32).rev() {
        let at = chain.step(step).on(queues[step % queues.len()]);
        if step % 2 == 0 {
            let byte = region(&buffer, step as u64, 2);
            subject.device.queue_fill(&at, &byte, step as u64 + 1, 1).unwrap();
        } else {
            let (from, to) = (region(&buffer, 0, step as u64 + 1), region(&result, 0, step as u64 + 1));
            subject.device.queue_copy(&at, &from, &to).unwrap();
        }
    }
    subject.reaches(chain.end());
    let expected: Vec<u8> = (0..32).map(|index| index / 2 * 2 + 1).collect();
    assert_eq!(bytes_of(&result), expected);
}

/// [hal 113]
fn one_timeline_fans_out(subject: &Subject) {
    let timeline = semaphore(0);
    let buffer = subject.buffer(64);
    let queues = queues(subject);
    let done: Vec<Point> = (0..64).map(|_| point(&semaphore(0), 1)).collect();
    for index in (0..64_usize).rev() {
        let wait = [point(&timeline, index as u64 / 4 + 1)];
        let at = Submission { wait: &wait, signal: &done[index..=index], ..NOW };
        let byte = region(&buffer, index as u64, 1);
        subject.device.queue_fill(&at.on(queues[index % queues.len()]), &byte, 1, 1).unwrap();
    }
    for value in [1, 4, 16] {
        timeline.signal(value).unwrap();
        let (now, later) = done.split_at(value as usize * 4);
        subject.reaches(now);
        assert!(later.iter().all(|point| point.semaphore.query().unwrap() == 0), "only up to {value}");
    }
    assert_eq!(bytes_of(&buffer), [1; 64]);
}

/// [hal 113] before and after the signal.
fn small_values_are_reached_with_large_ones(subject: &Subject) {
    let (timeline, buffer) = (semaphore(0), subject.buffer(3));
    let done: Vec<Point> = (0..3).map(|_| point(&semaphore(0), 1)).collect();
    let submit = |index: usize, value| {
        let wait = [point(&timeline, value)];
        let at = Submission { wait: &wait, signal: &done[index..=index], ..NOW };
        subject.device.queue_fill(&at, &region(&buffer, index as u64, 1), 1, 1).unwrap();
    };
    submit(0, 3);
    subject.device.queue_barrier(&Submission { signal: &[point(&timeline, 5)], ..NOW }).unwrap();
    subject.reaches(&[point(&timeline, 5)]);
    submit(1, 4);
    submit(2, 6);
    subject.reaches(&done[..2]);
    assert_eq!(bytes_of(&buffer), [1, 1, 0]);
    timeline.signal(100).unwrap();
    subject.reaches(&done);
    assert_eq!(bytes_of(&buffer), [1; 3]);
}

/// [hal 114] two later batches on a former one, submitted first; the host and the device signal what they wait for.
fn batches_meet_at_a_semaphore(subject: &Subject) {
    let (former, host) = (semaphore(0), semaphore(0));
    let (source, results) = (subject.buffer(16), [subject.buffer(16), subject.buffer(16)]);
    let done: Vec<Point> = (0..2).map(|_| point(&semaphore(0), 1)).collect();
    let wait = [point(&former, 2), point(&host, 1)];
    for (result, index) in results.iter().zip(0..) {
        let at = Submission { wait: &wait, signal: &done[index..=index], ..NOW };
        subject.device.queue_copy(&at, &Region::whole(&source), &Region::whole(result)).unwrap();
    }
    let middle = [point(&former, 1)];
    let at = Submission { wait: &middle, signal: &wait[..1], ..NOW };
    subject.device.queue_fill(&at, &region(&source, 8, 8), 2, 1).unwrap();
    let at = Submission { signal: &middle, ..NOW };
    subject.device.queue_fill(&at, &region(&source, 0, 8), 1, 1).unwrap();
    subject.reaches(&wait[..1]);
    assert!(done.iter().all(|point| point.semaphore.query().unwrap() == 0), "the host has not signalled");
    host.signal(1).unwrap();
    subject.reaches(&done);
    for result in &results {
        assert_eq!(bytes_of(result), [[1; 8], [2; 8]].concat());
    }
}

/// [hal 114] one timeline, on which host and device signal in turns.
fn hosts_take_turns_with_devices(subject: &Subject) {
    let (timeline, buffer) = (semaphore(0), subject.buffer(4));
    let operands = [whole(&buffer)];
    let add_one = subject.dispatch("add_one", [1; 3], &[], &operands);
    for round in 0..50_u64 {
        let (wait, signal) = ([point(&timeline, 2 * round + 1)], [point(&timeline, 2 * round + 2)]);
        let at = Submission { wait: &wait, signal: &signal, ..NOW };
        subject.device.queue_dispatch(&at, &add_one).unwrap();
    }
    for round in 0..50_u32 {
        assert_eq!(subject.read_words(&buffer), [round]);
        timeline.signal(2 * u64::from(round) + 1).unwrap();
        subject.reaches(&[point(&timeline, 2 * u64::from(round) + 2)]);
    }
}

/// [hal 115]
fn waits_mix_hosts_and_devices(subject: &Subject) {
    let (host, gate) = (semaphore(0), semaphore(0));
    let device = [point(&semaphore(0), 1)];
    let wait = [point(&gate, 1)];
    subject.device.queue_barrier(&Submission { wait: &wait, signal: &device, ..NOW }).unwrap();
    let both = [point(&host, 1), device[0].clone()];
    let short = || Deadline::after(std::time::Duration::from_millis(2));
    fails_with(subject.device.wait_any(&both, short()), Code::DeadlineExceeded);
    gate.signal(1).unwrap();
    subject.device.wait_any(&both, crate::subject::soon()).unwrap();
    fails_with(subject.device.wait_all(&both, short()), Code::DeadlineExceeded);
    std::thread::scope(|scope| {
        scope.spawn(|| host.signal(1).unwrap());
        subject.reaches(&both);
    });
}

/// [hal 119] hundreds are blocked on the same queue, and others pass.
fn blocked_operations_hold_up_nobody(subject: &Subject) {
    let never = [point(&semaphore(0), 1)];
    let (blocked, free) = (subject.buffer(4), subject.buffer(4));
    let (on_blocked, on_free) = ([whole(&blocked)], [whole(&free)]);
    let block = subject.dispatch("add_one", [1; 3], &[], &on_blocked);
    let add_one = subject.dispatch("add_one", [1; 3], &[], &on_free);
    let signals: Vec<Point> = queues(subject).iter().map(|_| point(&semaphore(0), 1)).collect();
    for (queue, signal) in queues(subject).into_iter().zip(signals.chunks(1)) {
        for _ in 0..100 {
            let at = Submission { wait: &never, ..NOW }.on(queue);
            subject.device.queue_fill(&at, &Region::whole(&blocked), 1, 1).unwrap();
            subject.device.queue_dispatch(&at, &block).unwrap();
        }
        subject.device.queue_barrier(&Submission { wait: &never, signal, ..NOW }.on(queue)).unwrap();
        for value in 1..20_u32 {
            let fill = |at: &Submission<'_>| {
                subject.device.queue_fill(&at.on(queue), &Region::whole(&free), value.into(), 4)
            };
            subject.run(fill).unwrap();
            assert_eq!(subject.read_words(&free), [value]);
        }
        subject.run(|at| subject.device.queue_dispatch(&at.on(queue), &add_one)).unwrap();
        assert_eq!(subject.read_words(&free), [20]);
    }
    assert_eq!(subject.read_words(&blocked), [0]);
    never[0].semaphore.fail(Status::new(Code::Cancelled, "never"));
    subject.fails(Ok(()), &signals, Code::Cancelled);
    eventually("all let go of the buffer", || Arc::strong_count(&blocked) == 1);
}

/// [hal 120]
fn thousands_wait_for_one_signal(subject: &Subject) {
    let gate = semaphore(0);
    let wait = [point(&gate, 1)];
    let buffer = subject.buffer(40_000);
    let timelines: Vec<Arc<Semaphore>> = (0..10_000).map(|_| semaphore(0)).collect();
    for (index, timeline) in timelines.iter().enumerate() {
        let signal = [point(timeline, 1)];
        let at = Submission { wait: &wait, signal: &signal, ..NOW };
        let word = region(&buffer, index as u64 * 4, 4);
        subject.device.queue_fill(&at, &word, index as u64, 4).unwrap();
    }
    gate.signal(1).unwrap();
    for timeline in &timelines {
        subject.reaches(&[point(timeline, 1)]);
    }
    assert!(subject.read_words(&buffer).into_iter().eq(0..10_000));
}

/// [hal 116] over a chain of ten, submitted before the failure; siblings are unaffected.
fn failures_travel_as_far_as_they_must(subject: &Subject) {
    let gate = semaphore(0);
    let wait = [point(&gate, 1)];
    let chain = Chain::new(10);
    let (buffer, sibling) = (subject.buffer(4), Chain::new(2));
    for step in (1..10).rev() {
        subject.device.queue_fill(&chain.step(step), &Region::whole(&buffer), 1, 1).unwrap();
    }
    let first = Submission { wait: &wait, ..chain.step(0) };
    subject.device.queue_barrier(&first).unwrap();
    subject.device.queue_barrier(&sibling.step(1)).unwrap();
    gate.fail(Status::new(Code::Cancelled, "changed my mind"));
    subject.fails(Ok(()), chain.end(), Code::Cancelled);
    let status = chain.end()[0].semaphore.query().unwrap_err();
    assert!(status.message().contains("changed my mind"), "{status}");
    assert_eq!(bytes_of(&buffer), [0; 4]);
    subject.device.queue_barrier(&sibling.step(0)).unwrap();
    subject.reaches(sibling.end());
}

/// [hal 126] here a wait cannot be registered only if its semaphore has failed already.
fn a_wait_that_failed_among_others_fails_once(subject: &Subject) {
    for index in 0..6 {
        let gates: Vec<_> = (0..6).map(|_| semaphore(0)).collect();
        let mut wait: Vec<Point> = gates.iter().map(|gate| point(gate, 1)).collect();
        wait[index] = point(&failed(Code::Aborted), 1);
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let signal = [point(&semaphore(0), 1)];
        let note = Arc::clone(&told);
        drop(signal[0].semaphore.on_reached(1, move |outcome| note.lock().unwrap().push(outcome)));
        let held = Arc::new(());
        let mine = Arc::clone(&held);
        let call = host_call(HostCallFlags::empty(), move |_| {
            let _ = &mine;
            Ok(HostCallEnd::Done)
        });
        subject.device.queue_host_call(&Submission { wait: &wait, signal: &signal, ..NOW }, call).unwrap();
        // The other waits may still come, in any way: nobody is there to hear of them.
        for (other, gate) in gates.iter().enumerate() {
            if other % 2 == 0 {
                gate.signal(1).unwrap();
            } else {
                gate.fail(Status::new(Code::Internal, "later"));
            }
        }
        subject.fails(Ok(()), &signal, Code::Aborted);
        eventually("the operation is gone", || Arc::strong_count(&held) == 1);
        eventually("the callback ran", || !told.lock().unwrap().is_empty());
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told.len(), 1);
        fails_with(told[0].clone(), Code::Aborted);
    }
}

/// [hal 116] [hal 126] the first failure is the one that is told.
fn waits_that_fail_one_after_the_other_fail_once(subject: &Subject) {
    for _ in 0..50 {
        let gates: Vec<_> = (0..4).map(|_| semaphore(0)).collect();
        let wait: Vec<Point> = gates.iter().map(|gate| point(gate, 1)).collect();
        let signal = [point(&semaphore(0), 1)];
        subject.device.queue_barrier(&Submission { wait: &wait, signal: &signal, ..NOW }).unwrap();
        gates[1].fail(Status::new(Code::DataLoss, "first"));
        std::thread::scope(|scope| {
            scope.spawn(|| gates[0].fail(Status::new(Code::Internal, "second")));
            scope.spawn(|| gates[2].signal(1).unwrap());
            gates[3].fail(Status::new(Code::Internal, "third"));
        });
        subject.fails(Ok(()), &signal, Code::DataLoss);
    }
}

/// [hal 118]
fn failed_operations_leave_the_queue_alone(subject: &Subject) {
    let buffer = subject.buffer(64);
    let operands = [whole(&buffer)];
    for round in 0..20_u32 {
        let constants = [round % 16];
        let dispatch = subject.dispatch("fail_at", [16, 1, 1], &constants, &operands);
        fails_with(subject.run(|at| subject.device.queue_dispatch(at, &dispatch)), Code::Internal);
        let call = host_call(HostCallFlags::empty(), |_| Err(Status::new(Code::Aborted, "no")));
        fails_with(subject.run(|at| subject.device.queue_host_call(at, call)), Code::Aborted);
        let transient = subject.run(|at| subject.alloca(at, 4096)).unwrap();
        subject.run(|at| subject.device.queue_fill(at, &Region::whole(&transient), 7, 1)).unwrap();
        assert_eq!(bytes_of(&transient), [7; 4096]);
        subject.run(|at| subject.dealloca(at, &transient)).unwrap();
    }
    subject.comes_to_live_bytes(64);
}

/// [hal 95] [hal 140] one recording in a hundred submissions at once, each with a table of its own.
fn recordings_are_in_flight_together(subject: &Subject) {
    let gate = semaphore(0);
    let wait = [point(&gate, 1)];
    let commands = subject.commands(CommandBufferMode::empty(), 2);
    let all = weft_hal::ExecutionStage::all();
    for _ in 0..3 {
        let operands = [Operand::slot(0, 0, WHOLE_BUFFER)];
        commands.dispatch(&subject.dispatch("add_one", [1; 3], &[], &operands)).unwrap();
        commands.barrier(all, all).unwrap();
    }
    commands.copy(&Operand::slot(0, 0, 16), &Operand::slot(1, 0, 16)).unwrap();
    commands.end().unwrap();
    let inputs: Vec<_> =
        (0..100_u32).map(|index| subject.buffer_with(&index.to_le_bytes().repeat(4))).collect();
    let outputs = subject.buffer(1600);
    let fences: Vec<_> = (0..100).map(|_| Fence::create()).collect();
    for (index, (input, fence)) in inputs.iter().zip(&fences).enumerate() {
        let output = BindingEntry { buffer: Some(&outputs), offset: index as u64 * 16, length: 16 };
        let table = [BindingEntry::whole(input), output];
        let at = Submission { wait: &wait, signal: fence.points(), ..NOW };
        subject.device.queue_execute(&at, Some(&commands), Some(&table), ExecuteFlags::empty()).unwrap();
    }
    drop(commands);
    gate.signal(1).unwrap();
    fences.iter().for_each(|fence| subject.passes(fence));
    let expected = (0..400).map(|index| index / 4 + 3);
    assert!(subject.read_words(&outputs).into_iter().eq(expected));
}

/// [hal 109] [hal 112] one, then four at once, then one that adds them up; many times, on all queues.
fn diamonds_keep_their_order(subject: &Subject) {
    let queues = queues(subject);
    let (source, middle, result) = (subject.buffer(64), subject.buffer(64), subject.buffer(64));
    let mut previous = Vec::new();
    for round in 1..=25_u64 {
        let top = [point(&semaphore(0), 1)];
        let at = Submission { wait: &previous, signal: &top, ..NOW };
        subject.device.queue_fill(&at, &Region::whole(&source), round, 4).unwrap();
        let sides: Vec<Point> = (0..4).map(|_| point(&semaphore(0), 1)).collect();
        for side in 0..4 {
            let part = |buffer| region(buffer, side as u64 * 16, 16);
            let at = Submission { wait: &top, signal: &sides[side..=side], ..NOW };
            let at = at.on(queues[side % queues.len()]);
            subject.device.queue_copy(&at, &part(&source), &part(&middle)).unwrap();
        }
        let bottom = [point(&semaphore(0), 1)];
        let at = Submission { wait: &sides, signal: &bottom, ..NOW };
        subject.device.queue_copy(&at, &Region::whole(&middle), &Region::whole(&result)).unwrap();
        previous = bottom.to_vec();
    }
    subject.reaches(&previous);
    assert_eq!(subject.read_words(&result), [25; 16]);
}

/// [hal 124] [hal 121] an operation runs on the queue that was asked for, and a call is told which.
fn queues_are_chosen_and_named(subject: &Subject) {
    let seen = Arc::new(std::sync::Mutex::new(QueueAffinity(0)));
    let ask = |affinity: QueueAffinity| {
        let note = Arc::clone(&seen);
        let call = host_call(HostCallFlags::empty(), move |context| {
            *note.lock().unwrap() = context.affinity;
            Ok(HostCallEnd::Done)
        });
        subject.run(|at| subject.device.queue_host_call(&at.on(affinity), call)).unwrap();
        *seen.lock().unwrap()
    };
    for queue in queues(subject) {
        assert_eq!(ask(queue), queue);
        let buffer = subject.run(|at| subject.alloca(&at.on(queue), 8)).unwrap();
        assert_eq!(buffer.placement().affinity, queue);
        // Bits of queues that are not there do not matter while one is.
        assert_eq!(ask(QueueAffinity(queue.0 | 1 << 63)), queue);
    }
    assert_eq!(ask(QueueAffinity::ANY).0.count_ones(), 1);
    let beyond = QueueAffinity(1 << subject.device.queue_count());
    fails_with(subject.run(|at| subject.device.queue_barrier(&at.on(beyond))), Code::InvalidArgument);
}
