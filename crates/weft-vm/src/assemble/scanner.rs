//! Words of one line of assembly text: registers, numbers, names, strings, types.

use weft_sync::{Result, bail, status};

use crate::isa::Register;

/// A place in a line. Blanks between words mean nothing.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'a> {
    line: &'a str,
    position: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(line: &'a str) -> Scanner<'a> {
        Scanner { line, position: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.line[self.position..]
    }

    fn skip_blanks(&mut self) {
        self.position = self.line.len() - self.rest().trim_start().len();
    }

    /// Whether only blanks or a comment are left.
    pub fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest().is_empty() || self.rest().starts_with("//")
    }

    /// Whether the text comes next.
    pub fn sees(&mut self, text: &str) -> bool {
        self.skip_blanks();
        self.rest().starts_with(text)
    }

    /// Takes the text if it comes next.
    pub fn take(&mut self, text: &str) -> bool {
        let seen = self.sees(text);
        if seen {
            self.position += text.len();
        }
        seen
    }

    /// The text must come next. Blanks in it stand for any blanks.
    pub fn expect(&mut self, text: &str) -> Result<()> {
        for word in text.split_whitespace() {
            if !self.take(word) {
                return Err(self.unexpected(&format!("`{word}`")));
            }
        }
        Ok(())
    }

    /// The failure for something else than `expected` here.
    #[cold]
    pub fn unexpected(&self, expected: &str) -> weft_sync::Status {
        let found: String = self.rest().chars().take(24).collect();
        let found = if found.is_empty() { "the end of the line".to_owned() } else { format!("`{found}`") };
        status!(InvalidArgument, "expected {expected}, found {found} (column {})", self.position + 1)
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !accept(letter)).unwrap_or(rest.len());
        self.position += end;
        &rest[..end]
    }

    /// A mnemonic or another word of letters, digits, dots and underscores.
    pub fn word(&mut self) -> &'a str {
        self.skip_blanks();
        self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '.' || letter == '_')
    }

    /// `^name`, without the caret.
    pub fn label(&mut self) -> Result<&'a str> {
        if !self.take("^") {
            return Err(self.unexpected("a label such as `^bb0`"));
        }
        let name = self.take_while(|letter| letter.is_alphanumeric() || letter == '_');
        if name.is_empty() {
            return Err(self.unexpected("the name of a label"));
        }
        Ok(name)
    }

    /// `@name`, without the at sign; ends at a blank, bracket or parenthesis.
    pub fn symbol(&mut self) -> Result<&'a str> {
        if !self.take("@") {
            return Err(self.unexpected("a name such as `@module.function`"));
        }
        let name = self.take_while(|letter| !letter.is_whitespace() && !"()[],".contains(letter));
        if name.is_empty() {
            return Err(self.unexpected("a name"));
        }
        Ok(name)
    }

    /// A register: `%i3`, a pair `%i4:5`, `%r0`, `%R0`.
    pub fn register(&mut self) -> Result<Register> {
        if !self.take("%") {
            return Err(self.unexpected("a register such as `%i0` or `%r0`"));
        }
        let bank = self.take_while(|letter| letter.is_ascii_alphabetic());
        let digits = self.take_while(|letter| letter.is_ascii_digit());
        let max = if bank == "i" { 0x7FFF } else { 0x3FFF };
        let ordinal = match digits.parse::<u16>() {
            Ok(ordinal) if ordinal <= max => ordinal,
            _ => bail!(InvalidArgument, "register `%{bank}{digits}`: expected an ordinal up to {max}"),
        };
        match bank {
            "i" => {
                self.pair_end(ordinal)?;
                Ok(Register::value(ordinal))
            }
            "r" => Ok(Register::reference(ordinal)),
            "R" => Ok(Register::moved(ordinal)),
            _ => bail!(InvalidArgument, "register `%{bank}{digits}`: the banks are `i`, `r` and `R`"),
        }
    }

    /// The `:5` of `%i4:5`, if it is there.
    fn pair_end(&mut self, low: u16) -> Result<()> {
        let Some(after) = self.rest().strip_prefix(':') else { return Ok(()) };
        let digits = after.len() - after.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        if digits == 0 {
            return Ok(());
        }
        self.position += 1 + digits;
        match after[..digits].parse::<u32>() {
            Ok(high) if high == u32::from(low) + 1 => Ok(()),
            _ => bail!(
                InvalidArgument,
                "register pair `%i{low}:{}`: expected `%i{low}:{}`",
                &after[..digits],
                low + 1
            ),
        }
    }

    /// A decimal or `0x` number, possibly signed, that fits `bits` bits either as signed or as unsigned: its bits.
    pub fn integer(&mut self, bits: u32) -> Result<u64> {
        self.skip_blanks();
        let start = self.clone();
        let negative = self.take("-");
        let word = self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let parsed = match word.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => word.parse(),
        };
        let Ok(magnitude) = parsed else { return Err(start.unexpected("a number")) };
        let max = u64::MAX >> (64 - bits);
        let fits = if negative { magnitude <= 1 << (bits - 1) } else { magnitude <= max };
        if !fits {
            bail!(
                InvalidArgument,
                "number `{}{word}` does not fit {bits} bits",
                if negative { "-" } else { "" }
            );
        }
        Ok(if negative { magnitude.wrapping_neg() & max } else { magnitude })
    }

    /// A float as text for `parse`, or its bits after `0x`.
    pub fn float_word(&mut self) -> &'a str {
        self.skip_blanks();
        self.take_while(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
    }

    /// A quoted string with the escapes `\n \r \t \\ \" \' \xNN`.
    pub fn string(&mut self) -> Result<Vec<u8>> {
        if !self.take("\"") {
            return Err(self.unexpected("a string"));
        }
        let mut bytes = Vec::new();
        loop {
            bytes.extend(self.take_while(|letter| letter != '"' && letter != '\\').as_bytes());
            if self.rest().starts_with('"') {
                self.position += 1;
                return Ok(bytes);
            }
            bytes.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<u8> {
        let mut letters = self.rest().chars();
        let (Some('\\'), Some(letter)) = (letters.next(), letters.next()) else {
            return Err(self.unexpected("the closing quote"));
        };
        let plain = match letter {
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            '\\' | '"' | '\'' => letter as u8,
            'x' => {
                let digits = self.rest().get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let Some(byte) = digits else { return Err(self.unexpected("two hexadecimal digits")) };
                self.position += 4;
                return Ok(byte);
            }
            _ => return Err(self.unexpected("one of the escapes \\n \\r \\t \\\\ \\\" \\' \\xNN")),
        };
        self.position += 2;
        Ok(plain)
    }

    /// A type: up to a blank, comma, closing parenthesis, or unmatched `>`; angle brackets may hold anything.
    pub fn type_name(&mut self) -> Result<&'a str> {
        self.skip_blanks();
        let rest = self.rest();
        let mut depth = 0_usize;
        let mut end = rest.len();
        for (at, letter) in rest.char_indices() {
            match letter {
                '<' => depth += 1,
                '>' if depth > 0 => depth -= 1,
                _ if depth > 0 => {}
                '>' | ',' | ')' => {
                    end = at;
                    break;
                }
                _ if letter.is_whitespace() => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        if end == 0 || depth > 0 {
            return Err(self.unexpected("a type"));
        }
        self.position += end;
        Ok(&rest[..end])
    }
}
