//! Reading files of which nobody knows what they are.
//!
//! What lives here: [`Texts`], by which descriptions of machines and limits of control groups are read. What does not: what
//! the texts mean. A description may be any folder that a user names, so:
//!
//! 1. Only regular files are read: a pipe would block, a device never end.
//! 2. One file has at most [`TEXT_BYTES_MAX`] bytes, a whole description [`TEXTS_BYTES_MAX`]. What is longer is refused.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// A list of the most processors that a machine may have, each by itself, fits.
pub(super) const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Far more than the largest machines have: they write lists as ranges.
pub(super) const TEXTS_BYTES_MAX: u64 = 64 << 20;

/// Reads texts until there were too many.
#[derive(Debug)]
pub(super) struct Texts {
    left: Cell<u64>,
}

impl Texts {
    pub(super) fn new() -> Texts {
        Texts { left: Cell::new(TEXTS_BYTES_MAX) }
    }

    /// The content of a regular file, if it is text and not too long.
    pub(super) fn read(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        // One byte more than allowed, to see whether there is more. What is read counts, also where it is refused.
        let read = regular_file(path)?.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text);
        let bytes = text.len() as u64;
        self.left.set(self.left.get().saturating_sub(bytes));
        read?;
        if bytes > TEXT_BYTES_MAX || self.is_exhausted() {
            return Err(io::Error::other("too long"));
        }
        Ok(text)
    }

    /// Whether more was read than a description may have.
    pub(super) fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }
}

/// Opens a file, if it is a regular one.
fn regular_file(path: &Path) -> io::Result<File> {
    let check = |metadata: fs::Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("not a regular file")),
    };
    // Before it is opened, which already does something to a pipe or a device; and after, when it cannot change any more.
    check(fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Should it have become a pipe meanwhile, this does not wait for a writer.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32);
    }
    let file = options.open(path)?;
    check(file.metadata()?)?;
    Ok(file)
}
