//! Sends a file through a kernel to a peer: `cargo run -p weft-io --example pipeline -- FILE`.
//!
//! All of it is submitted before any of it has run, so a file has 250 MiB at most. Each piece is a sequence: read, wait for its turn, send, give the turn
//! on. The pieces are read in any order, and several at once; a timeline puts them in order where that matters. The kernel
//! is a function here, which the sequence calls when its piece is there; one on a device would be a step that waits for
//! the device's own timeline.

use std::io::{ErrorKind, Read};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use weft_io::ops::{Connect, FileRead, SemaphoreSignal, SemaphoreWait, Send, Sequence, Step};
use weft_io::{Address, Config, File, Operation, Socket, SocketKind, SocketOptions, open_any};
use weft_sync::{Code, Deadline, Point, Result, Semaphore, Status, WhileDoing, bail};

/// Bytes of one piece.
const PIECE: u64 = 64 << 10;
/// Pieces of a file at most. Each has a slot of the proactor and a buffer from the beginning; a connect and a wait have one
/// more each.
const PIECES: u64 = 4000;

/// What the standard library failed with.
fn system(why: std::io::Error) -> Status {
    let code = match why.kind() {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        _ => Code::Unknown,
    };
    Status::new(code, why.to_string())
}

/// Refuses what has no size of its own: nothing of it would be sent. Before it is opened: the other end of a pipe would be
/// waited for.
fn refuse(path: &Path) -> Result<()> {
    let found = std::fs::metadata(path).map_err(system).while_doing(|| path.display().to_string())?;
    if !found.is_file() {
        bail!(InvalidArgument, "{} is no ordinary file", path.display());
    }
    // A special file that says that it is ordinary, and empty.
    let has_bytes = |mut file: std::fs::File| file.read(&mut [0]).is_ok_and(|count| count > 0);
    if found.len() == 0 && std::fs::File::open(path).is_ok_and(has_bytes) {
        bail!(InvalidArgument, "{} has bytes and no size", path.display());
    }
    Ok(())
}

fn kernel(bytes: &mut [u8]) {
    bytes.make_ascii_uppercase();
}

/// One piece from its read to its end.
fn piece(file: &File, socket: &Socket, turns: &Arc<Semaphore>, (index, length): (u64, usize)) -> Sequence {
    let turn = |value| [Point { semaphore: Arc::clone(turns), value }];
    let steps = vec![
        Step::new(FileRead::new(file.clone(), index * PIECE, vec![0; length])),
        Step::new(SemaphoreWait::all(turn(index))),
        // Empty until the bytes are there.
        Step::new(Send::new(socket.clone(), Vec::new())),
        Step::new(SemaphoreSignal::new(turn(index + 1))),
    ];
    let mut computed = Vec::new();
    Sequence::with_advance(steps, move |ended, next| {
        if let Some(count) = ended.take_output::<FileRead<Vec<u8>>>() {
            if count < length {
                bail!(DataLoss, "piece {index} has {count} bytes instead of {length}");
            }
            let read = ended.params_mut::<FileRead<Vec<u8>>>().expect("it gave the output");
            computed = std::mem::take(&mut read.target);
            kernel(&mut computed);
        }
        if let Some(send) = next.and_then(|next| next.params_mut::<Send<Vec<u8>>>()) {
            send.source = std::mem::take(&mut computed);
        }
        Ok(())
    })
}

/// Sends it; what the peer got.
pub fn run(path: &Path) -> Result<Vec<u8>> {
    refuse(path)?;
    let file = std::fs::File::open(path).map_err(system)?;
    let file = File::try_from(file)?;
    let size = file.size()?;
    if size > PIECES * PIECE {
        bail!(OutOfRange, "{size} bytes are more than the {} that are submitted at once", PIECES * PIECE);
    }
    // The peer, which says what it got.
    let peer = TcpListener::bind("127.0.0.1:0").map_err(system)?;
    let port = peer.local_addr().map_err(system)?.port();
    let peer = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.accept().and_then(|(mut stream, _)| stream.read_to_end(&mut bytes)).map(|_| bytes)
    });

    let mut poller = open_any(&Config::new())?.into_poller()?;
    let handle = poller.handle().clone();
    let socket = Socket::new(SocketKind::Tcp, SocketOptions::empty())?;
    let turns = Arc::new(Semaphore::new(0));
    let connect = Connect::new(socket.clone(), Address::ipv4("127.0.0.1", port)?);
    handle.submit(connect).map_err(|refused| refused.why)?;
    for index in 0..size.div_ceil(PIECE) {
        let length = PIECE.min(size - index * PIECE) as usize;
        let failed = Arc::clone(&turns);
        let piece = Operation::new(piece(&file, &socket, &turns, (index, length))).on_done(move |done| {
            // Those behind it wait for a turn that will not come: they get the reason.
            if let Err(why) = done.result {
                failed.fail(why);
            }
        });
        handle.submit(piece).map_err(|refused| refused.why)?;
    }
    drop(socket);

    // Nothing has run until here.
    let all = SemaphoreWait::all([Point { semaphore: turns, value: size.div_ceil(PIECE) }]);
    poller.block_on(handle.run(all))?.result?;
    while poller.under_way() > 0 {
        poller.poll(Deadline::NEVER)?;
    }
    peer.join().expect("it does not panic").map_err(system)
}

fn main() -> Result<()> {
    let Some(path) = std::env::args_os().nth(1) else { bail!(InvalidArgument, "pipeline FILE") };
    let bytes = run(path.as_ref())?;
    let first = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
    println!("{} bytes came out: {first:?} …", bytes.len());
    Ok(())
}
