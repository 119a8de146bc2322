//! Reading and writing at a place.

use super::{TRANSFER_MAX, Used};
use crate::Capabilities;
use crate::file::File;
use crate::frame::{Outline, Spans};
use crate::operation::{Params, sealed::Lower};
use crate::ops::{Body, Kind};
use crate::registration::Named;
use crate::span::{Source, Target};
use std::fmt;
use weft_sync::{Result, bail};

/// What a backend is told of a transfer: at most [`TRANSFER_MAX`] bytes, and nothing beyond the end of all places.
#[derive(Debug)]
pub struct Transfer<'a> {
    pub(crate) file: Named<'a>,
    /// Below 2⁶³.
    pub(crate) offset: u64,
    pub(crate) spans: Spans<'a>,
    /// It goes to the device, not to the system's cache.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "io_uring alone makes a difference"))]
    pub(crate) is_direct: bool,
}

/// Reads from a place in a file into memory: up to 8 pieces, filled in order. Ends with how many bytes were read.
///
/// That can be less than there is room for: at the end of the file, where it is 0; in one transfer, which moves
/// [`TRANSFER_MAX`](super::TRANSFER_MAX) bytes at most; and whenever the system feels like it. Whoever wants all of
/// something goes on behind what has come:
///
/// ```
/// use weft_io::{Config, File, Handle, Part, open_any, ops::FileRead};
/// use weft_sync::{Result, bail};
///
/// async fn read_exactly(handle: &Handle, file: &File, from: u64, length: usize) -> Result<Vec<u8>> {
///     let (mut bytes, mut have) = (vec![0; length], 0);
///     while have < length {
///         let rest = Part::new(bytes, have..)?;
///         let done = handle.run(FileRead::new(file.clone(), from + have as u64, rest)).await;
///         match done.result? {
///             0 => bail!(OutOfRange, "the file ends after {have} of {length} bytes"),
///             count => have += count,
///         }
///         bytes = done.operation.into_params().target.into_inner();
///     }
///     Ok(bytes)
/// }
///
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let handle = poller.handle().clone();
/// let file = File::import(std::fs::File::open("Cargo.toml").unwrap())?;
/// let bytes = poller.block_on(read_exactly(&handle, &file, 1, 7))??;
/// assert_eq!(bytes, b"package");
/// # Result::Ok(())
/// ```
pub struct FileRead<T: Target> {
    /// Where in the file. `OUT_OF_RANGE` from 2⁶³ on, and at 2⁶³ - 1 with any room or bytes: nothing can be there.
    pub offset: u64,
    /// Where to.
    pub target: T,
    used: Used,
    outline: Outline,
}

/// Writes from memory to a place in a file: up to 8 pieces, in order. Ends with how many bytes were written, which can be
/// less than there are: on a full device, and in one transfer, which moves [`TRANSFER_MAX`](super::TRANSFER_MAX) bytes at
/// most. A file that was opened with `APPEND` is written at its end, whatever the place.
///
/// ```
/// use weft_io::{Config, open_any, ops::{FileFlags, FileOpen, FileWrite}};
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let handle = poller.handle().clone();
/// let path = std::env::temp_dir().join(format!("weft-doc-write-{}", std::process::id()));
/// let flags = FileFlags::WRITE | FileFlags::CREATE | FileFlags::TRUNCATE;
/// let written = poller.block_on(async {
///     let file = handle.run(FileOpen::new(&path, flags)).await.result?;
///     handle.run(FileWrite::new(file, 0, [b"two ".as_slice(), b"pieces"])).await.result
/// })??;
/// assert_eq!(written, 10);
/// assert_eq!(std::fs::read(&path).unwrap(), b"two pieces");
/// std::fs::remove_file(&path).unwrap();
/// # weft_sync::Result::Ok(())
/// ```
pub struct FileWrite<S: Source> {
    /// Where in the file. `OUT_OF_RANGE` from 2⁶³ on, and at 2⁶³ - 1 with any room or bytes: nothing can be there.
    pub offset: u64,
    /// What.
    pub source: S,
    used: Used,
    outline: Outline,
}

impl<T: Target> FileRead<T> {
    /// Reads from `offset` on.
    pub fn new(file: File, offset: u64, target: T) -> FileRead<T> {
        FileRead { offset, target, used: Used::new(file), outline: Outline::new() }
    }

    /// Where from.
    pub fn file(&self) -> &File {
        &self.used.file
    }

    /// Reads from another file the next time.
    pub fn set_file(&mut self, file: File) {
        self.used = Used::new(file);
    }
}

impl<S: Source> FileWrite<S> {
    /// Writes from `offset` on.
    pub fn new(file: File, offset: u64, source: S) -> FileWrite<S> {
        FileWrite { offset, source, used: Used::new(file), outline: Outline::new() }
    }

    /// Where to.
    pub fn file(&self) -> &File {
        &self.used.file
    }

    /// Writes to another file the next time.
    pub fn set_file(&mut self, file: File) {
        self.used = Used::new(file);
    }
}

impl<T: Target> Params for FileRead<T> {
    type Output = usize;

    fn output(&mut self, value: i64) -> usize {
        usize::try_from(value).unwrap_or(0)
    }
}

impl<T: Target> Lower for FileRead<T> {
    const KIND: Kind = Kind::FileRead;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        self.outline.ask_target(&mut self.target, false)?;
        check_place(self.offset)?;
        self.used.enter()
    }

    fn release(&mut self) {
        self.used.leave();
    }

    fn body(&mut self) -> Body<'_> {
        let spans = self.outline.range(0..most(self.offset));
        let file = &self.used.file;
        let (file, is_direct) = (file.named(), file.is_direct());
        Body::FileRead(Transfer { file, offset: self.offset, spans, is_direct })
    }
}

impl<S: Source> Params for FileWrite<S> {
    type Output = usize;

    fn output(&mut self, value: i64) -> usize {
        usize::try_from(value).unwrap_or(0)
    }
}

impl<S: Source> Lower for FileWrite<S> {
    const KIND: Kind = Kind::FileWrite;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        self.outline.ask_source(&self.source, false)?;
        check_place(self.offset)?;
        check_room(self.offset, self.outline.length())?;
        self.used.enter()
    }

    fn release(&mut self) {
        self.used.leave();
    }

    fn body(&mut self) -> Body<'_> {
        let spans = self.outline.range(0..most(self.offset));
        let file = &self.used.file;
        let (file, is_direct) = (file.named(), file.is_direct());
        Body::FileWrite(Transfer { file, offset: self.offset, spans, is_direct })
    }
}

/// The last place that systems have numbers for.
const END: u64 = i64::MAX as u64;

fn check_place(offset: u64) -> Result<()> {
    if offset > END {
        bail!(OutOfRange, "byte {offset} of a file; places end before 2^63 - 1");
    }
    Ok(())
}

/// Where nothing can be written, something would end with 0 for ever, and whoever goes on until all is done would not end.
/// What is read there is the end of the file.
fn check_room(offset: u64, length: usize) -> Result<()> {
    if offset == END && length > 0 {
        bail!(OutOfRange, "writing at byte {offset} of a file; places end before 2^63 - 1");
    }
    Ok(())
}

/// How much one transfer moves from there on, at most; what is more is cut off.
fn most(offset: u64) -> usize {
    // Places end at 2⁶³: the kernel would call a transfer that goes beyond a bad argument.
    let before_end = usize::try_from(END.saturating_sub(offset)).unwrap_or(usize::MAX);
    TRANSFER_MAX.min(before_end)
}

impl<T: Target> fmt::Debug for FileRead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRead({:?} at {})", self.used.file, self.offset)
    }
}

impl<S: Source> fmt::Debug for FileWrite<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileWrite({:?} at {})", self.used.file, self.offset)
    }
}
