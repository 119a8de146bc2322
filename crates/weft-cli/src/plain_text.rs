//! Text for a terminal, whatever is in it.
//!
//! What lives here: [`PlainText`]. Names and texts of a module are shown as they are, except for characters that would
//! move the cursor, ring, or make the terminal do worse: those are escaped. Line feeds and tabs stay, for they are layout.

use std::io::{self, Write};

/// Escapes control characters on their way to `out`.
pub struct PlainText<W: Write> {
    out: W,
    /// The last byte was the first of a character U+0080 to U+00BF, which is not written yet.
    has_lead: bool,
}

/// The first byte of characters U+0080 to U+00BF in UTF-8, of which the lower half are control characters.
const LEAD: u8 = 0xC2;

impl<W: Write> PlainText<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> PlainText<W> {
        PlainText { out, has_lead: false }
    }

    fn put(&mut self, byte: u8) -> io::Result<()> {
        if std::mem::take(&mut self.has_lead) {
            if (0x80..0xA0).contains(&byte) {
                return write!(self.out, "\\u{{{byte:x}}}");
            }
            self.out.write_all(&[LEAD])?;
        }
        match byte {
            LEAD => {
                self.has_lead = true;
                Ok(())
            }
            b'\n' | b'\t' => self.out.write_all(&[byte]),
            0..0x20 | 0x7F => write!(self.out, "\\u{{{byte:x}}}"),
            _ => self.out.write_all(&[byte]),
        }
    }
}

impl<W: Write> Write for PlainText<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let is_plain =
                |byte: &u8| matches!(byte, 0x20..=0x7E | b'\n' | b'\t' | 0x80..=0xC1 | 0xC3..=0xFF);
            let plain = if self.has_lead { 0 } else { rest.iter().take_while(|byte| is_plain(byte)).count() };
            self.out.write_all(&rest[..plain])?;
            rest = &rest[plain..];
            if let Some((&byte, after)) = rest.split_first() {
                self.put(byte)?;
                rest = after;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let text = "plain \u{e9}\u{a0}\u{20ac}\n\tx\u{1b}[31m \u{7} \u{7f} \u{9b} \r";
        let mut whole = Vec::new();
        let mut out = PlainText::new(&mut whole);
        // In pieces that split characters.
        for piece in text.as_bytes().chunks(3) {
            out.write_all(piece).unwrap();
        }
        let expected = "plain \u{e9}\u{a0}\u{20ac}\n\tx\\u{1b}[31m \\u{7} \\u{7f} \\u{9b} \\u{d}";
        assert_eq!(String::from_utf8(whole).unwrap(), expected);
    }
}
