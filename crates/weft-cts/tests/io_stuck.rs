//! Operations on files that the system does not come back from: others go on, and the end of a proactor ends.
//!
//! A filter hands one system call to a supervisor that does not answer: whoever makes it waits until the supervisor has gone,
//! as for a file on a server that does not answer.
//!
//! # Safety
//!
//! The program of the filter is whole and lives across the call.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "filters are set by system calls that std does not have")]

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use weft_cts::case::Tested;
use weft_cts::io::subject::{self, IoSubject, poll_dry, soon};
use weft_io::ops::{FileFlags, FileOpen, FileRead, FileSync};
use weft_io::{File, Operation};
use weft_sync::{Code, Deadline};

/// Has this thread, and those that it begins, wait in this call until what is returned is dropped. `None`: no such filter.
fn hold(call: i64) -> Option<OwnedFd> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let is_call = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let give = libc::BPF_RET | libc::BPF_K;
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter { code: is_call, jt: 0, jf: 1, k: call as u32 },
        statement(give, libc::SECCOMP_RET_USER_NOTIF),
        statement(give, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let outcome = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(outcome, 0);
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    // SAFETY: see the header.
    let supervisor = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    if supervisor < 0 {
        println!("skipped: {}", std::io::Error::last_os_error());
        return None;
    }
    // SAFETY: the system has just made it, and nobody else knows the number.
    Some(unsafe { OwnedFd::from_raw_fd(supervisor as i32) })
}

/// Reads that never end occupy more threads than there are, and everything else goes on; the proactor ends in bounded time,
/// leaves them their memory, and does not call them back. It goes when the system lets go of it.
fn stuck(subject: &IoSubject) {
    let Some(supervisor) = hold(libc::SYS_preadv) else { return };
    let file = File::import(std::fs::File::open("/proc/self/exe").expect("it runs")).expect("it is a file");
    let mut poller = subject.open();
    let (handle, owned) = (poller.handle().clone(), Arc::new(()));
    for _ in 0..6 {
        let kept = Arc::clone(&owned);
        let read = Operation::new(FileRead::new(file.clone(), 0, vec![0; 64]));
        handle.submit(read.on_done(move |_| panic!("called back with {kept:?}"))).expect("there is room");
    }
    poll_dry(&mut poller);
    let start = Instant::now();
    let run = poller.block_on(handle.run(FileOpen::new("/dev/null", FileFlags::WRITE)));
    run.expect("it is polled").result.expect("it can be opened");
    let run = poller.block_on(handle.run(FileSync::new(file.clone(), true)));
    run.expect("it is polled").result.expect("nothing is to be written");
    assert!(start.elapsed() < Duration::from_secs(10), "{}: {:?}", subject.name, start.elapsed());
    let (start, before) = (Instant::now(), poller.under_way());
    assert_eq!(before, 6, "{}", subject.name);
    drop(poller);
    assert!(start.elapsed() < Duration::from_secs(15), "{}: {:?}", subject.name, start.elapsed());
    let refused = handle.submit(FileSync::new(file.clone(), true)).expect_err("it has ended");
    assert!([Code::Aborted, Code::Cancelled].contains(&refused.why.code()), "{}", refused.why);
    assert_eq!(Arc::strong_count(&owned), 7, "they are the threads'");
    drop(supervisor);
    let limit = soon();
    while Arc::strong_count(&owned) > 1 {
        assert!(limit.remaining() != Some(Duration::ZERO), "{}: somebody keeps them", subject.name);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// [async-backends 176] [async-backends 232] Operations on files that are stuck in the system stop neither the others nor
/// the end, where threads carry them out.
#[test]
fn what_is_stuck_stops_nobody_else() {
    let (over, is_over) = mpsc::channel();
    let subjects = [subject::epoll(), subject::poll()];
    let count = subjects.len();
    for subject in subjects {
        let over = over.clone();
        std::thread::spawn(move || {
            match subject.why_missing() {
                Some(why) => println!("{} skipped: {why}", subject.name),
                None => stuck(&subject),
            }
            over.send(()).expect("somebody waits");
        });
    }
    drop(over);
    let end = Deadline::after(Duration::from_secs(90));
    for _ in 0..count {
        let left = end.remaining().expect("it has an end");
        is_over.recv_timeout(left).expect("each ends in time, and well");
    }
}
