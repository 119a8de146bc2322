//! What the system refuses, limits and hands on: filters, limits, other programs. Each test runs in a child of its own.
//!
//! # Safety
//!
//! Structures handed to the system are whole, live across the call, and are what the call expects.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, reason = "filters and limits are set by system calls that std does not have")]

mod child;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use child::in_child;
use weft_cts::case::Tested;
use weft_cts::io::subject::{self, poll_dry};
use weft_io::ops::{EventWait, FileFlags, FileOpen, FileRead, Nop, Recv, Timer};
use weft_io::{
    BACKEND_VARIABLE, Capabilities, Config, Event, Operation, Poller, Proactor, Socket, SocketKind, open,
    open_any,
};
use weft_sync::{Code, Deadline, Result, Status};

/// Whether the rest of a test makes sense here.
fn has_uring() -> bool {
    match subject::uring().why_missing() {
        Some(why) => {
            println!("skipped: {why}");
            false
        }
        None => true,
    }
}

/// A program of the filter: which calls fail, and with what.
fn deny(call: i64, argument: Option<(u32, u32)>, errno: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let unless = |k: u32, jf: u8| {
        let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        libc::sock_filter { code, jt: 0, jf, k }
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let give = libc::BPF_RET | libc::BPF_K;
    let mut program = vec![statement(load, 0)];
    match argument {
        None => program.push(unless(call as u32, 1)),
        Some((index, value)) => {
            program.push(unless(call as u32, 3));
            // The lower half of an argument.
            program.push(statement(load, 16 + 8 * index));
            program.push(unless(value, 1));
        }
    }
    program.push(statement(give, libc::SECCOMP_RET_ERRNO | errno as u32));
    program.push(statement(give, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let outcome = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(outcome, 0);
    // SAFETY: see the header.
    let outcome = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

/// Runs `body` on a thread of which the system refuses something; a filter is for a thread, and for good.
fn refused<T: Send + 'static>(
    call: i64,
    argument: Option<(u32, u32)>,
    errno: i32,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        deny(call, argument, errno);
        done.send(body()).expect("somebody waits");
    });
    let result = result.recv_timeout(Duration::from_secs(20));
    match result {
        Ok(result) => {
            thread.join().expect("no panic");
            result
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it panicked"))
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end"),
    }
}

/// One line that says what was refused.
fn is_told(status: &Status, what: &str) {
    println!("told: {status}");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let text = status.message();
    assert!(!text.contains('\n') && text.contains(what), "{text}");
}

/// Whatever the platform opens without io_uring works and says why; or nothing is left, and that is said.
fn whatever_is_left(opened: Result<Proactor>, what: &str) {
    match opened {
        Ok(proactor) => {
            let refused = &proactor.handle().describe().refused;
            let (name, why) = refused.first().expect("io_uring is tried first");
            assert_eq!(*name, "uring");
            is_told(why, what);
            works(proactor.into_poller().expect("it was just opened"));
        }
        Err(status) => is_told(&status, what),
    }
}

fn works(mut poller: Poller) {
    poller.handle().submit(Nop).expect("there is room");
    let timer = Timer { deadline: Deadline::after(Duration::from_millis(1)) };
    poller.handle().submit(Operation::new(timer)).expect("there is room");
    let mut ended = 0;
    while ended < 2 {
        ended += poller.poll(subject::soon()).expect("it ends");
    }
    poll_dry(&mut poller);
}

fn handles() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("there is a /proc").count()
}

/// [async 11] [async-backends 4] A filter refuses the set-up, with whatever number: one line says so, nothing is left
/// behind, and what the platform has besides io_uring is opened.
#[test]
fn a_filter_refuses_the_setup() {
    in_child("a_filter_refuses_the_setup", &[], || {
        let before = handles();
        for (errno, what) in [
            (libc::EPERM, "seccomp"),
            (libc::EACCES, "seccomp"),
            (libc::ENOSYS, "kernel"),
            (libc::ENOMEM, "memory"),
            (libc::EMFILE, "handles"),
            (libc::EINVAL, "io_uring_setup"),
        ] {
            let opened = refused(libc::SYS_io_uring_setup, None, errno, move || {
                let direct = open("uring", &Config::new()).expect_err("it is refused");
                is_told(&direct, what);
                assert!(direct.message().contains("io_uring_setup"), "{direct}");
                whatever_is_left(open_any(&Config::new()), what);
                open("null", &Config::new()).map(drop)
            });
            opened.expect("that needs no ring");
        }
        assert_eq!(handles(), before);
    });
}

/// [async-backends 9] A filter that lets a ring be made and not be used: found out at creation, not later.
#[test]
fn a_filter_refuses_to_enter() {
    in_child("a_filter_refuses_to_enter", &[], || {
        if !has_uring() {
            return;
        }
        let before = handles();
        for errno in [libc::EPERM, libc::ENOSYS] {
            refused(libc::SYS_io_uring_enter, None, errno, || {
                is_told(&open("uring", &Config::new()).expect_err("it is refused"), "io_uring_enter");
                whatever_is_left(open_any(&Config::new()), "io_uring_enter");
            });
        }
        assert_eq!(handles(), before);
    });
}

/// [async-backends 6] Without registration there is neither a probe nor a ring that starts disabled: creation finds a way
/// without, or says why not; what it has made can be bound.
#[test]
fn a_filter_refuses_to_register() {
    in_child("a_filter_refuses_to_register", &[], || {
        if !has_uring() {
            return;
        }
        let before = handles();
        for errno in [libc::EPERM, libc::ENOSYS, libc::EINVAL] {
            refused(libc::SYS_io_uring_register, None, errno, || match open("uring", &Config::new()) {
                Ok(proactor) => {
                    println!("told: {}", proactor.handle().describe());
                    works(proactor.into_poller().expect("what was made can be bound"));
                }
                Err(status) => is_told(&status, "io_uring"),
            });
        }
        assert_eq!(handles(), before);
    });
}

/// [async-backends 2] [async-backends 6] What a filter keeps from being done is not told of as a capability, and nothing
/// else is missing: capabilities are found by trying.
#[test]
fn what_is_refused_is_no_capability() {
    in_child("what_is_refused_is_no_capability", &[], || {
        if !has_uring() {
            return;
        }
        let of = |opened: Result<Proactor>| opened.map(|proactor| proactor.handle().capabilities());
        let all = of(open("uring", &Config::new())).expect("it was there before");
        let of_groups = Capabilities::MULTISHOT
            | Capabilities::PROVIDED_BUFFERS
            | Capabilities::RECEIVE_BUNDLES
            | Capabilities::INCREMENTAL_BUFFERS;
        let of_sends = Capabilities::ZERO_COPY_SEND | Capabilities::ZERO_COPY_REPORT;
        // The number of the registration is its second argument.
        for (call, argument, missing) in [
            (
                libc::SYS_io_uring_register,
                Some((1, 0)),
                Capabilities::REGISTERED_BUFFERS | Capabilities::DMABUF,
            ),
            (libc::SYS_io_uring_register, Some((1, 22)), of_groups),
            // Taking a table of files away, putting one in, and making one.
            (libc::SYS_io_uring_register, Some((1, 3)), Capabilities::FIXED_FILES),
            (libc::SYS_io_uring_register, Some((1, 6)), Capabilities::FIXED_FILES),
            (libc::SYS_io_uring_register, Some((1, 13)), Capabilities::FIXED_FILES),
            (libc::SYS_socketpair, None, of_groups | of_sends | Capabilities::FIXED_FILES),
        ] {
            let found = refused(call, argument, libc::EPERM, move || of(open("uring", &Config::new())));
            assert_eq!(found.expect("the ring works without"), all - missing);
        }
    });
}

/// [async-backends 7] No eventfd for the wake, no memory for the rings: unavailable, and nothing is left open.
#[test]
fn a_part_of_the_creation_is_refused() {
    in_child("a_part_of_the_creation_is_refused", &[], || {
        if !has_uring() {
            return;
        }
        let before = handles();
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM] {
            refused(libc::SYS_eventfd2, None, errno, || {
                is_told(&open("uring", &Config::new()).expect_err("it is refused"), "eventfd");
            });
        }
        // The offsets under which a ring maps its entries and its queues.
        for offset in [0x1000_0000, 0x800_0000] {
            refused(libc::SYS_mmap, Some((5, offset)), libc::ENOMEM, move || {
                match open("uring", &Config::new()) {
                    Err(status) => is_told(&status, "memory"),
                    // Newer kernels map both queues at once.
                    Ok(_) => assert_eq!(offset, 0x800_0000),
                }
            });
        }
        assert_eq!(handles(), before);
    });
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: see the header.
    let outcome = unsafe { libc::setrlimit(resource, &raw const limit) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

/// [async-backends 4] [async-backends 7] At each number of handles that are left: unavailable, or it works; nothing leaks.
#[test]
fn handles_run_out() {
    in_child("handles_run_out", &[], || {
        if !has_uring() {
            return;
        }
        let before = handles();
        // The folder that is read to count is not open any more.
        let used = before as u64 - 1;
        let mut refusals = 0;
        let hard = used + 16;
        limit(libc::RLIMIT_NOFILE, hard);
        for left in 0..8 {
            let soft = libc::rlimit { rlim_cur: used + left, rlim_max: hard };
            // SAFETY: see the header.
            let outcome = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const soft) };
            assert_eq!(outcome, 0);
            match open("uring", &Config::new()) {
                Ok(proactor) => works(proactor.into_poller().expect("it was just opened")),
                Err(status) => {
                    is_told(&status, "");
                    refusals += 1;
                }
            }
        }
        assert!((1..8).contains(&refusals), "{refusals}");
        assert_eq!(handles(), before);
    });
}

/// [async-backends 8] Somebody without privileges who may lock no memory, or little: it works, or says why not in one
/// line.
#[test]
fn memory_may_not_be_locked() {
    in_child("memory_may_not_be_locked", &[], || {
        // Whoever may lock as much as they like has no limit.
        // SAFETY: takes numbers only.
        let is_root = unsafe { libc::geteuid() } == 0;
        for bytes in [64 << 10, 0] {
            limit(libc::RLIMIT_MEMLOCK, bytes);
            if is_root && bytes == 64 << 10 {
                // SAFETY: takes numbers only.
                let outcome = unsafe { libc::setresuid(65_534, 65_534, 65_534) };
                assert_eq!(outcome, 0);
            }
            match open("uring", &Config::new()) {
                Ok(proactor) => works(proactor.into_poller().expect("it was just opened")),
                Err(status) => is_told(&status, ""),
            }
            match open_any(&Config::new()) {
                Ok(proactor) => works(proactor.into_poller().expect("it was just opened")),
                Err(status) => is_told(&status, "uring"),
            }
        }
    });
}

/// [async-backends 31] The system takes no calls any more, in the middle of everything: the poll says so, once for each
/// poll, and the end ends.
#[test]
fn a_ring_that_breaks_says_so() {
    in_child("a_ring_that_breaks_says_so", &[], || {
        if !has_uring() {
            return;
        }
        let thread = std::thread::spawn(|| {
            let mut poller = open("uring", &Config::new()).expect("not yet").into_poller().expect("not yet");
            works(open("uring", &Config::new()).expect("not yet").into_poller().expect("not yet"));
            deny(libc::SYS_io_uring_enter, None, libc::EBADF);
            poller.handle().submit(Nop).expect("there is room");
            let start = Instant::now();
            for _ in 0..3 {
                let status = poller.poll(Deadline::after(Duration::from_secs(10))).expect_err("it is broken");
                assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
            }
            // What no kernel is needed for goes on.
            drop(poller);
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        });
        thread.join().expect("no panic");
    });
}

/// [async 1] [async-backends 1] Where the kernel says that it has io_uring, and gives one to whoever asks, the proactor has
/// it too, and all of its configurations.
#[test]
fn what_the_kernel_has_is_found() {
    in_child("what_the_kernel_has_is_found", &[], || {
        let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        let is_enabled = disabled.is_ok_and(|text| text.trim() == "0");
        let mut parameters = [0_u8; 120];
        // SAFETY: 120 zero bytes are the parameters of a ring without flags, and are written to.
        let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) };
        if !is_enabled || ring < 0 {
            println!("skipped: the kernel has none, or does not say so");
            return;
        }
        // SAFETY: the handle was made here.
        unsafe { libc::close(ring as i32) };
        assert_eq!(open_any(&Config::new()).expect("it is there").handle().describe().backend, "uring");
        for subject in
            [subject::uring(), subject::uring_minimal(), subject::uring_tiny(), subject::uring_rung_5()]
        {
            assert_eq!(subject.why_missing(), None, "{}", subject.name);
        }
    });
}

/// [async-backends 16] The variable names one backend and no other is tried; a name that means nothing says what there is.
#[test]
fn a_variable_names_the_backend() {
    in_child("a_variable_names_the_backend", &[(BACKEND_VARIABLE, OsStr::new("null"))], || {
        let proactor = open_any(&Config::new()).expect("it needs nothing");
        assert_eq!(proactor.handle().describe().backend, "null");
    });
}

/// The variable is refused in a line that names it, and what it says.
fn names_nothing(what: &str) {
    let status = open_any(&Config::new()).expect_err("there is none");
    println!("told: {status}");
    assert_eq!(status.code(), Code::InvalidArgument);
    let text = status.to_string();
    assert!(text.contains(what) && text.contains(BACKEND_VARIABLE) && !text.contains('\n'), "{text}");
}

/// [async-backends 16]
#[test]
fn a_variable_that_names_nothing_is_refused() {
    let name = OsStr::new("pigeons");
    in_child("a_variable_that_names_nothing_is_refused", &[(BACKEND_VARIABLE, name)], || {
        names_nothing("pigeons");
    });
}

/// [async-backends 16] Nor does what is no text pass for a variable that is not set.
#[test]
fn a_variable_that_is_no_text_is_refused() {
    let name = OsStr::from_bytes(b"uring\xff\n");
    in_child("a_variable_that_is_no_text_is_refused", &[(BACKEND_VARIABLE, name)], || {
        names_nothing("uring\\xFF\\n");
    });
}

/// [async-backends 4] The variable asks for what is refused: nothing else is opened instead.
#[test]
fn a_variable_that_names_what_is_refused() {
    in_child("a_variable_that_names_what_is_refused", &[(BACKEND_VARIABLE, OsStr::new("uring"))], || {
        refused(libc::SYS_io_uring_setup, None, libc::EPERM, || {
            let status = open_any(&Config::new()).expect_err("it is refused");
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.to_string().contains(BACKEND_VARIABLE), "{status}");
        });
    });
}

/// [async-backends 236] A program that is started inherits no handle of a proactor.
#[test]
fn other_programs_inherit_nothing() {
    in_child("other_programs_inherit_nothing", &[], || {
        let mut poller = match open_any(&Config::new()) {
            Ok(proactor) => proactor.into_poller().expect("it was just opened"),
            Err(status) => return println!("skipped: {status}"),
        };
        let event = weft_io::Event::new().expect("there are handles left");
        let list = |whose: &str| {
            let output = Command::new("ls").args(["-l", whose]).output().expect("there is an ls");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let own = list(&format!("/proc/{}/fd", std::process::id()));
        assert!(own.contains("eventfd"), "{own}");
        let theirs = list("/proc/self/fd");
        assert!(!theirs.contains("eventfd") && !theirs.contains("io_uring"), "{theirs}");
        drop(event);
        poll_dry(&mut poller);
    });
}

/// A line for each backend that was refused, in order.
fn refused_before(proactor: &Proactor, names: &[&str]) {
    let refused = &proactor.handle().describe().refused;
    assert_eq!(refused.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    refused.iter().for_each(|(_, why)| is_told(why, ""));
}

/// Events, sockets and files, whichever backend it is.
fn works_with_handles(mut poller: Poller) {
    let handle = poller.handle().clone();
    let (event, text) = (Event::new().expect("there are handles left"), b"seven b".as_slice());
    let pair = UnixStream::pair().expect("there are handles left");
    let [here, there] = <[UnixStream; 2]>::from(pair)
        .map(|end| Socket::import(end.into(), SocketKind::UnixStream, false).expect("it is one"));
    let outcome = poller.block_on(async {
        let wait = handle.run(EventWait { event: event.clone() });
        event.set();
        wait.await.result?;
        handle.run(weft_io::ops::Send::new(here, text)).await.result?;
        let received = handle.run(Recv::new(there, vec![0; 7])).await;
        received.result?;
        assert_eq!(received.operation.into_params().target, text);
        let open = FileOpen::new("/proc/self/stat", FileFlags::READ);
        let file = handle.run(open).await.result?;
        handle.run(FileRead::new(file, 0, vec![0; 1])).await.result
    });
    assert_eq!(outcome.expect("it is polled").expect("nothing fails"), 1);
    works(poller);
}

/// [async 11] [async-backends 4] Where io_uring is filtered, epoll is opened; where epoll is, too, `poll`; where nothing is
/// left, one line names all of it. What is opened carries everything.
#[test]
fn what_is_left_is_opened() {
    in_child("what_is_left_is_opened", &[], || {
        let before = handles();
        for errno in [libc::EPERM, libc::ENOSYS] {
            refused(libc::SYS_io_uring_setup, None, errno, move || {
                let proactor = open_any(&Config::new()).expect("there is epoll");
                assert_eq!(proactor.handle().describe().backend, "epoll");
                refused_before(&proactor, &["uring"]);
                works_with_handles(proactor.into_poller().expect("it was just opened"));
                deny(libc::SYS_epoll_create1, None, errno);
                let proactor = open_any(&Config::new()).expect("there is poll");
                assert_eq!(proactor.handle().describe().backend, "poll");
                refused_before(&proactor, &["uring", "epoll"]);
                works_with_handles(proactor.into_poller().expect("it was just opened"));
                deny(libc::SYS_ppoll, None, errno);
                let nothing = open_any(&Config::new()).expect_err("nothing is left");
                ["uring", "epoll", "poll"].iter().for_each(|name| is_told(&nothing, name));
            });
        }
        // The one that takes the place of closed handles stays for good.
        assert!(handles() <= before + 1);
    });
}

/// [async-backends 4] [async-backends 16] Each can be asked for by name, and then nothing else is opened; kqueue is not of
/// this system.
#[test]
fn readiness_is_asked_for_by_name() {
    for name in ["epoll", "poll"] {
        in_child("readiness_is_asked_for_by_name", &[(BACKEND_VARIABLE, OsStr::new(name))], || {
            let name = std::env::var(BACKEND_VARIABLE).expect("it was set");
            let proactor = open_any(&Config::new()).expect("it needs nothing special");
            assert_eq!(proactor.handle().describe().backend, name);
            refused_before(&proactor, &[]);
            works_with_handles(proactor.into_poller().expect("it was just opened"));
            is_told(&open("kqueue", &Config::new()).expect_err("it is of other systems"), "kqueue");
        });
    }
}

/// [async-backends 19] [async-backends 35] A kernel, or a filter, without limits in nanoseconds: waits are not shorter than
/// asked for, and do not spin.
#[test]
fn limits_are_rounded_where_they_must_be() {
    in_child("limits_are_rounded_where_they_must_be", &[], || {
        for errno in [libc::ENOSYS, libc::EPERM] {
            refused(libc::SYS_epoll_pwait2, None, errno, || {
                let proactor = open("epoll", &Config::new()).expect("it is not needed");
                assert!(proactor.handle().describe().details.contains("milliseconds"));
                let mut poller = proactor.into_poller().expect("it was just opened");
                let (start, before) = (Instant::now(), processor_time());
                for _ in 0..50 {
                    let deadline = Instant::now() + Duration::from_micros(900);
                    let nothing = poller.poll(Deadline::after(Duration::from_micros(900)));
                    assert_eq!(nothing.expect_err("nothing ends").code(), Code::DeadlineExceeded);
                    assert!(Instant::now() >= deadline);
                }
                let (used, passed) = (processor_time() - before, start.elapsed());
                assert!(used < passed / 3, "{used:?} of {passed:?}");
                works_with_handles(poller);
            });
        }
    });
}

/// What this thread has used.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: see the header.
    let outcome = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(outcome, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// [async-backends 7] [async-backends 210] No handle for the wake, or for the set, or fewer and fewer at all: unavailable,
/// and nothing is left open.
#[test]
fn handles_run_out_for_readiness() {
    in_child("handles_run_out_for_readiness", &[], || {
        let before = handles();
        for name in ["epoll", "poll"] {
            refused(libc::SYS_eventfd2, None, libc::EMFILE, move || {
                is_told(&open(name, &Config::new()).expect_err("it has no wake"), "eventfd");
            });
        }
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM] {
            refused(libc::SYS_epoll_create1, None, errno, || {
                is_told(&open("epoll", &Config::new()).expect_err("it is refused"), "epoll");
            });
            refused(libc::SYS_epoll_ctl, None, errno, || {
                is_told(&open("epoll", &Config::new()).expect_err("it is refused"), "epoll");
            });
        }
        let used = before as u64 - 1;
        for name in ["epoll", "poll"] {
            let mut refusals = 0;
            // There may be gaps below the number that is the limit.
            for left in 0..8 {
                let soft = libc::rlimit { rlim_cur: (used + left).saturating_sub(4), rlim_max: 1024 };
                // SAFETY: see the header.
                let outcome = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const soft) };
                assert_eq!(outcome, 0);
                match open(name, &Config::new()) {
                    Ok(proactor) => works(proactor.into_poller().expect("it was opened")),
                    Err(status) => {
                        is_told(&status, "");
                        refusals += 1;
                    }
                }
            }
            assert!((1..8).contains(&refusals), "{name}: {refusals}");
        }
        let soft = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
        // SAFETY: see the header.
        let outcome = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const soft) };
        assert_eq!(outcome, 0);
        assert_eq!(handles(), before);
    });
}

/// [async-backends 31] Waiting is refused in the middle of everything: each poll says so, and the end ends.
#[test]
fn a_set_that_breaks_says_so() {
    in_child("a_set_that_breaks_says_so", &[], || {
        for (name, call) in [("epoll", libc::SYS_epoll_pwait2), ("poll", libc::SYS_ppoll)] {
            let thread = std::thread::spawn(move || {
                let mut poller = open(name, &Config::new()).expect("not yet").into_poller().expect("not yet");
                let event = Event::new().expect("there are handles left");
                deny(call, None, libc::EBADF);
                poller.handle().submit(EventWait { event }).expect("there is room");
                let start = Instant::now();
                for _ in 0..3 {
                    let status =
                        poller.poll(Deadline::after(Duration::from_secs(10))).expect_err("it is broken");
                    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
                }
                drop(poller);
                assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
            });
            thread.join().expect("no panic");
        }
    });
}

/// How many handles there may be from now on; more can be allowed again.
fn allow_handles(count: u64) {
    let soft = libc::rlimit { rlim_cur: count, rlim_max: 1024 };
    // SAFETY: see the header.
    let outcome = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const soft) };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
}

/// Nothing ends before the deadline, and hardly any time of the processor is used until then.
fn sleeps(poller: &mut Poller) {
    let (start, before) = (Instant::now(), processor_time());
    let nothing = poller.poll(Deadline::after(Duration::from_millis(200)));
    assert_eq!(nothing.expect_err("nothing ends").code(), Code::DeadlineExceeded);
    let (used, passed) = (processor_time() - before, start.elapsed());
    assert!(passed >= Duration::from_millis(200) && used < passed / 4, "{used:?} of {passed:?}");
}

/// [async-backends 31] [async-backends 203] More handles are watched than the process may have open by now, which `poll(2)`
/// refuses to wait for: whatever is ready is told, a wake wakes, and waiting takes no time of the processor. Where not one
/// may be waited for, each poll says so; as soon as there may be more, it goes on.
#[test]
fn more_handles_are_watched_than_may_be_open() {
    in_child("more_handles_are_watched_than_may_be_open", &[], || {
        for name in ["poll", "epoll", "uring"] {
            allow_handles(1024);
            let Ok(proactor) = open(name, &Config::new()) else { continue };
            let mut poller = proactor.into_poller().expect("it was just opened");
            let handle = poller.handle().clone();
            let events: Vec<Event> = (0..60).map(|_| Event::new().expect("there are handles left")).collect();
            let wait = |event: &Event| {
                handle.submit(EventWait { event: event.clone() }).expect("there is room");
            };
            events.iter().for_each(wait);
            poll_dry(&mut poller);
            for limit in [20, 7, 1] {
                allow_handles(limit);
                sleeps(&mut poller);
                for event in [&events[0], &events[59], &events[30]] {
                    event.set();
                    assert_eq!(poller.poll(subject::soon()).expect("it is told"), 1, "{name}");
                    wait(event);
                }
                std::thread::scope(|scope| {
                    for wakes in [false, true] {
                        let (last, waker) = (&events[58], handle.clone());
                        scope.spawn(move || {
                            std::thread::sleep(Duration::from_millis(30));
                            if wakes { waker.wake() } else { last.set() }
                        });
                        assert_eq!(poller.poll(subject::soon()).expect("it is told"), usize::from(!wakes));
                    }
                });
                wait(&events[58]);
            }
            allow_handles(0);
            if name == "poll" {
                let why = poller.poll(subject::soon()).expect_err("nothing may be waited for");
                assert_eq!(why.code(), Code::ResourceExhausted, "{why}");
            } else {
                sleeps(&mut poller);
            }
            allow_handles(1024);
            events.iter().for_each(Event::set);
            let mut ended = 0;
            while ended < 60 {
                ended += poller.poll(subject::soon()).expect("it is told");
            }
            events.iter().for_each(wait);
            poll_dry(&mut poller);
            // The end ends, too.
            allow_handles(0);
            drop(poller);
        }
        allow_handles(1024);
    });
}
