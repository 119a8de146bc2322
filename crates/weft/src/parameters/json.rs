//! As much JSON as headers of safetensors need: a reader that hands out one thing after the other and builds nothing.
//!
//! 1. Depth is bounded; values nobody asked for are skipped without being kept.
//! 2. Every failure is INVALID_ARGUMENT and names the position.
//!
//! What lives here: [`JsonReader`]. What does not: what the keys mean (see `safetensors.rs`).

use weft_sync::{Result, bail};

/// Objects and arrays within each other. Headers need three.
const DEPTH_MAX: usize = 64;

/// A position in JSON text.
pub(super) struct JsonReader<'a> {
    text: &'a [u8],
    at: usize,
}

/// A string as it stands in the text, without its quotes.
#[derive(Clone, Copy)]
pub(super) struct RawString<'a>(pub(super) &'a [u8]);

impl<'a> JsonReader<'a> {
    /// A reader at the beginning.
    pub(super) fn new(text: &'a [u8]) -> JsonReader<'a> {
        JsonReader { text, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn peek(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8, what: &str) -> Result<()> {
        match self.peek() {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(found) => {
                bail!(
                    InvalidArgument,
                    "JSON: expected {what} at {}, found `{}`",
                    self.at,
                    found.escape_ascii()
                )
            }
            None => bail!(InvalidArgument, "JSON: expected {what} at {}, found the end", self.at),
        }
    }

    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(found) => {
                bail!(InvalidArgument, "JSON: `{}` at {} after the end", found.escape_ascii(), self.at)
            }
        }
    }

    /// Hands every member of an object to `member`, which reads its value.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut JsonReader<'a>, RawString<'a>) -> Result<()>,
    ) -> Result<()> {
        self.expect(b'{', "an object")?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.expect(b':', "`:`")?;
            member(self, key)?;
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                return self.expect(b'}', "`,` or `}`");
            }
        }
    }

    /// An array of exactly two whole numbers.
    pub(super) fn pair(&mut self) -> Result<[u64; 2]> {
        self.expect(b'[', "an array of two numbers")?;
        let first = self.number()?;
        self.expect(b',', "`,` and a second number")?;
        let second = self.number()?;
        self.expect(b']', "the end of the two numbers")?;
        Ok([first, second])
    }

    /// A whole number that is not negative.
    fn number(&mut self) -> Result<u64> {
        self.peek();
        let start = self.at;
        let token = self.token();
        let is_whole = !token.is_empty() && token.iter().all(u8::is_ascii_digit);
        let parsed = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok());
        match parsed.filter(|_| is_whole) {
            Some(number) => Ok(number),
            None => bail!(InvalidArgument, "JSON: expected a whole number at {start}"),
        }
    }

    /// Digits, letters and signs up to the next separator.
    fn token(&mut self) -> &'a [u8] {
        let start = self.at;
        while matches!(self.text.get(self.at), Some(byte) if byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// A string. Its escapes are checked, but not replaced.
    fn string(&mut self) -> Result<RawString<'a>> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        loop {
            match self.text.get(self.at) {
                None => bail!(InvalidArgument, "JSON: the string at {start} does not end"),
                Some(b'"') => break,
                Some(b'\\') => self.at += 1 + escape_length(&self.text[self.at + 1..], self.at)?,
                Some(byte) if *byte < 0x20 => {
                    bail!(InvalidArgument, "JSON: control character in a string at {}", self.at)
                }
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        Ok(RawString(&self.text[start..self.at - 1]))
    }

    /// Goes past one value of any kind.
    pub(super) fn skip(&mut self) -> Result<()> {
        // What is open, innermost last: the recursion of JSON without that of the machine.
        let mut open: Vec<u8> = Vec::new();
        loop {
            let mut is_empty = false;
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(bracket @ (b'{' | b'[')) => {
                    if open.len() == DEPTH_MAX {
                        bail!(InvalidArgument, "JSON: nested more than {DEPTH_MAX} deep at {}", self.at);
                    }
                    self.at += 1;
                    let close = bracket + 2;
                    open.push(close);
                    is_empty = self.peek() == Some(close);
                    if !is_empty {
                        self.key_of(close)?;
                        continue;
                    }
                }
                _ => self.literal()?,
            }
            // A value has ended, or a bracket is empty: close what ends here, go on behind a comma.
            loop {
                let Some(close) = open.last().copied() else { return Ok(()) };
                match self.peek() {
                    Some(b',') if !is_empty => {
                        self.at += 1;
                        self.key_of(close)?;
                        break;
                    }
                    _ => self.expect(close, "`,` or the end of what is open")?,
                }
                open.pop();
                is_empty = false;
            }
        }
    }

    /// Within an object, the key in front of a value.
    fn key_of(&mut self, close: u8) -> Result<()> {
        if close == b'}' {
            self.string()?;
            self.expect(b':', "`:`")?;
        }
        Ok(())
    }

    /// A number, `true`, `false` or `null`.
    fn literal(&mut self) -> Result<()> {
        let start = self.at;
        let token = self.token();
        let is_number = token.first().is_some_and(|first| first.is_ascii_digit() || *first == b'-')
            && std::str::from_utf8(token).is_ok_and(|text| text.parse::<f64>().is_ok());
        if is_number || [&b"true"[..], b"false", b"null"].contains(&token) {
            return Ok(());
        }
        bail!(InvalidArgument, "JSON: expected a value at {start}");
    }
}

/// Bytes of an escape behind its backslash.
fn escape_length(rest: &[u8], at: usize) -> Result<usize> {
    match rest.first() {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(1),
        Some(b'u') if rest.get(1..5).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => Ok(5),
        _ => bail!(InvalidArgument, "JSON: bad escape at {at}"),
    }
}

impl RawString<'_> {
    /// The string with its escapes replaced; `None` if it has none. Halves of surrogate pairs become U+FFFD.
    pub(super) fn unescaped(self) -> Option<Vec<u8>> {
        if !self.0.contains(&b'\\') {
            return None;
        }
        let mut out = Vec::with_capacity(self.0.len());
        let mut rest = self.0;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if *first != b'\\' {
                out.push(*first);
                continue;
            }
            let Some((escape, after)) = rest.split_first() else { break };
            rest = after;
            match escape {
                b'b' => out.push(8),
                b'f' => out.push(12),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'u' => {
                    let (character, used) = code_point(rest);
                    rest = &rest[used..];
                    out.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                other => out.push(*other),
            }
        }
        Some(out)
    }
}

/// The character of `XXXX` or `XXXX\uXXXX`, and how many bytes that took.
fn code_point(rest: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let hex = std::str::from_utf8(rest.get(at..at + 4)?).ok()?;
        u32::from_str_radix(hex, 16).ok()
    };
    let Some(first) = unit(0) else { return (char::REPLACEMENT_CHARACTER, 0) };
    if (0xD800..0xDC00).contains(&first)
        && rest.get(4..6) == Some(b"\\u")
        && let Some(second @ 0xDC00..0xE000) = unit(6)
    {
        let joined = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skips(text: &str) -> bool {
        let mut reader = JsonReader::new(text.as_bytes());
        reader.skip().and_then(|()| reader.end()).is_ok()
    }

    #[test]
    fn values_are_skipped_whatever_they_hold() {
        let good = [
            "1",
            "-1.5e3",
            "true",
            "null",
            "\"a\\n\\u00e9\"",
            "[]",
            "{}",
            "[1, [2, {}], \"]\"]",
            "{\"a\": {\"b\": [1, 2]}, \"c\": null}",
            " [ ] ",
        ];
        let bad = [
            "",
            "[",
            "]",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "nul",
            "inf",
            "1 2",
            "[1 2]",
            "\"\\x\"",
            "\"\\u12\"",
            "\"",
            "[}",
            "{]",
            "\"\u{1}\"",
        ];
        good.into_iter().for_each(|text| assert!(skips(text), "{text}"));
        bad.into_iter().for_each(|text| assert!(!skips(text), "{text}"));
    }

    #[test]
    fn depth_is_bounded() {
        assert!(skips(&format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX))));
        assert!(!skips(&format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1))));
        assert!(!skips(&"[".repeat(1 << 20)));
    }

    #[test]
    fn escapes_are_replaced() {
        let cases: [(&str, Option<&str>); 5] = [
            ("plain", None),
            ("a\\\"0", Some("a\"0")),
            ("\\u0041\\n\\/", Some("A\n/")),
            ("\\ud83d\\ude00", Some("\u{1F600}")),
            ("\\ud83d.", Some("\u{FFFD}.")),
        ];
        for (raw, expected) in cases {
            let unescaped = RawString(raw.as_bytes()).unescaped();
            assert_eq!(unescaped.as_deref(), expected.map(str::as_bytes), "{raw}");
        }
    }
}
