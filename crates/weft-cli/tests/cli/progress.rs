//! Progress of long work, as a terminal gets it.
//!
//! The terminal is a real one: a pair of devices of the system, of which the program under test gets one end.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::program::{Folder, command, wait, weft};

const CLEAR: &str = "\r\u{1b}[K";

/// What a program writes to standard error, which is a terminal of this width, and to standard output, which is none.
fn on_terminal(command: &mut Command, columns: u16) -> (String, String) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&controller, size).unwrap();
    let path = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(path).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(terminal).spawn().unwrap();
    // The command keeps a copy of what it gave away, and the terminal ends with the last of them.
    command.stderr(Stdio::null());
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        text
    });
    let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
    let mut controller = File::from(controller);
    loop {
        match controller.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => seen.extend(&piece[..count]),
            // Nobody has the other end any more.
            Err(error) if error.raw_os_error() == Some(5) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(wait(&mut child), Some(0));
    (String::from_utf8(seen).unwrap(), reader.join().unwrap())
}

/// An archive with a pattern of so many mebibytes, whose checksum takes its time.
fn archive(folder: &Folder, name: &str, mebibytes: u64) -> String {
    let path = folder.path(name);
    let splat = format!("--splat=p={}xi8=7", mebibytes << 20);
    weft(&["params", "create", &splat, "--quiet", &format!("--output={path}")]).success();
    path
}

/// As many mebibytes as this machine takes two seconds for, at most a few more.
fn slow_mebibytes(folder: &Folder) -> u64 {
    let mut mebibytes = 4;
    loop {
        let path = archive(folder, "trial.irpa", mebibytes);
        let begun = std::time::Instant::now();
        weft(&["params", "dump", "--checksums", &path]).success();
        let seconds = begun.elapsed().as_secs_f64();
        if seconds > 0.5 {
            return (mebibytes as f64 / seconds * 2.0) as u64;
        }
        mebibytes *= 4;
    }
}

fn dump(path: &str) -> Command {
    let mut command = command(&["params", "dump", "--checksums", path]);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    command
}

/// One line that is rewritten, with bytes, total and rate; it never wraps, and it is gone at the end. Results are the same.
#[test]
fn a_terminal_sees_progress_that_goes_away() {
    let folder = Folder::new();
    let mebibytes = slow_mebibytes(&folder);
    let path = archive(&folder, "slow.irpa", mebibytes);
    let expected = weft(&["params", "dump", "--checksums", &path]);
    assert_eq!(expected.err, "", "nothing where standard error is no terminal");
    for columns in [120, 30] {
        let (seen, out) = on_terminal(&mut dump(&path), columns);
        assert_eq!(out, expected.out);
        assert!(seen.ends_with(CLEAR), "the line is gone at the end: {seen:?}");
        let lines: Vec<&str> = seen.split(CLEAR).collect();
        // Before the first and after the last nothing stands.
        assert!(lines.len() >= 4 && lines[0].is_empty(), "{seen:?}");
        for line in &lines[1..lines.len() - 1] {
            assert!(line.len() < usize::from(columns), "{line:?}");
            assert!(!line.contains(['\n', '\r', '\u{1b}']), "{line:?}");
            assert!(line.contains(&format!(" of {mebibytes} MiB, ")), "{line:?}");
            assert_eq!(
                line.starts_with("reading p: ") && line.contains(" MiB/s"),
                columns == 120,
                "{line:?}"
            );
        }
        let mut coloured = dump(&path);
        coloured.env("NO_COLOR", "1");
        let (seen, _) = on_terminal(&mut coloured, columns);
        assert!(!seen.contains("[3") && !seen.contains("[1"), "no colours: {seen:?}");
    }
    for term in ["dumb", ""] {
        let (seen, out) = on_terminal(dump(&path).env("TERM", term), 120);
        assert_eq!((seen.as_str(), out), ("", expected.out.clone()), "TERM={term}");
    }
}

/// What ends soon shows nothing, nor does what was asked to be quiet.
#[test]
fn short_and_quiet_work_shows_nothing() {
    let folder = Folder::new();
    let path = archive(&folder, "short.irpa", 1);
    assert_eq!(on_terminal(&mut dump(&path), 120).0, "");
    // Written out, the pattern takes as long as the disk takes, which may be long enough for progress.
    let path = archive(&folder, "long.irpa", 64);
    let output = format!("--output={}", folder.path("long.gguf"));
    let mut convert = command(&["params", "convert", &path, "--quiet", &output]);
    convert.env("TERM", "xterm");
    assert_eq!(on_terminal(&mut convert, 120), (String::new(), String::new()));
    assert!(fs::metadata(folder.path("long.gguf")).unwrap().len() > 64 << 20);
}
