//! Formatted text into bytes: for text that other crates write, and that may be too large to build in memory first.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

/// Takes text, keeps the error that formatting cannot carry.
pub struct TextSink<'a> {
    out: &'a mut dyn Write,
    error: Option<io::Error>,
}

impl<'a> TextSink<'a> {
    /// Writes to `out`.
    pub fn new(out: &'a mut dyn Write) -> TextSink<'a> {
        TextSink { out, error: None }
    }

    /// The outcome of writing: the error of the output if there was one, else that of the writer.
    pub fn finish<E: Error + Send + Sync + 'static>(self, written: Result<(), E>) -> io::Result<()> {
        match (self.error, written) {
            (Some(error), _) => Err(error),
            (None, written) => written.map_err(io::Error::other),
        }
    }
}

impl fmt::Write for TextSink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}
