//! Files that are none on a disk: terminals, and what the system makes up when it is read.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use weft_io::ops::{FileFlags, FileOpen, FileRead, FileWrite};
use weft_io::{File, Params, Poller};
use weft_sync::{Code, Result};

use super::subject::{IoCaps, IoSubject};

crate::cases! { $ FILE_SPECIAL for_each_io_file_special_case of IoSubject {
    terminals_are_streams: IoCaps::KERNEL;
    made_up_files_refuse_as_others_do: IoCaps::KERNEL;
    opened_files_are_waited_for: IoCaps::KERNEL;
} }

fn run<P: Params>(poller: &mut Poller, operation: P) -> Result<P::Output> {
    let handle = poller.handle().clone();
    poller.block_on(handle.run(operation)).expect("the kernel polls").result
}

fn open(poller: &mut Poller, path: impl AsRef<Path>, flags: FileFlags) -> File {
    run(poller, FileOpen::new(path, flags)).expect("it can be opened")
}

/// A terminal has no places: what is written to it, at whatever place, goes where it goes, and what it says is read, of one
/// piece and of two.
pub fn terminals_are_streams(subject: &IoSubject) {
    let mut poller = subject.open();
    let handle = poller.handle().clone();
    // The far end of a terminal; what comes from there is echoed, with a carriage return.
    let terminal = open(&mut poller, "/dev/ptmx", FileFlags::READ | FileFlags::WRITE);
    for (place, text) in [(0, "one\n"), (5, "two\n"), (1 << 40, "three\n")] {
        let (head, tail) = text.as_bytes().split_at(1);
        let write = FileWrite::new(terminal.clone(), place, [head.to_vec(), tail.to_vec()]);
        assert_eq!(run(&mut poller, write).expect("it can be written"), text.len());
        let (mut echo, expected) = (Vec::<u8>::new(), text.replace('\n', "\r\n").into_bytes());
        while echo.len() < expected.len() {
            let read = FileRead::new(terminal.clone(), place, vec![0; 100]);
            let done = poller.block_on(handle.run(read)).expect("the kernel polls");
            let count = done.result.expect("there is an echo");
            echo.extend(&done.operation.into_params().target[..count]);
        }
        assert_eq!(echo, expected, "at {place}");
    }
}

/// A write to what was opened to be read is refused in one way, whatever the file.
pub fn made_up_files_refuse_as_others_do(subject: &IoSubject) {
    let mut poller = subject.open();
    // What a process has mapped is told by an emulator in a file of its own, which is another.
    for path in ["/proc/self/status", "/proc/self/exe", "/dev/zero"] {
        let file = open(&mut poller, path, FileFlags::READ);
        let why = run(&mut poller, FileWrite::new(file, 0, b"no".to_vec())).expect_err("it is to be read");
        assert_eq!(why.code(), Code::FailedPrecondition, "{path}: {why}");
    }
}

/// What was opened does not say "not now" to whoever reads it, as the system's own record does while it is empty.
pub fn opened_files_are_waited_for(subject: &IoSubject) {
    let mut poller = subject.open();
    for path in ["/proc/self/maps", "/proc/self/exe", "/dev/zero"] {
        let file = open(&mut poller, path, FileFlags::READ);
        let number = file.as_fd().as_raw_fd();
        let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).expect("it is open");
        let flags = told.lines().find_map(|line| line.strip_prefix("flags:")).expect("it has some");
        let flags = i32::from_str_radix(flags.trim(), 8).expect("a number");
        assert_eq!(flags & libc::O_NONBLOCK, 0, "{path}: {told}");
    }
}
