//! A strict reader of JSON, for checking what the program writes.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one value that is the whole text; the error is where it went wrong.
    pub fn parse(text: &str) -> Result<Json, usize> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == text.len() { Ok(value) } else { Err(reader.at) }
    }

    /// A member that must be there.
    #[track_caller]
    pub fn get(&self, name: &str) -> &Json {
        let Json::Object(members) = self else { panic!("{self:?} has no members") };
        let found = members.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("{self:?} has no `{name}`")).1
    }

    #[track_caller]
    pub fn items(&self) -> &[Json] {
        let Json::Array(items) = self else { panic!("{self:?} is no array") };
        items
    }

    #[track_caller]
    pub fn number(&self) -> f64 {
        let Json::Number(number) = self else { panic!("{self:?} is no number") };
        *number
    }

    #[track_caller]
    pub fn text(&self) -> &str {
        let Json::Text(text) = self else { panic!("{self:?} is no text") };
        text
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Nothing that is checked nests deeper.
const DEPTH_MAX: usize = 32;

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    fn needs(&mut self, text: &str) -> Result<(), usize> {
        self.space();
        if self.takes(text) { Ok(()) } else { Err(self.at) }
    }

    fn value(&mut self, depth: usize) -> Result<Json, usize> {
        self.space();
        let at = self.at;
        match self.rest().chars().next() {
            _ if depth > DEPTH_MAX => Err(at),
            Some('{') => self
                .list('{', '}', |reader| {
                    reader.space();
                    let name = reader.string()?;
                    reader.needs(":")?;
                    Ok((name, reader.value(depth + 1)?))
                })
                .map(Json::Object),
            Some('[') => self.list('[', ']', |reader| reader.value(depth + 1)).map(Json::Array),
            Some('"') => self.string().map(Json::Text),
            Some('n') if self.takes("null") => Ok(Json::Null),
            Some('t') if self.takes("true") => Ok(Json::Bool(true)),
            Some('f') if self.takes("false") => Ok(Json::Bool(false)),
            Some('-' | '0'..='9') => self.number(),
            _ => Err(at),
        }
    }

    fn list<T>(
        &mut self,
        open: char,
        close: char,
        item: impl Fn(&mut Self) -> Result<T, usize>,
    ) -> Result<Vec<T>, usize> {
        self.needs(open.encode_utf8(&mut [0; 4]))?;
        let close = close.to_string();
        let mut items = Vec::new();
        self.space();
        if self.takes(&close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            self.space();
            if self.takes(&close) {
                return Ok(items);
            }
            self.needs(",")?;
        }
    }

    fn string(&mut self) -> Result<String, usize> {
        self.needs("\"")?;
        let mut text = String::new();
        loop {
            let at = self.at;
            let next = self.rest().chars().next().ok_or(at)?;
            self.at += next.len_utf8();
            match next {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()?),
                control if control < ' ' => return Err(at),
                other => text.push(other),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, usize> {
        let at = self.at;
        let next = self.rest().chars().next().ok_or(at)?;
        self.at += next.len_utf8();
        Ok(match next {
            '"' | '\\' | '/' => next,
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let digits = self.rest().get(..4).ok_or(at)?;
                let code = u32::from_str_radix(digits, 16).map_err(|_| at)?;
                self.at += 4;
                char::from_u32(code).ok_or(at)?
            }
            _ => return Err(at),
        })
    }

    fn number(&mut self) -> Result<Json, usize> {
        let at = self.at;
        let length = self.rest().find(|c: char| !"+-.0123456789eE".contains(c)).unwrap_or(self.rest().len());
        let digits = &self.rest()[..length];
        let whole = digits.trim_start_matches('-').split(['.', 'e', 'E']).next().unwrap_or("");
        // Rust reads more than JSON allows.
        let is_json =
            !whole.is_empty() && (whole == "0" || !whole.starts_with('0')) && !digits.ends_with('.');
        let number = digits.parse().ok().filter(|_| is_json).ok_or(at)?;
        self.at += length;
        Ok(Json::Number(number))
    }
}

/// The reader refuses what is no JSON.
#[test]
fn only_json_is_json() {
    for text in
        ["", "{", "[1,]", "{\"a\":1,}", "01", "1.", "nul", "\"\n\"", "[1] 2", "{a:1}", "\"\\x\"", ".5"]
    {
        assert!(Json::parse(text).is_err(), "{text}");
    }
    let value = Json::parse(" {\"a\": [1.5, -2e3, true, null, \"\\u0041\\\"\"], \"b\": {}} ").unwrap();
    let items = value.get("a").items();
    assert_eq!((items[0].number(), items[1].number(), items[4].text()), (1.5, -2000.0, "A\""));
}
