//! Relays: every source to every sink, once and again, alone and many together.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use weft_io::{
    Event, Handle, Notification, Poller, Relay, RelayPlan, RelaySink, RelaySource, RelayState, SharedEnds,
    SharedMemory, WAKE_ALL,
};
use weft_sync::Code;

use super::subject::{IoCaps, IoSubject, after_ms, rounds, soon};

crate::cases! { $ RELAY for_each_io_relay_case of IoSubject {
    every_source_reaches_every_sink: IoCaps::NONE;
    events_are_relayed: IoCaps::KERNEL;
    many_relays_of_one_source_all_fire: IoCaps::NONE;
    relays_of_one_handle_come_and_go: IoCaps::KERNEL;
    shared_notifications_are_relayed: IoCaps::KERNEL;
    wake_counts_are_kept: IoCaps::NONE;
    no_signal_after_a_registration_is_missed: IoCaps::NONE;
    a_dropped_relay_does_not_fire: IoCaps::NONE;
} }

/// A counter of the system that does not block.
fn counter() -> Arc<OwnedFd> {
    let event = Event::new().unwrap();
    Arc::new(event.as_fd().try_clone_to_owned().unwrap())
}

/// The same, as a file.
fn file(of: &OwnedFd) -> std::fs::File {
    of.try_clone().unwrap().into()
}

fn raise(counter: &OwnedFd, value: u64) {
    assert_eq!(file(counter).write(&value.to_ne_bytes()).unwrap(), 8);
}

/// What a counter holds; it holds nothing then.
fn take(counter: &OwnedFd) -> u64 {
    let mut count = [0; 8];
    file(counter).read(&mut count).map_or(0, |_| u64::from_ne_bytes(count))
}

fn notification() -> Arc<Notification> {
    Arc::new(Notification::new())
}

fn from(source: &Arc<OwnedFd>) -> RelaySource {
    RelaySource::handle(Arc::clone(source))
}

fn to(sink: &Arc<OwnedFd>) -> RelaySink {
    RelaySink::handle(Arc::clone(sink), 1)
}

fn register(handle: &Handle, plan: RelayPlan) -> Relay {
    plan.register(handle).unwrap()
}

/// Polls until `is_enough`, which nothing counts.
fn poll_for(poller: &mut Poller, mut is_enough: impl FnMut() -> bool) {
    let limit = soon();
    while !is_enough() {
        assert_eq!(poller.poll(limit).expect("it comes in time"), 0, "relays do not count");
    }
}

fn settle(poller: &mut Poller) {
    (0..3).for_each(|_| drop(poller.poll(after_ms(1))));
}

/// [async 140] [async 141] [async 146] [async-backends 181] Every source to every sink: one fires once and is done, the
/// other each time. Firing is not counted by the poll.
fn every_source_reaches_every_sink(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for is_persistent in [false, true] {
        for is_handle_source in [true, false] {
            for is_handle_sink in [true, false] {
                if is_handle_source && !subject.has.contains(IoCaps::KERNEL) {
                    continue;
                }
                let (input, changed) = (counter(), notification());
                let (output, told) = (counter(), notification());
                let source = match is_handle_source {
                    true => from(&input),
                    false => RelaySource::notification(Arc::clone(&changed)),
                };
                let sink = match is_handle_sink {
                    true => RelaySink::handle(Arc::clone(&output), 3),
                    false => RelaySink::notification(Arc::clone(&told), WAKE_ALL),
                };
                let plan = RelayPlan::new(source, sink);
                let relay = register(&handle, if is_persistent { plan.persistent() } else { plan });
                settle(&mut poller);
                let fired = || if is_handle_sink { take(&output) } else { u64::from(told.epoch()) };
                assert_eq!(fired(), 0);
                for round in 1..6 {
                    raise(&input, 1);
                    changed.signal(1);
                    if round == 1 || is_persistent {
                        let wanted = if is_handle_sink { 3 } else { round };
                        poll_for(&mut poller, || fired() == wanted);
                    } else {
                        settle(&mut poller);
                        assert_eq!(fired(), if is_handle_sink { 0 } else { 1 }, "{}", subject.name);
                    }
                }
                let (left, state) = match is_persistent {
                    true => (0, RelayState::Active),
                    // One that fires once takes nothing.
                    false => (5, RelayState::Done),
                };
                assert_eq!(relay.state(), state);
                if is_handle_source {
                    assert_eq!(take(&input), left, "{}", subject.name);
                }
                drop(relay);
                raise(&input, 1);
                changed.signal(1);
                settle(&mut poller);
                assert_eq!(fired(), if is_handle_sink { 0 } else { if is_persistent { 5 } else { 1 } });
            }
        }
    }
}

/// [async 140] Events as source and as sink; what was written before the one is set is there when the other is.
fn events_are_relayed(subject: &IoSubject) {
    let mut poller = subject.open();
    let (first, last, data) = (Event::new().unwrap(), Event::new().unwrap(), Arc::new(AtomicU32::new(0)));
    let plan = RelayPlan::new(RelaySource::event(first.clone()), RelaySink::event(last.clone()));
    let relay = register(poller.handle(), plan.persistent());
    for round in 1..50 {
        let (event, written) = (first.clone(), Arc::clone(&data));
        let thread = std::thread::spawn(move || {
            written.store(round, Ordering::Relaxed);
            event.set();
        });
        poll_for(&mut poller, || last.reset());
        assert_eq!(data.load(Ordering::Relaxed), round);
        thread.join().unwrap();
    }
    assert!(!first.reset());
    drop(relay);
}

/// [async 143] [async-backends 181] Relays of sources of their own, and 256 of one source, handle or notification: each
/// fires each time.
fn many_relays_of_one_source_all_fire(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (input, changed) = (counter(), notification());
    let outputs: Vec<_> = (0..256).map(|_| notification()).collect();
    for is_handle in [true, false] {
        if is_handle && !subject.has.contains(IoCaps::KERNEL) {
            continue;
        }
        let before: Vec<u32> = outputs.iter().map(|output| output.epoch()).collect();
        let relays: Vec<Relay> = outputs
            .iter()
            .map(|output| {
                let source = match is_handle {
                    true => from(&input),
                    false => RelaySource::notification(Arc::clone(&changed)),
                };
                let sink = RelaySink::notification(Arc::clone(output), WAKE_ALL);
                register(&handle, RelayPlan::new(source, sink).persistent())
            })
            .collect();
        for round in 1..4 {
            raise(&input, 1);
            changed.signal(1);
            poll_for(&mut poller, || {
                outputs.iter().zip(&before).all(|(output, before)| output.epoch() == before + round)
            });
        }
        drop(relays);
        settle(&mut poller);
    }
    let pairs: Vec<_> = (0..20)
        .map(|_| {
            let (changed, output) = (notification(), counter());
            let source = RelaySource::notification(Arc::clone(&changed));
            (register(&handle, RelayPlan::new(source, to(&output)).persistent()), changed, output)
        })
        .collect();
    for (_, changed, output) in &pairs {
        changed.signal(1);
        poll_for(&mut poller, || take(output) == 1);
    }
    assert!(pairs.iter().all(|(_, _, output)| take(output) == 0), "each its own");
}

/// [async 143] [async-backends 181] Of one handle, relays that fire once and relays that stay come and go.
fn relays_of_one_handle_come_and_go(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (input, stays, once) = (counter(), counter(), counter());
    let first = register(&handle, RelayPlan::new(from(&input), to(&once)));
    let keeper = register(&handle, RelayPlan::new(from(&input), to(&stays)).persistent());
    for round in 0..20 {
        let other = register(&handle, RelayPlan::new(from(&input), to(&once)));
        let dropped = register(&handle, RelayPlan::new(from(&input), to(&once)));
        if round % 2 == 0 {
            settle(&mut poller);
        }
        drop(dropped);
        raise(&input, 1);
        poll_for(&mut poller, || take(&stays) == 1);
        assert_eq!(other.state(), RelayState::Done);
        assert_eq!(take(&once), if round == 0 { 2 } else { 1 }, "{}", subject.name);
    }
    assert_eq!(first.state(), RelayState::Done);
    drop(keeper);
    raise(&input, 1);
    settle(&mut poller);
    assert_eq!((take(&stays), take(&once), take(&input)), (0, 0, 1));
}

/// [async 152] [async-backends 96] A shared notification as source hears what another one over the same word signals; a
/// proxy that cannot hear is refused.
fn shared_notifications_are_relayed(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let memory = SharedMemory::create(1).unwrap();
    let channel = counter();
    let ends = SharedEnds { wake: Some(Arc::clone(&channel)), signal: None };
    let here = Arc::new(Notification::shared(memory.word(0).unwrap(), ends).unwrap());
    let ends = SharedEnds { wake: None, signal: Some(channel) };
    let there = Arc::new(Notification::shared(memory.word(0).unwrap(), ends).unwrap());
    let output = counter();
    let plan = RelayPlan::new(RelaySource::notification(Arc::clone(&here)), to(&output)).persistent();
    let relay = register(&handle, plan);
    for round in 0..20 {
        if round % 3 == 0 {
            settle(&mut poller);
            assert_eq!(take(&output), 0);
        }
        there.signal(1);
        poll_for(&mut poller, || take(&output) == 1);
    }
    drop(relay);
    there.signal(1);
    settle(&mut poller);
    assert_eq!(take(&output), 0, "{}", subject.name);
    let plan = RelayPlan::new(RelaySource::notification(there), to(&output));
    assert_eq!(plan.register(&handle).unwrap_err().why.code(), Code::FailedPrecondition);
}

/// [async 152] [async-backends 95] [async-backends 191] A relay as a signaller wakes as many threads as it says; as a
/// listener it takes no thread's wake.
fn wake_counts_are_kept(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (changed, told, output) = (notification(), notification(), counter());
    let listens: Vec<Relay> = (0..3)
        .map(|_| {
            let source = RelaySource::notification(Arc::clone(&told));
            register(&handle, RelayPlan::new(source, to(&output)).persistent())
        })
        .collect();
    let sink = RelaySink::notification(Arc::clone(&told), 2);
    let plan = RelayPlan::new(RelaySource::notification(Arc::clone(&changed)), sink).persistent();
    let relay = register(&handle, plan);
    let awake = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (told, awake) = (Arc::clone(&told), Arc::clone(&awake));
            std::thread::spawn(move || {
                assert!(told.observe().wait_since(0, soon()));
                awake.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    std::thread::sleep(std::time::Duration::from_millis(10));
    changed.signal(1);
    let mut fired = 0;
    poll_for(&mut poller, || {
        fired += take(&output);
        fired == 3
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(awake.load(Ordering::Relaxed), 2, "{}", subject.name);
    drop((listens, relay));
}

/// [async-backends 189] A signal right after the registration, from here or another thread, is never missed.
fn no_signal_after_a_registration_is_missed(subject: &IoSubject) {
    let rounds = rounds(20_000);
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (changed, output) = (notification(), counter());
    for round in 0..rounds {
        let source = RelaySource::notification(Arc::clone(&changed));
        let relay = register(&handle, RelayPlan::new(source, to(&output)));
        changed.signal(1);
        poll_for(&mut poller, || take(&output) == 1);
        assert_eq!(relay.state(), RelayState::Done, "{}, round {round}", subject.name);
    }
    if !subject.has.contains(IoCaps::KERNEL) {
        return;
    }
    let input = counter();
    for round in 0..rounds / 10 {
        let relay = register(&handle, RelayPlan::new(from(&input), to(&output)).persistent());
        raise(&input, 1);
        poll_for(&mut poller, || take(&output) == 1);
        assert_eq!(relay.state(), RelayState::Active, "{}, round {round}", subject.name);
    }
}

/// [async 145] [async-backends 182] Dropped before it fires, it never does, whatever is ready already.
fn a_dropped_relay_does_not_fire(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    for is_polled in [false, true] {
        let (input, changed, output) = (counter(), notification(), counter());
        for is_persistent in [false, true] {
            let kind = |plan: RelayPlan| if is_persistent { plan.persistent() } else { plan };
            let relays = [
                register(&handle, kind(RelayPlan::new(from(&input), to(&output)))),
                register(
                    &handle,
                    kind(RelayPlan::new(RelaySource::notification(Arc::clone(&changed)), to(&output))),
                ),
            ];
            if is_polled {
                settle(&mut poller);
            }
            raise(&input, 1);
            changed.signal(1);
            drop(relays);
            settle(&mut poller);
            assert_eq!(take(&output), 0, "{}", subject.name);
            assert!(!changed.signal(1), "nobody observes");
            take(&input);
        }
    }
}
