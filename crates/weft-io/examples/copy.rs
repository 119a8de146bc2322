//! Copies a file: `cargo run -p weft-io --example copy -- FROM TO`.
//!
//! Several pieces are under way at once, each with a buffer of its own that is read into and written from again and again.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;
use weft_io::ops::{FileClose, FileFlags, FileOpen, FileRead, FileSync, FileWrite};
use weft_io::{Config, File, Handle, Part, open_any};
use weft_sync::{Result, WhileDoing, bail};

/// Bytes of one piece.
const PIECE: usize = 256 << 10;
/// Pieces under way.
const LANES: usize = 8;

/// Copies every so manieth piece. Both transfers may be shorter than asked for, so both go on until they are done.
async fn copy_lane(
    handle: &Handle,
    (from, to): (&File, &File),
    lane: usize,
    told: &dyn Fn(usize),
) -> Result<()> {
    let size = from.size()?;
    let mut buffer = vec![0; PIECE];
    for place in (lane as u64 * PIECE as u64..size).step_by(LANES * PIECE) {
        let length = PIECE.min((size - place) as usize);
        let mut read = 0;
        while read < length {
            let rest = Part::new(buffer, read..length)?;
            let done = handle.run(FileRead::new(from.clone(), place + read as u64, rest)).await;
            match done.result.while_doing(|| format!("reading at {place}"))? {
                0 => bail!(DataLoss, "the file has become shorter than {size} bytes"),
                count => read += count,
            }
            buffer = done.operation.into_params().target.into_inner();
        }
        let mut written = 0;
        while written < length {
            let rest = Part::new(buffer, written..length)?;
            let done = handle.run(FileWrite::new(to.clone(), place + written as u64, rest)).await;
            written += done.result.while_doing(|| format!("writing at {place}"))?;
            buffer = done.operation.into_params().source.into_inner();
        }
        told(length);
    }
    Ok(())
}

/// Refuses what has no size of its own, and a file onto itself: opening the target empties it, and all would be lost.
fn refuse(from: &Path, to: &Path) -> Result<()> {
    let told = |path: &Path| std::fs::metadata(path).ok();
    // What cannot be found is refused in the words of whoever opens it.
    let Some(source) = told(from) else { return Ok(()) };
    if !source.is_file() {
        bail!(InvalidArgument, "{} is no ordinary file", from.display());
    }
    // A special file that says that it is ordinary, and empty.
    if source.len() == 0 && std::fs::File::open(from).is_ok_and(|mut file| has_bytes(&mut file)) {
        bail!(InvalidArgument, "{} has bytes and no size", from.display());
    }
    let Some(target) = told(to) else { return Ok(()) };
    if !target.is_file() {
        bail!(InvalidArgument, "{} is no ordinary file", to.display());
    }
    if (source.dev(), source.ino()) == (target.dev(), target.ino()) {
        bail!(InvalidArgument, "{} and {} are one file", from.display(), to.display());
    }
    Ok(())
}

fn has_bytes(file: &mut std::fs::File) -> bool {
    file.read(&mut [0]).is_ok_and(|count| count > 0)
}

/// Copies all of it, until it is on the device; how many bytes.
pub async fn copy(handle: &Handle, from: &Path, to: &Path) -> Result<u64> {
    refuse(from, to)?;
    let source = handle.run(FileOpen::new(from, FileFlags::READ)).await.result?;
    let flags = FileFlags::WRITE | FileFlags::CREATE | FileFlags::TRUNCATE;
    let target = handle.run(FileOpen::new(to, flags)).await.result?;
    let (size, copied) = (source.size()?, Cell::new(0));
    let is_shown = std::io::stderr().is_terminal();
    let told = |length: usize| {
        copied.set(copied.get() + length as u64);
        if is_shown {
            eprint!("\r{:3} %", copied.get() * 100 / size);
        }
    };
    all((0..LANES).map(|lane| copy_lane(handle, (&source, &target), lane, &told))).await?;
    handle.run(FileSync::new(target.clone(), false)).await.result?;
    handle.run(FileClose::new(target)).await.result?;
    Ok(copied.get())
}

/// Runs futures together until all have ended or one has failed; the others are dropped then, which cancels them.
async fn all(futures: impl Iterator<Item = impl Future<Output = Result<()>>>) -> Result<()> {
    let mut left: Vec<Pin<Box<_>>> = futures.map(Box::pin).collect();
    poll_fn(|context| {
        let mut failed = Ok(());
        left.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Ready(outcome) => {
                if failed.is_ok() {
                    failed = outcome;
                }
                false
            }
            Poll::Pending => true,
        });
        if failed.is_err() || left.is_empty() { Poll::Ready(failed) } else { Poll::Pending }
    })
    .await
}

fn main() -> Result<()> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let [from, to] = &paths[..] else { bail!(InvalidArgument, "copy FROM TO") };
    let mut poller = open_any(&Config::new())?.into_poller()?;
    let handle = poller.handle().clone();
    let start = Instant::now();
    let bytes = poller.block_on(copy(&handle, from.as_ref(), to.as_ref()))??;
    let seconds = start.elapsed().as_secs_f64();
    let line = format!("{bytes} bytes in {seconds:.3} s, {:.2} GB/s", bytes as f64 / seconds / 1e9);
    // A pipe that nobody reads is no reason to panic.
    drop(writeln!(std::io::stdout(), "{line}"));
    Ok(())
}
