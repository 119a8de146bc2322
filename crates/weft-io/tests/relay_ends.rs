//! Relays: how they end, by themselves, by others, by faults; and what is left of them then.

mod support;
#[path = "support/relay.rs"]
mod support_relay;

use rustix::event::{EventfdFlags, eventfd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use support::{after_ms, alone, every, handles, poll_dry, real, real_with, soon};
use support_relay::{Faults, counter, from, notification, pipe, poll_for, raise, register, settle, take, to};
use weft_io::{Config, Relay, RelayPlan, RelaySink, RelaySource, RelayState};
use weft_sync::Code;

/// [async 142] [async-backends 182] [async-backends 183] A source that was given whole is closed once: after one firing,
/// when dropped, by a fault, with the proactor, and not when it is refused; one that is shared stays open.
#[test]
fn owned_sources_are_closed_once() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let output = counter();
        let before = handles();
        let owned = || {
            let (reader, writer) = pipe();
            (RelaySource::handle(reader), writer)
        };
        // One firing.
        let (source, writer) = owned();
        let relay = register(&handle, RelayPlan::new(source, to(&output)));
        rustix::io::write(&writer, b"x").unwrap();
        poll_for(&mut subject, || take(&output) == 1);
        assert_eq!(rustix::io::write(&writer, b"x"), Err(rustix::io::Errno::PIPE), "closed");
        drop((relay, writer));
        assert_eq!(handles(), before, "{}: one firing", subject.name);
        // Dropped.
        let (source, writer) = owned();
        drop(register(&handle, RelayPlan::new(source, to(&output)).persistent()));
        settle(&mut subject);
        drop(writer);
        assert_eq!(handles(), before, "{}: dropped", subject.name);
        // A fault.
        let (source, writer) = owned();
        let relay = register(&handle, RelayPlan::new(source, to(&output)).persistent().error_sensitive());
        settle(&mut subject);
        drop(writer);
        poll_for(&mut subject, || relay.state() == RelayState::Faulted);
        assert_eq!(handles(), before, "{}: faulted", subject.name);
        drop(relay);
        // Refused: it comes back.
        let (source, writer) = owned();
        let blocking = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).unwrap());
        let refused = RelayPlan::new(source, to(&blocking)).register(&handle).unwrap_err();
        assert_eq!(refused.why.code(), Code::InvalidArgument);
        rustix::io::write(&writer, b"x").expect("still open");
        drop((refused, writer, blocking));
        assert_eq!(handles(), before);
        // Shared: stays open.
        let input = counter();
        drop(register(&handle, RelayPlan::new(from(&input), to(&output)).persistent()));
        let once = register(&handle, RelayPlan::new(from(&input), to(&output)));
        raise(&input, 1);
        poll_for(&mut subject, || once.state() == RelayState::Done);
        settle(&mut subject);
        assert_eq!((Arc::strong_count(&input), take(&input)), (1, 1), "{}", subject.name);
        // With the proactor.
        let (source, writer) = owned();
        let relay = register(&handle, RelayPlan::new(source, to(&output)).persistent());
        drop(subject.poller);
        assert_eq!(rustix::io::write(&writer, b"x"), Err(rustix::io::Errno::PIPE), "closed");
        assert_eq!(relay.state(), RelayState::Done);
    });
}

/// [async 144] [async-backends 184] A hang-up, with data or without, makes a sensitive relay not fire, and one that is
/// persistent fault; data alone fires. Without sensitivity everything fires. A notification has no errors.
#[test]
fn sensitive_relays_do_not_fire_for_errors() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        for (is_sensitive, is_persistent, has_data) in
            (0..8).map(|bits| (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0))
        {
            let (output, faults) = (counter(), Faults::default());
            let plan = |reader| {
                let plan = RelayPlan::new(RelaySource::handle(reader), to(&output)).on_fault(faults.note());
                let plan = if is_sensitive { plan.error_sensitive() } else { plan };
                if is_persistent { plan.persistent() } else { plan }
            };
            // Normal readiness.
            let (reader, writer) = pipe();
            let relay = register(&handle, plan(reader));
            rustix::io::write(&writer, b"data").unwrap();
            poll_for(&mut subject, || take(&output) == 1);
            drop((relay, writer));
            settle(&mut subject);
            assert_eq!(faults.codes(), []);
            // A hang-up.
            let (reader, writer) = pipe();
            if has_data {
                rustix::io::write(&writer, b"data").unwrap();
            }
            drop(writer);
            let relay = register(&handle, plan(reader));
            let state = if is_persistent { RelayState::Faulted } else { RelayState::Done };
            poll_for(&mut subject, || relay.state() == state);
            settle(&mut subject);
            let name = subject.name;
            assert_eq!(take(&output) > 0, !is_sensitive, "{name}, {is_persistent}, {has_data}");
            let told: &[Code] = if is_persistent { &[Code::Unavailable] } else { &[] };
            assert_eq!(faults.codes(), told, "{name}");
            assert!(subject.poller.poll(after_ms(3)).is_err(), "{name}: it does not spin");
        }
        let source = RelaySource::notification(notification());
        let plan = RelayPlan::new(source, to(&counter())).error_sensitive();
        assert_eq!(plan.register(&handle).unwrap_err().why.code(), Code::InvalidArgument);
    });
}

/// [async 148] [async-backends 185] A sink that fails faults the relay: told once, no more firing, everything let go.
#[test]
fn a_sink_that_fails_is_told_once() {
    let _alone = alone();
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let before = handles();
        for (is_handle, is_persistent) in [(false, false), (false, true), (true, false), (true, true)] {
            if is_handle && !subject.is_real {
                continue;
            }
            let (input, changed, faults) = (counter(), notification(), Faults::default());
            let (reader, writer) = pipe();
            drop(reader);
            let source = match is_handle {
                true => from(&input),
                false => RelaySource::notification(Arc::clone(&changed)),
            };
            let plan = RelayPlan::new(source, RelaySink::handle(writer, 1)).on_fault(faults.note());
            let relay = register(&handle, if is_persistent { plan.persistent() } else { plan });
            for _ in 0..3 {
                raise(&input, 1);
                changed.signal(1);
                settle(&mut subject);
                assert_eq!(faults.codes(), [Code::FailedPrecondition], "{}", subject.name);
                assert_eq!(relay.state(), RelayState::Faulted);
            }
            drop((relay, input));
            settle(&mut subject);
            assert_eq!(handles(), before, "{}", subject.name);
        }
    });
}

/// [async 148] [async 149] [async-backends 186] A source that cannot be watched, or read, faults its relays once each, and
/// nobody asks it again.
#[test]
fn a_source_that_fails_is_told_once() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let unwatchable = rustix::fs::open("/", flags, rustix::fs::Mode::empty()).unwrap();
        // Always readable, and reading fails.
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let unreadable = rustix::fs::open("/", flags, rustix::fs::Mode::empty()).unwrap();
        for source in [Arc::new(unwatchable), Arc::new(unreadable)] {
            let (faults, output) = (Faults::default(), counter());
            let relays: Vec<Relay> = (0..2)
                .map(|_| {
                    let plan =
                        RelayPlan::new(from(&source), to(&output)).persistent().on_fault(faults.note());
                    register(&handle, plan)
                })
                .collect();
            poll_for(&mut subject, || faults.codes().len() == 2);
            settle(&mut subject);
            assert!(subject.poller.poll(after_ms(3)).is_err(), "{}: it does not spin", subject.name);
            assert_eq!((faults.codes().len(), take(&output)), (2, 0), "{}", subject.name);
            assert!(relays.iter().all(|relay| relay.state() == RelayState::Faulted));
            drop(relays);
            assert_eq!(Arc::strong_count(&source), 1);
        }
    });
}

/// [async 150] [async 151] [async-backends 187] [async-backends 190] Far more relays than the rings hold: all fire, again
/// and again; dropped while their questions wait for room, or have been asked, none fires, and all is let go.
#[test]
fn full_rings_lose_no_relay() {
    let _alone = alone();
    let config = Config { ring_entries: 4, ..Config::new() };
    real_with(&config, |mut subject| {
        let handle = subject.poller.handle().clone();
        let before = handles();
        let pairs: Vec<_> = (0..100)
            .map(|_| {
                let (input, output) = (counter(), notification());
                let sink = RelaySink::notification(Arc::clone(&output), 1);
                (register(&handle, RelayPlan::new(from(&input), sink).persistent()), input, output)
            })
            .collect();
        for round in 1..4 {
            pairs.iter().for_each(|(_, input, _)| raise(input, 1));
            poll_for(&mut subject, || pairs.iter().all(|(_, _, output)| output.epoch() == round));
        }
        // Fired just now, and asked again by nobody yet.
        pairs.iter().for_each(|(_, input, _)| raise(input, 1));
        drop(subject.poller.poll(after_ms(0)));
        let fired: Vec<u32> = pairs.iter().map(|(_, _, output)| output.epoch()).collect();
        pairs.iter().for_each(|(_, input, _)| _ = rustix::io::write(&**input, &1_u64.to_ne_bytes()));
        let (relays, rest): (Vec<Relay>, Vec<_>) =
            pairs.into_iter().map(|(relay, input, output)| (relay, (input, output))).unzip();
        drop(relays);
        (0..20).for_each(|_| drop(subject.poller.poll(after_ms(1))));
        assert!(
            rest.iter().zip(fired).all(|((_, output), fired)| output.epoch() == fired),
            "{}",
            subject.name
        );
        drop(rest);
        assert_eq!(handles(), before, "{}", subject.name);
    });
}

/// [async 152] [async 260] The proactor ends with relays of all kinds, held and let go: all is closed and let go, nothing
/// fires, and later ones come back.
#[test]
fn the_proactor_ends_its_relays() {
    let _alone = alone();
    for is_polled in [false, true] {
        every(|mut subject| {
            let handle = subject.poller.handle().clone();
            let (input, changed, output) = (counter(), notification(), counter());
            let plan = |is_handle: bool| {
                let source = match is_handle {
                    true => from(&input),
                    false => RelaySource::notification(Arc::clone(&changed)),
                };
                RelayPlan::new(source, to(&output))
            };
            let held = [register(&handle, plan(true)), register(&handle, plan(false).persistent())];
            register(&handle, plan(true).persistent()).detach();
            register(&handle, plan(false)).detach();
            if is_polled {
                settle(&mut subject);
            }
            drop(subject.poller);
            raise(&input, 1);
            assert!(!changed.signal(1), "{}: nobody observes", subject.name);
            assert!(held.iter().all(|relay| relay.state() == RelayState::Done));
            for is_handle in [true, false] {
                let refused = plan(is_handle).register(&handle).unwrap_err();
                assert_eq!(refused.why.code(), Code::Aborted);
            }
            drop(held);
            assert_eq!((Arc::strong_count(&input), Arc::strong_count(&changed)), (1, 1), "{}", subject.name);
            assert_eq!((Arc::strong_count(&output), take(&output)), (1, 0));
        });
    }
}

/// [async-backends 188] An error callback may drop its own relay, and one that is done may be dropped at any time; one
/// that was let go fires and is gone.
#[test]
fn relays_end_in_any_order() {
    let _alone = alone();
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        let before = handles();
        let (changed, told) = (notification(), Arc::new(AtomicBool::new(false)));
        let own: Arc<Mutex<Option<Relay>>> = Arc::default();
        let (reader, writer) = pipe();
        drop(reader);
        let (mine, flag) = (Arc::clone(&own), Arc::clone(&told));
        let plan =
            RelayPlan::new(RelaySource::notification(Arc::clone(&changed)), RelaySink::handle(writer, 1))
                .on_fault(move |_| {
                    drop(mine.lock().unwrap().take());
                    flag.store(true, Ordering::Relaxed);
                });
        *own.lock().unwrap() = Some(register(&handle, plan.persistent()));
        changed.signal(1);
        poll_for(&mut subject, || told.load(Ordering::Relaxed));
        assert!(!changed.signal(1));
        assert!(own.lock().unwrap().is_none());
        let output = notification();
        let sink = RelaySink::notification(Arc::clone(&output), 1);
        register(&handle, RelayPlan::new(RelaySource::notification(Arc::clone(&changed)), sink)).detach();
        (0..3).for_each(|_| _ = changed.signal(1));
        settle(&mut subject);
        assert_eq!((output.epoch(), Arc::strong_count(&output)), (1, 1), "{}", subject.name);
        assert_eq!(handles(), before);
    });
}

/// [async 145] [async-backends 188] Threads register, signal and drop relays while the poll thread fires them: after a
/// drop the sink stays quiet, and nothing is left over.
#[test]
fn relays_of_other_threads_end_when_dropped() {
    let _alone = alone();
    let rounds = if cfg!(tsan) { 30 } else { 300 };
    real(|mut subject| {
        let before = handles();
        let finished = Arc::new(AtomicU32::new(0));
        let (shared_input, shared_change) = (counter(), notification());
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (handle, finished) = (subject.poller.handle().clone(), Arc::clone(&finished));
                let (input, changed) = (Arc::clone(&shared_input), Arc::clone(&shared_change));
                std::thread::spawn(move || {
                    for round in 0..rounds {
                        let output = notification();
                        let source = match round % 2 {
                            0 => from(&input),
                            _ => RelaySource::notification(Arc::clone(&changed)),
                        };
                        let sink = RelaySink::notification(Arc::clone(&output), 1);
                        let relay = register(&handle, RelayPlan::new(source, sink).persistent());
                        while output.epoch() == 0 {
                            _ = rustix::io::write(&*input, &1_u64.to_ne_bytes());
                            changed.signal(1);
                            std::thread::yield_now();
                        }
                        drop(relay);
                        let quiet = output.epoch();
                        _ = rustix::io::write(&*input, &1_u64.to_ne_bytes());
                        changed.signal(1);
                        std::thread::yield_now();
                        assert_eq!(output.epoch(), quiet);
                    }
                    finished.fetch_add(1, Ordering::Relaxed);
                    handle.wake();
                })
            })
            .collect();
        while finished.load(Ordering::Relaxed) < 3 {
            drop(subject.poller.poll(soon()));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        settle(&mut subject);
        drop(shared_input);
        assert_eq!(handles(), before, "{}", subject.name);
        assert_eq!(poll_dry(&mut subject.poller), 0);
    });
}

/// A relay that has ended by itself keeps nothing, although it is held: its sink is closed, and what its error
/// callback and its source have is let go.
#[test]
fn a_relay_that_has_ended_keeps_nothing() {
    let _alone = alone();
    every(|mut subject| {
        let handle = subject.poller.handle().clone();
        for (is_handle, is_faulted) in [(false, false), (false, true), (true, false), (true, true)] {
            if is_handle && !subject.is_real {
                continue;
            }
            let (input, changed, owned) = (counter(), notification(), Arc::new(()));
            let source = match is_handle {
                true => from(&input),
                false => RelaySource::notification(Arc::clone(&changed)),
            };
            let (reader, writer) = pipe();
            let kept = Arc::clone(&owned);
            let plan = RelayPlan::new(source, RelaySink::handle(writer, 1)).on_fault(move |_| drop(kept));
            let relay = register(&handle, plan);
            let reader = if is_faulted {
                drop(reader);
                None
            } else {
                Some(reader)
            };
            raise(&input, 1);
            changed.signal(1);
            poll_for(&mut subject, || relay.state() != RelayState::Active);
            settle(&mut subject);
            if let Some(reader) = reader {
                let mut bytes = [0; 16];
                assert_eq!(rustix::io::read(&reader, &mut bytes), Ok(8), "{}", subject.name);
                assert_eq!(rustix::io::read(&reader, &mut bytes), Ok(0), "{}: closed", subject.name);
            }
            let counts = [Arc::strong_count(&owned), Arc::strong_count(&input), Arc::strong_count(&changed)];
            assert_eq!(counts, [1; 3], "{}, {is_handle}, {is_faulted}", subject.name);
            drop(relay);
        }
    });
}

/// An empty message is a message: a persistent relay of a socket that keeps messages apart fires for it, and stays; one
/// of a socket that is shut down ends.
#[test]
fn an_empty_message_ends_no_relay() {
    let _alone = alone();
    real(|mut subject| {
        let handle = subject.poller.handle().clone();
        let (input, output) = (Arc::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()), counter());
        input.set_nonblocking(true).unwrap();
        let address = input.local_addr().unwrap();
        let source = RelaySource::handle(Arc::clone(&input));
        let relay = register(&handle, RelayPlan::new(source, to(&output)).persistent());
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for message in [&b"one"[..], b"", b"two", b"", b""] {
            sender.send_to(message, address).unwrap();
            poll_for(&mut subject, || take(&output) > 0);
            settle(&mut subject);
            assert_eq!(relay.state(), RelayState::Active, "{}: {message:?}", subject.name);
        }
        assert!(subject.poller.poll(after_ms(3)).is_err(), "{}: it does not spin", subject.name);
        let _ = rustix::net::shutdown(&*input, rustix::net::Shutdown::Read);
        poll_for(&mut subject, || relay.state() == RelayState::Faulted);
    });
}

/// [async 152] Threads register relays of a notification while their proactor goes: whoever is in time ends with it, and nobody
/// stays with the notification, or keeps it.
#[test]
fn relays_registered_while_the_proactor_goes_end_with_it() {
    let _alone = alone();
    for _ in 0..if cfg!(tsan) { 20 } else { 300 } {
        let poller = weft_io::open_null(&Config::new()).into_poller().unwrap();
        let handle = poller.handle().clone();
        let changed = notification();
        let begin = Arc::new(std::sync::Barrier::new(4));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (changed, handle, begin) = (Arc::clone(&changed), handle.clone(), Arc::clone(&begin));
                std::thread::spawn(move || {
                    begin.wait();
                    let plan = || {
                        let sink = RelaySink::notification(notification(), 1);
                        RelayPlan::new(RelaySource::notification(Arc::clone(&changed)), sink)
                    };
                    while plan().register(&handle).map(drop).is_ok() {}
                })
            })
            .collect();
        begin.wait();
        std::thread::sleep(std::time::Duration::from_micros(100));
        drop(poller);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!changed.signal(1), "nobody observes");
        assert_eq!(Arc::strong_count(&changed), 1);
    }
}
