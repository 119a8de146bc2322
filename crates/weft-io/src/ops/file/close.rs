//! Waiting for the device, and closing.

use super::Used;
use crate::Capabilities;
use crate::file::File;
use crate::operation::{Params, sealed::Lower};
use crate::ops::{Body, Kind};
use std::os::fd::OwnedFd;
use weft_sync::Result;

/// Ends when what was written before it was submitted, and has ended, is on the device.
///
/// ```
/// use weft_io::{Config, File, open_any, ops::FileSync};
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let handle = poller.handle().clone();
/// let file = File::import(std::fs::File::open("Cargo.toml").unwrap())?;
/// poller.block_on(handle.run(FileSync::new(file, true)))?.result?;
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct FileSync {
    /// Only what it takes to read the bytes again: not when they were changed.
    pub is_data_only: bool,
    used: Used,
}

impl FileSync {
    /// For what was written to this file, by whomever.
    pub fn new(file: File, is_data_only: bool) -> FileSync {
        FileSync { is_data_only, used: Used::new(file) }
    }

    /// Of what.
    pub fn file(&self) -> &File {
        &self.used.file
    }
}

impl Params for FileSync {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for FileSync {
    const KIND: Kind = Kind::FileSync;

    fn prepare(&mut self, _capabilities: Capabilities) -> Result<()> {
        self.used.enter()
    }

    fn release(&mut self) {
        self.used.leave();
    }

    fn body(&mut self) -> Body<'_> {
        Body::FileSync(self.used.file.named(), self.is_data_only)
    }
}

/// Closes a file, for all who hold it. What is under way on it ends as it would have, and keeps the file until then; what
/// is submitted after this has started is refused with `FAILED_PRECONDITION`. Closing what is closed is no failure.
///
/// A file is closed also when the last of its clones is dropped; this one does not block the thread that polls, where a
/// file system has something left to do, and says what that came to. Whether what was written is on the device is asked
/// by a [`FileSync`] before. A cancel is of no use: the file is closed all the same.
///
/// ```
/// use weft_io::{Config, File, Operation, open_any, ops::FileClose};
/// let mut poller = open_any(&Config::new())?.into_poller()?;
/// let handle = poller.handle().clone();
/// let file = File::import(std::fs::File::open("Cargo.toml").unwrap())?;
/// let held = file.clone();
/// poller.block_on(handle.run(FileClose::new(file)))?.result?;
/// assert!(held.is_closed() && held.size().is_err());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct FileClose {
    /// Until it starts.
    file: Option<File>,
    /// What is to be closed, once it has started. The backend takes it out when it has closed the number; what is left
    /// here is closed by its drop.
    handle: Option<OwnedFd>,
}

impl FileClose {
    /// Closes this one.
    pub fn new(file: File) -> FileClose {
        FileClose { file: Some(file), handle: None }
    }

    /// The file again, if the operation was refused; none after it has started.
    pub fn into_file(self) -> Option<File> {
        self.file
    }
}

impl Params for FileClose {
    type Output = ();

    fn output(&mut self, _value: i64) {}
}

impl Lower for FileClose {
    const KIND: Kind = Kind::FileClose;

    fn release(&mut self) {
        self.handle = None;
    }

    fn body(&mut self) -> Body<'_> {
        if let Some(file) = self.file.take() {
            self.handle = file.close();
        }
        Body::FileClose(&mut self.handle)
    }
}
