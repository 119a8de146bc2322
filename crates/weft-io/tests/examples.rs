//! The examples do what they say, on this machine's own backend.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "its main is not called")]
#[path = "../examples/copy.rs"]
mod copy;
#[allow(dead_code, reason = "its main is not called")]
#[path = "../examples/echo.rs"]
mod echo;
#[allow(dead_code, reason = "its main is not called")]
#[path = "../examples/pipeline.rs"]
mod pipeline;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use weft_io::{Config, open_any};
use weft_sync::Code;

/// A file that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        Place(std::env::temp_dir().join(format!("weft-example-{}-{name}", std::process::id())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn copy_copies() {
    let (from, to) = (Place::new("from"), Place::new("to"));
    let mut poller = open_any(&Config::new()).unwrap().into_poller().unwrap();
    let handle = poller.handle().clone();
    for length in [5_000_001, 100_000, 1, 0] {
        let content: Vec<u8> = (0..length).map(|index: u64| (index / 3) as u8).collect();
        std::fs::write(&from.0, &content).unwrap();
        let copied = poller.block_on(copy::copy(&handle, &from.0, &to.0)).unwrap();
        assert_eq!(copied.unwrap(), length);
        assert!(std::fs::read(&to.0).unwrap() == content, "{length} bytes");
    }
    let missing =
        poller.block_on(copy::copy(&handle, Path::new("/nowhere/at/all"), &to.0)).unwrap().unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.to_string().contains("/nowhere/at/all"), "{missing}");
}

/// What would lose a file, or copy nothing of one, is refused before anything is opened.
#[test]
fn copy_refuses_what_it_cannot_copy() {
    let (from, link, to) = (Place::new("itself"), Place::new("link"), Place::new("nothing"));
    std::fs::write(&from.0, "text").unwrap();
    std::fs::hard_link(&from.0, &link.0).unwrap();
    let mut poller = open_any(&Config::new()).unwrap().into_poller().unwrap();
    let handle = poller.handle().clone();
    let (null, list) = (Path::new("/dev/null"), Path::new("/proc/cpuinfo"));
    for (source, target) in
        [(&*from.0, &*from.0), (&from.0, &link.0), (list, &to.0), (null, &to.0), (&from.0, null)]
    {
        let refused = poller.block_on(copy::copy(&handle, source, target)).unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{}: {refused}", source.display());
    }
    assert_eq!(std::fs::read(&from.0).unwrap(), b"text");
    assert!(!to.0.exists());
}

#[test]
fn echo_echoes() {
    let (tell, told) = channel();
    // It serves for as long as the process lives.
    std::thread::spawn(move || {
        echo::serve("127.0.0.1:0", move |address| tell.send(address.to_string()).unwrap())
    });
    let address = told.recv().unwrap();
    let mut streams: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for round in 0..3 {
        for stream in &mut streams {
            let text = vec![round; 10_000];
            stream.write_all(&text).unwrap();
            let mut back = vec![0; text.len()];
            stream.read_exact(&mut back).unwrap();
            assert!(back == text);
        }
    }
}

/// A file goes through, piece by piece, in order.
#[test]
fn pipeline_sends_all_of_a_file() {
    let from = Place::new("text");
    let text: String = (0..30_000).map(|index| format!("line {index}, ")).collect();
    std::fs::write(&from.0, &text).unwrap();
    assert!(pipeline::run(&from.0).unwrap() == text.to_ascii_uppercase().into_bytes());
}

/// What cannot be submitted whole is refused at once.
#[test]
fn pipeline_refuses_what_is_too_long() {
    let from = Place::new("long");
    std::fs::File::create(&from.0).unwrap().set_len(((4000 * 64) << 10) + 1).unwrap();
    assert_eq!(pipeline::run(&from.0).unwrap_err().code(), Code::OutOfRange);
}

/// What is no ordinary file is refused before anybody opens it, and what is not there by name.
#[test]
fn pipeline_refuses_what_it_cannot_send() {
    let pipe = Place::new("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe.0, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for refused in [&*pipe.0, Path::new("/dev/zero"), Path::new("/proc/self/maps"), Path::new("/")] {
        let why = pipeline::run(refused).unwrap_err();
        assert_eq!(why.code(), Code::InvalidArgument, "{}: {why}", refused.display());
    }
    let missing = pipeline::run(Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.to_string().contains("/nowhere/at/all"), "{missing}");
    // One that is empty has nothing to send, and is sent whole.
    let empty = Place::new("empty");
    std::fs::write(&empty.0, "").unwrap();
    assert!(pipeline::run(&empty.0).unwrap().is_empty());
}
