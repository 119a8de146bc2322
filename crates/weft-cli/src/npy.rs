//! numpy's file format (`docs/spec/hal-module.md` §13.4): reading and writing one array after the other.
//!
//! What lives here: [`Header`], its text in a file, the numpy name of an element type. The elements follow a header
//! as they lie in memory, so whoever reads or writes them needs no help from here.
//! What does not: files, positions, tensors (see `inputs.rs`, `outputs.rs`).

use std::io::{self, Read, Write};

use weft::hal::{ElementClass, ElementType, Shape};
use weft::sync::{Result, bail, status};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The dictionary of an honest header has a few hundred bytes, even for 128 dimensions of 20 digits.
const DICTIONARY_BYTES_MAX: usize = 1 << 16;

/// The elements of an array that was written start at a multiple of this.
const DATA_ALIGNMENT: usize = 64;

/// What is known of an array before its elements.
#[derive(Clone, Debug)]
pub struct Header {
    /// The extents.
    pub shape: Shape,
    /// What one element is.
    pub element_type: ElementType,
}

impl Header {
    /// Reads the header of the next array; `None` where the file ends.
    pub fn read(source: &mut dyn Read) -> Result<Option<Header>> {
        let mut magic = [0; 6];
        let first = source.read(&mut magic[..1]).map_err(|error| broken(&error))?;
        if first == 0 {
            return Ok(None);
        }
        fill(source, &mut magic[1..])?;
        if magic != *MAGIC {
            bail!(InvalidArgument, "npy header magic mismatch; expected {:02X?}, found {magic:02X?}", MAGIC);
        }
        let mut version = [0; 2];
        fill(source, &mut version)?;
        let length = match version[0] {
            1 => {
                let mut bytes = [0; 2];
                fill(source, &mut bytes)?;
                usize::from(u16::from_le_bytes(bytes))
            }
            2 | 3 => {
                let mut bytes = [0; 4];
                fill(source, &mut bytes)?;
                u32::from_le_bytes(bytes) as usize
            }
            other => {
                bail!(Unimplemented, "npy version {other}.{} is not supported; expected 1 to 3", version[1])
            }
        };
        if length > DICTIONARY_BYTES_MAX {
            bail!(
                InvalidArgument,
                "npy header of {length} bytes is longer than the {DICTIONARY_BYTES_MAX} bytes allowed"
            );
        }
        let mut dictionary = vec![0; length];
        fill(source, &mut dictionary)?;
        Header::parse(&String::from_utf8_lossy(&dictionary)).map(Some)
    }

    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }`.
    fn parse(dictionary: &str) -> Result<Header> {
        let mut scanner = Scanner { rest: dictionary };
        let (mut element_type, mut shape, mut fortran_order) = (None, None, None);
        scanner.expect('{')?;
        while !scanner.accept('}') {
            let key = scanner.quoted()?;
            scanner.expect(':')?;
            match key {
                "descr" => element_type = Some(parse_descr(scanner.quoted()?)?),
                "fortran_order" => fortran_order = Some(scanner.boolean()?),
                "shape" => shape = Some(scanner.shape()?),
                other => bail!(InvalidArgument, "malformed npy header dict; unknown key '{other}'"),
            }
            if !scanner.accept(',') {
                scanner.expect('}')?;
                break;
            }
        }
        let (Some(shape), Some(element_type), Some(fortran_order)) = (shape, element_type, fortran_order)
        else {
            bail!(
                InvalidArgument,
                "malformed npy header dict; it needs 'descr', 'fortran_order' and 'shape'"
            );
        };
        if fortran_order {
            bail!(
                Unimplemented,
                "fortran order arrays not supported; save a C order copy (numpy.ascontiguousarray)"
            );
        }
        Ok(Header { shape, element_type })
    }

    /// Writes the header such that the elements start at a multiple of [`DATA_ALIGNMENT`].
    pub fn write(&self, target: &mut dyn Write) -> Result<()> {
        let dims = self.shape.dims();
        let shape = match dims {
            [single] => format!("({single},)"),
            _ => format!("({})", dims.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
        };
        let descr = format_descr(self.element_type)?;
        let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let fixed = MAGIC.len() + 4;
        let padded = (fixed + text.len() + 1).next_multiple_of(DATA_ALIGNMENT) - fixed;
        while text.len() + 1 < padded {
            text.push(' ');
        }
        text.push('\n');
        let Ok(length) = u16::try_from(text.len()) else {
            bail!(Unimplemented, "an npy header for {} dimensions is too long for version 1.0", dims.len());
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        target.write_all(&bytes).map_err(|error| status!(Unavailable, "cannot write an npy header: {error}"))
    }
}

/// `<f4` and the like: byte order, kind, bytes of one element.
fn parse_descr(descr: &str) -> Result<ElementType> {
    let mut characters = descr.chars();
    let order = characters.next();
    if order == Some('>') {
        bail!(Unimplemented, "big-endian data type '{descr}' unsupported; save a little-endian copy");
    }
    let kind = match order {
        Some('<' | '=' | '|') => characters.next(),
        other => other,
    };
    let class = match kind {
        Some('b') => ElementClass::Boolean,
        Some('i') => ElementClass::SignedInteger,
        Some('u') => ElementClass::UnsignedInteger,
        Some('f') => ElementClass::Float,
        Some('c') => ElementClass::Complex,
        Some('V') => ElementClass::Opaque,
        Some(other) => bail!(Unimplemented, "unsupported data type {other} in '{descr}'"),
        None => bail!(InvalidArgument, "malformed npy data type '{descr}'"),
    };
    // 24 bits hold the bit count.
    match characters.as_str().parse::<u32>() {
        Ok(bytes @ 1..=0x1F_FFFF) => Ok(ElementType::new(class, bytes * 8)),
        _ => bail!(InvalidArgument, "malformed npy data type '{descr}'"),
    }
}

/// The numpy name of a type. numpy has no bf16 and no 8-bit floats: they are written as bytes without meaning.
fn format_descr(element_type: ElementType) -> Result<String> {
    let bits = element_type.bit_count();
    let kind = match element_type.class() {
        _ if bits == 0 || !bits.is_multiple_of(8) => None,
        Some(ElementClass::Boolean) => Some('b'),
        Some(ElementClass::Integer | ElementClass::SignedInteger) => Some('i'),
        Some(ElementClass::UnsignedInteger) => Some('u'),
        Some(ElementClass::Float) => Some('f'),
        Some(ElementClass::Complex) => Some('c'),
        Some(_) => Some('V'),
        None => None,
    };
    let Some(kind) = kind else {
        bail!(
            Unimplemented,
            "numpy has no type for {element_type}; write raw bytes (--output=@file.bin) instead"
        );
    };
    let order = if bits == 8 { '|' } else { '<' };
    Ok(format!("{order}{kind}{}", bits / 8))
}

fn fill(source: &mut dyn Read, bytes: &mut [u8]) -> Result<()> {
    source.read_exact(bytes).map_err(|error| broken(&error))
}

#[cold]
fn broken(error: &io::Error) -> weft::sync::Status {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => status!(OutOfRange, "end-of-file inside an npy header"),
        _ => status!(Unavailable, "cannot read an npy header: {error}"),
    }
}

/// Reads the few forms of a Python literal that headers use.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<()> {
        if !self.accept(wanted) {
            let found: String = self.rest.chars().take(12).collect();
            bail!(InvalidArgument, "malformed npy header dict; expected `{wanted}`, found {found:?}");
        }
        Ok(())
    }

    fn quoted(&mut self) -> Result<&'a str> {
        self.skip_space();
        let quote = if self.rest.starts_with('"') { '"' } else { '\'' };
        self.expect(quote)?;
        let Some((text, rest)) = self.rest.split_once(quote) else {
            bail!(InvalidArgument, "malformed npy header dict; a quote is not closed");
        };
        self.rest = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool> {
        self.skip_space();
        for (word, value) in [("False", false), ("True", true)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        bail!(InvalidArgument, "malformed npy header dict; fortran_order is neither True nor False");
    }

    fn shape(&mut self) -> Result<Shape> {
        self.expect('(')?;
        let mut dims = Vec::new();
        while !self.accept(')') {
            self.skip_space();
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.rest.split_at(digits);
            let Ok(dim) = number.parse() else {
                let found = self.rest.split([',', ')']).next().unwrap_or_default().trim();
                bail!(InvalidArgument, "malformed npy header dict; '{found}' is no extent of a shape");
            };
            self.rest = rest;
            dims.push(dim);
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Shape::new(&dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft::sync::Code;

    fn file(version: u8, dictionary: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[version, 0]);
        match version {
            1 => bytes.extend_from_slice(&(dictionary.len() as u16).to_le_bytes()),
            _ => bytes.extend_from_slice(&(dictionary.len() as u32).to_le_bytes()),
        }
        bytes.extend_from_slice(dictionary.as_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Option<Header>> {
        Header::read(&mut &bytes[..])
    }

    /// [hal-module 69] Every type and rank survives writing and reading; the elements are aligned.
    #[test]
    fn headers_round_trip_for_every_type_and_rank() {
        let types = [
            (ElementType::BOOL8, "|b1"),
            (ElementType::SI8, "|i1"),
            (ElementType::UI8, "|u1"),
            (ElementType::SI16, "<i2"),
            (ElementType::UI32, "<u4"),
            (ElementType::SI64, "<i8"),
            (ElementType::F16, "<f2"),
            (ElementType::F32, "<f4"),
            (ElementType::F64, "<f8"),
            (ElementType::COMPLEX64, "<c8"),
            (ElementType::COMPLEX128, "<c16"),
            (ElementType::new(ElementClass::Opaque, 16), "<V2"),
        ];
        let shapes: [&[u64]; 6] = [&[], &[4], &[2, 4], &[0], &[1, 2, 3, 4], &[2, 0]];
        for (element_type, descr) in types {
            for dims in shapes {
                let header = Header { shape: Shape::new(dims).unwrap(), element_type };
                let mut bytes = Vec::new();
                header.write(&mut bytes).unwrap();
                assert!(bytes.len().is_multiple_of(DATA_ALIGNMENT));
                assert!(bytes.ends_with(b"\n"));
                assert!(String::from_utf8_lossy(&bytes).contains(&format!("'descr': '{descr}'")));
                let again = read(&bytes).unwrap().unwrap();
                assert_eq!(again.shape.dims(), dims);
                assert_eq!(again.element_type, element_type);
            }
        }
    }

    /// [hal-module 69] Signless integers become numpy's signed ones; types that numpy lacks become plain bytes.
    #[test]
    fn types_that_numpy_lacks_are_written_as_their_nearest() {
        for (element_type, descr) in [
            (ElementType::I32, "<i4"),
            (ElementType::I8, "|i1"),
            (ElementType::BF16, "<V2"),
            (ElementType::F8E4M3FN, "|V1"),
        ] {
            assert_eq!(format_descr(element_type).unwrap(), descr);
        }
        assert_eq!(format_descr(ElementType::I4).unwrap_err().code(), Code::Unimplemented);
    }

    /// [hal-module 69] Versions 1 to 3, any key order, either quote.
    #[test]
    fn all_versions_and_spellings_are_read() {
        let dictionary = r#"{"shape":(3 , ),'descr' : '=f4',"fortran_order": False}"#;
        for version in 1..=3 {
            let header = read(&file(version, dictionary)).unwrap().unwrap();
            assert_eq!(header.shape.dims(), [3]);
            assert_eq!(header.element_type, ElementType::F32);
        }
    }

    /// [hal-module 69] What is refused, and how.
    #[test]
    fn what_cannot_be_read_is_refused() {
        let with = |descr: &str, order: &str, shape: &str| {
            file(1, &format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"))
        };
        let cases = [
            (b"\x93NUMPX\x01\x00".to_vec(), Code::InvalidArgument),
            (file(4, "{}"), Code::Unimplemented),
            (b"\x93NUM".to_vec(), Code::OutOfRange),
            (b"\x93NUMPY\x01\x00\xFF\x00{".to_vec(), Code::OutOfRange),
            (b"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF".to_vec(), Code::InvalidArgument),
            (with("'<f4'", "True", "(2, 2)"), Code::Unimplemented),
            (with("'>f4'", "False", "(2,)"), Code::Unimplemented),
            (with("'<U4'", "False", "(2,)"), Code::Unimplemented),
            (with("'|O'", "False", "(2,)"), Code::Unimplemented),
            (with("'<M8[s]'", "False", "(2,)"), Code::Unimplemented),
            (with("[('a', '<i4')]", "False", "(2,)"), Code::InvalidArgument),
            (with("'<f'", "False", "(2,)"), Code::InvalidArgument),
            (with("'<f99999999'", "False", "(2,)"), Code::InvalidArgument),
            (with("'<f0'", "False", "(2,)"), Code::InvalidArgument),
            (with("'<f4'", "False", "(-1,)"), Code::InvalidArgument),
            (with("'<f4'", "False", "(99999999999999999999,)"), Code::InvalidArgument),
            (with("'<f4'", "Maybe", "(1,)"), Code::InvalidArgument),
            (with("'<f4'", "False", "(1"), Code::InvalidArgument),
            (file(1, "{'descr': '<f4'}"), Code::InvalidArgument),
            (file(1, "{'descr"), Code::InvalidArgument),
            (file(1, "\u{FF}\u{0}"), Code::InvalidArgument),
        ];
        for (bytes, code) in cases {
            let error = read(&bytes).unwrap_err();
            assert_eq!(error.code(), code, "{error}: {:?}", String::from_utf8_lossy(&bytes));
        }
        assert!(read(b"").unwrap().is_none());
    }
}
