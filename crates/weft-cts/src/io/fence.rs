//! Fences that come in and go out as descriptors.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use weft_io::ops::{HandlePoll, Interest, Ready};
use weft_io::{Capabilities, Event, Handle, Operation, Poller};
use weft_sync::{Code, Deadline, Semaphore, status};

use super::subject::{IoCaps, IoSubject, after_ms, poll_dry, poll_until, soon, timeline};

crate::cases! { $ FENCE for_each_io_fence_case of IoSubject {
    an_import_moves_its_timeline: IoCaps::NONE;
    an_import_that_goes_wrong_fails_its_timeline: IoCaps::KERNEL;
    the_end_fails_imports_and_no_exports: IoCaps::KERNEL;
    an_export_is_readable_once_its_value_is_reached: IoCaps::NONE;
    an_export_can_be_imported: IoCaps::KERNEL;
    many_threads_import_during_a_poll: IoCaps::KERNEL;
} }

fn imports(poller: &Poller) -> bool {
    poller.handle().capabilities().contains(Capabilities::DEVICE_FENCE)
}

/// A second descriptor of an event, to be imported.
fn fence_of(event: &Event) -> OwnedFd {
    event.as_fd().try_clone_to_owned().unwrap()
}

/// Whether the descriptor is readable now.
fn is_readable(fd: &OwnedFd) -> bool {
    // A read would block; that is seen by one that does not.
    let mut file = std::fs::File::from(fd.try_clone().unwrap());
    match std::io::Read::read(&mut file, &mut [0; 8]) {
        Ok(_) => {
            file.write_all(&1_u64.to_ne_bytes()).unwrap();
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            false
        }
    }
}

fn import_many(handle: &Handle, count: u64) -> Vec<(Event, Arc<Semaphore>)> {
    let import = |value| {
        let (event, timeline) = (Event::new().unwrap(), timeline());
        handle.import_fence(fence_of(&event), &timeline, value + 1).unwrap();
        (event, timeline)
    };
    (0..count).map(import).collect()
}

/// [async 239] [async-backends 192] A fence that is set moves its timeline, whether it was set before or after; where
/// fences are not to be had, or what came is none, it comes back and the timeline is untouched.
fn an_import_moves_its_timeline(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    let (event, now, later) = (Event::new().unwrap(), timeline(), timeline());
    if !imports(&poller) {
        let refused = handle.import_fence(fence_of(&event), &now, 1).unwrap_err();
        assert_eq!(refused.why.code(), Code::Unavailable);
        drop(refused.fd.try_clone().expect("it is still open"));
        assert_eq!(now.query().unwrap(), 0);
        return;
    }
    event.set();
    handle.import_fence(fence_of(&event), &now, 5).unwrap();
    assert_eq!(now.query().unwrap(), 0, "not before a poll");
    assert_eq!(poller.poll(soon()).unwrap(), 0, "not counted");
    assert_eq!(now.query().unwrap(), 5);
    let other = Event::new().unwrap();
    handle.import_fence(fence_of(&other), &later, 2).unwrap();
    assert!(poller.poll(Deadline::IMMEDIATE).is_err());
    assert_eq!(later.query().unwrap(), 0);
    other.set();
    poller.poll(soon()).unwrap();
    assert_eq!(later.query().unwrap(), 2, "{}", subject.name);
    assert!(other.reset(), "the signal was not taken");
    for path in ["/proc/self/exe", "/"] {
        let file = OwnedFd::from(std::fs::File::open(path).unwrap());
        let number = file.as_raw_fd();
        let refused = handle.import_fence(file, &later, 3).unwrap_err();
        assert_eq!(refused.why.code(), Code::InvalidArgument);
        assert_eq!(refused.fd.as_raw_fd(), number);
        refused.fd.try_clone().expect("it is still open");
    }
    assert_eq!(poll_dry(&mut poller), 0);
    assert_eq!(later.query().unwrap(), 2);
}

/// [async 243] [async-backends 193] [async-backends 194] Whatever goes wrong with an import fails its timeline, with the
/// cause.
fn an_import_that_goes_wrong_fails_its_timeline(subject: &IoSubject) {
    let mut poller = subject.open();
    if !imports(&poller) {
        return;
    }
    let handle = poller.handle().clone();
    let ended = |poller: &mut Poller, timeline: &Semaphore| {
        poll_until(poller, || timeline.failure().is_some());
        timeline.failure().unwrap()
    };
    // The value has passed.
    let (event, passed) = (Event::new().unwrap(), timeline());
    handle.import_fence(fence_of(&event), &passed, 3).unwrap();
    passed.signal(4).unwrap();
    event.set();
    let why = ended(&mut poller, &passed);
    assert!(why.to_string().contains("imported"), "{why}");
    // The other side hangs up and has written nothing.
    let (reader, writer) = std::io::pipe().unwrap();
    let gone = timeline();
    handle.import_fence(OwnedFd::from(reader), &gone, 1).unwrap();
    assert!(poller.poll(Deadline::IMMEDIATE).is_err());
    drop(writer);
    assert_eq!(ended(&mut poller, &gone).code(), Code::DataLoss, "{}", subject.name);
    // It hangs up after it has written.
    let (reader, mut writer) = std::io::pipe().unwrap();
    let written = timeline();
    handle.import_fence(OwnedFd::from(reader), &written, 1).unwrap();
    writer.write_all(b"x").unwrap();
    drop(writer);
    poller.poll(soon()).unwrap();
    assert_eq!(written.query().unwrap(), 1);
    // A descriptor by which a file is only named: the kernel does not watch it.
    let path = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/dev/null").unwrap();
    let unwatched = timeline();
    handle.import_fence(OwnedFd::from(path), &unwatched, 1).unwrap();
    let why = ended(&mut poller, &unwatched);
    assert!(why.code() == Code::FailedPrecondition && why.to_string().contains("errno 9"), "{why}");
    // The failure of an import harms no other.
    let (event, well) = (Event::new().unwrap(), timeline());
    event.set();
    handle.import_fence(fence_of(&event), &well, 1).unwrap();
    poller.poll(soon()).unwrap();
    assert_eq!(well.query().unwrap(), 1);
}

/// [async 243] [async 260] [async-backends 193] [async-backends 233] The end of the proactor fails what is imported; after
/// it, descriptors come back. What was exported lives on.
fn the_end_fails_imports_and_no_exports(subject: &IoSubject) {
    let mut poller = subject.open();
    if !imports(&poller) {
        return;
    }
    let handle = poller.handle().clone();
    let (event, begun, queued, exported) = (Event::new().unwrap(), timeline(), timeline(), timeline());
    handle.import_fence(fence_of(&event), &begun, 1).unwrap();
    assert!(poller.poll(Deadline::IMMEDIATE).is_err());
    handle.import_fence(fence_of(&event), &queued, 1).unwrap();
    let fence = handle.export_fence(&exported, 1).unwrap();
    drop(poller);
    for timeline in [&begun, &queued] {
        assert_eq!(timeline.failure().expect("it was failed").code(), Code::Cancelled);
    }
    event.set();
    let late = timeline();
    let refused = handle.import_fence(fence_of(&event), &late, 1).unwrap_err();
    assert_eq!(refused.why.code(), Code::Aborted);
    assert_eq!(late.query().unwrap(), 0);
    drop(handle);
    exported.signal(1).unwrap();
    assert!(is_readable(&fence));
}

/// [async 240] [async-backends 195] A descriptor is readable from the moment at which its value is reached, and stays so;
/// never if the timeline fails or goes away. Each says so of its own value.
fn an_export_is_readable_once_its_value_is_reached(subject: &IoSubject) {
    let poller = subject.open();
    let handle = poller.handle();
    let timeline = timeline();
    let fences: Vec<OwnedFd> =
        [1, 2, 5].iter().map(|&value| handle.export_fence(&timeline, value).unwrap()).collect();
    let readable = || fences.iter().map(is_readable).collect::<Vec<bool>>();
    assert_eq!(readable(), [false; 3]);
    timeline.signal(1).unwrap();
    assert_eq!(readable(), [true, false, false]);
    timeline.signal(3).unwrap();
    assert_eq!(readable(), [true, true, false]);
    assert_eq!(readable(), [true, true, false], "it stays");
    assert!(is_readable(&handle.export_fence(&timeline, 2).unwrap()), "at once");
    timeline.fail(status!(DataLoss, "gone"));
    assert_eq!(readable(), [true, true, false]);
    assert!(!is_readable(&handle.export_fence(&timeline, 9).unwrap()), "it had failed before");
    let short = Arc::new(Semaphore::new(0));
    let fence = handle.export_fence(&short, 1).unwrap();
    drop(short);
    assert!(!is_readable(&fence));
}

/// [async 241] [async-backends 195] From a timeline out and in again; another thread moves it.
fn an_export_can_be_imported(subject: &IoSubject) {
    let mut poller = subject.open();
    if !imports(&poller) {
        return;
    }
    let handle = poller.handle().clone();
    let (first, second) = (timeline(), timeline());
    let fence = handle.export_fence(&first, 3).unwrap();
    handle.import_fence(fence, &second, 30).unwrap();
    let again = handle.export_fence(&second, 30).unwrap();
    let mover = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(3));
        first.signal(3).unwrap();
    });
    poll_until(&mut poller, || second.query().unwrap() == 30);
    assert!(is_readable(&again));
    mover.join().unwrap();
    let poll = HandlePoll { handle: Arc::new(again), interest: Interest::IN };
    let is_done = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&is_done);
    handle
        .submit(Operation::new(poll).on_done(move |done| {
            assert_eq!(done.result.unwrap(), Ready::IN);
            mark.store(true, Ordering::Relaxed);
        }))
        .unwrap();
    poll_until(&mut poller, || is_done.load(Ordering::Relaxed));
}

/// [async 242] [async-backends 192] Four threads import while the proactor waits in a poll; each is woken up to, none is
/// lost.
fn many_threads_import_during_a_poll(subject: &IoSubject) {
    let mut poller = subject.open();
    if !imports(&poller) {
        return;
    }
    let handle = poller.handle().clone();
    let start = Arc::new(Barrier::new(5));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (handle, start) = (handle.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                let fences = import_many(&handle, 25);
                fences.iter().for_each(|(event, _)| event.set());
                for (index, (_, timeline)) in fences.iter().enumerate() {
                    timeline.wait(index as u64 + 1, soon()).unwrap();
                }
                handle.wake();
            })
        })
        .collect();
    start.wait();
    while threads.iter().any(|thread| !thread.is_finished()) {
        // The last wake of all ends the last poll.
        drop(poller.poll(after_ms(100)));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(poll_dry(&mut poller), 0);
}
