//! Reading small pieces of a file without a system call for each, and without reading much that nobody asked for.
//!
//! 1. A reader has one window. Whoever reads several tables in turn has a reader for each: a window that jumps between
//!    tables is filled anew at every jump.
//! 2. A window begins small. The next one is twice as long, up to [`WINDOW_BYTES_MAX`], if a good part of the last was
//!    asked for, and small again if not. So all that is read is a small multiple of what is asked for, and
//!    [`WINDOW_BYTES_MIN`] for each piece: files that jump to and fro cannot make it more.
//!
//! What lives here: [`HeaderReader`]. What does not: what the bytes mean (see `archive.rs`, `gguf.rs`).

use weft_sync::{Result, WhileDoing, bail};

use super::file::ParameterFile;

/// Bytes that are read at once where nothing is known yet about what comes next.
const WINDOW_BYTES_MIN: usize = 512;
/// Bytes that are read at once when one piece follows the other.
const WINDOW_BYTES_MAX: usize = 64 << 10;
/// A window was worth it if this part of it was asked for: entries that are skipped, of which only the beginning is
/// looked at, and strings whose lengths alone are read.
const WORTHWHILE_PART: usize = 8;

/// Reads small pieces of one table of a file.
pub(super) struct HeaderReader<'a> {
    file: &'a ParameterFile,
    /// Where the window begins in the file.
    start: u64,
    window: Vec<u8>,
    /// Bytes of the window that were asked for; some may count twice.
    asked: usize,
    /// How long the window was meant to be.
    reach: usize,
}

impl<'a> HeaderReader<'a> {
    /// A reader that has read nothing yet.
    pub(super) fn new(file: &'a ParameterFile) -> HeaderReader<'a> {
        HeaderReader { file, start: 0, window: Vec::new(), asked: 0, reach: 0 }
    }

    /// The bytes of a range. OUT_OF_RANGE, with what they are, if the file has not so many.
    pub(super) fn bytes(&mut self, offset: u64, length: usize, what: &str) -> Result<&[u8]> {
        let end = offset.checked_add(length as u64).filter(|end| *end <= self.file.length());
        let Some(end) = end else {
            bail!(OutOfRange, "{what}: {length} bytes at {offset} of a file of {}", self.file.length());
        };
        if offset < self.start || end > self.start + self.window.len() as u64 {
            self.refill(offset, end).while_doing(|| what.to_owned())?;
        }
        self.asked = self.asked.saturating_add(length);
        let first = (offset - self.start) as usize;
        Ok(&self.window[first..first + length])
    }

    /// Moves the window to where it has the range, which the file has.
    fn refill(&mut self, offset: u64, end: u64) -> Result<()> {
        let was_worth_it = self.asked >= self.reach / WORTHWHILE_PART;
        self.reach = match was_worth_it {
            true => (self.reach * 2).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX),
            false => WINDOW_BYTES_MIN,
        };
        self.asked = 0;
        let reach = (self.reach as u64).max(end - offset);
        // Who goes backwards goes on so: the window ends with the range then.
        let start = if offset < self.start { end.saturating_sub(reach) } else { offset };
        // The file's end at most, and the range or a window: it fits memory where the range does.
        let stop = start.saturating_add(reach).min(self.file.length());
        self.window.resize((stop - start) as usize, 0);
        self.start = start;
        let read = self.file.read_exact_at(start, &mut self.window);
        if read.is_err() {
            self.window.clear();
        }
        read
    }

    /// A little-endian number.
    pub(super) fn u32(&mut self, offset: u64, what: &str) -> Result<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.bytes(offset, 4, what)?);
        Ok(u32::from_le_bytes(bytes))
    }

    /// A little-endian number.
    pub(super) fn u64(&mut self, offset: u64, what: &str) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.bytes(offset, 8, what)?);
        Ok(u64::from_le_bytes(bytes))
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> u64 {
        self.file.length()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Rule 2: pieces that follow each other are read once; jumps that make each long window worthless do not get long
    /// windows.
    #[test]
    fn what_is_read_is_bounded_by_what_is_asked_for() {
        let bytes: Vec<u8> = (0..4u32 << 20).map(|index| (index % 251) as u8).collect();
        let file = ParameterFile::from_memory("a test", Arc::new(bytes.clone()));
        let end = file.length() - 8;
        let far = |ask: u64| ask * 7919 * 8 % end;
        let orders: [(&dyn Fn(u64) -> u64, usize); 4] = [
            (&|ask| ask * 8, 2),
            (&|ask| end - ask * 8, 2),
            // To and fro, by the longest window and by less.
            (&|ask| ask + ask % 2 * (WINDOW_BYTES_MAX as u64), 80),
            (&far, 80),
        ];
        for (number, (place, factor)) in orders.into_iter().enumerate() {
            let mut reader = HeaderReader::new(&file);
            let (mut read, mut window) = (0, (u64::MAX, 0));
            for ask in 0..20_000 {
                let at = place(ask);
                assert_eq!(reader.bytes(at, 8, "eight").unwrap(), &bytes[at as usize..at as usize + 8]);
                if window != (reader.start, reader.window.len()) {
                    window = (reader.start, reader.window.len());
                    read += reader.window.len();
                }
            }
            assert!(read <= factor * 8 * 20_000, "order {number}: {read} bytes are read for {}", 8 * 20_000);
        }
    }
}
