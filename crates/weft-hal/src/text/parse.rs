//! Reading tensors from text.
//!
//! What lives here: the outer grammar `<dims>x<type>=<values>`, tokens, ranges of element types.
//! What does not: digits of one number (`number.rs`), files named in place of values (the tool that offers them).

use super::number::{parse_f32, parse_f64, parse_integer};
use crate::element::ElementType;
use crate::number_format::{NumberFormat, Signedness};
use crate::shape::Shape;
use weft_sync::{Code, Result, Status, bail};

/// A tensor specification, split but with its values still text.
///
/// ```
/// use weft_hal::text::TensorText;
/// let text = TensorText::parse("2x2xf32=1 2 3 4").unwrap();
/// assert_eq!(text.shape.dims(), [2, 2]);
/// assert_eq!(text.bytes().unwrap().len(), 16);
/// ```
#[derive(Clone, Debug)]
pub struct TensorText<'a> {
    /// Extents.
    pub shape: Shape,
    /// Type of the elements.
    pub element_type: ElementType,
    /// What follows the first `=`; empty if there is none.
    pub values: &'a str,
}

impl<'a> TensorText<'a> {
    /// Splits a specification. One pair of double quotes around the whole text is removed.
    pub fn parse(text: &'a str) -> Result<TensorText<'a>> {
        let trimmed = text.trim();
        let unquoted = trimmed.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(trimmed);
        let (head, values) = unquoted.split_once('=').unwrap_or((unquoted, ""));
        let (shape, element_type) = match head.rsplit_once('x') {
            Some((dims, name)) => (dims.parse()?, name.trim()),
            None => (Shape::SCALAR, head.trim()),
        };
        Ok(TensorText { shape, element_type: element_type.parse()?, values: values.trim() })
    }

    /// Bytes of the tensor.
    pub fn byte_length(&self) -> Result<u64> {
        self.shape.byte_length(self.element_type)
    }

    /// The values as packed elements.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let length = self.byte_length()?;
        let mut bytes = Vec::new();
        let length_here = usize::try_from(length).map_err(|_| too_large(length))?;
        bytes.try_reserve_exact(length_here).map_err(|_| too_large(length))?;
        bytes.resize(length_here, 0);
        self.write(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes the values to `out`, which has exactly [`TensorText::byte_length`] bytes.
    pub fn write(&self, out: &mut [u8]) -> Result<()> {
        let length = self.byte_length()?;
        if u64::try_from(out.len()) != Ok(length) {
            bail!(OutOfRange, "tensor needs {length} bytes but its target has {}", out.len());
        }
        parse_values(self.element_type, self.shape.element_count()?, self.values, out)
    }
}

#[cold]
fn too_large(length: u64) -> Status {
    Status::new(Code::ResourceExhausted, format!("tensor of {length} bytes does not fit into memory"))
}

/// Writes `count` elements read from `text` to `out`: none gives zeros, one is used for all.
pub fn parse_values(element_type: ElementType, count: u64, text: &str, out: &mut [u8]) -> Result<()> {
    let format = NumberFormat::of(element_type);
    let given = count_values(element_type, count, text)?;
    let mut tokens = tokens(text);
    let Some(first) = tokens.next() else {
        out.fill(0);
        return Ok(());
    };
    write_token(format, element_type, first, out, 0)?;
    if given == 1 {
        splat(format, out, count);
        return Ok(());
    }
    for (index, token) in tokens.enumerate() {
        write_token(format, element_type, token, out, index + 1)?;
    }
    Ok(())
}

/// How many values a text has. OUT_OF_RANGE unless that is none, one, or `count`.
pub fn count_values(element_type: ElementType, count: u64, text: &str) -> Result<u64> {
    let given = tokens(text).count() as u64;
    if given != count && (given > 1 || (given == 1 && count == 0)) {
        bail!(
            OutOfRange,
            "expected {count} values of {element_type} (or one for all, or none), found {given}"
        );
    }
    Ok(given)
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_separator).filter(|token| !token.is_empty())
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || matches!(character, ',' | '[' | ']')
}

/// Repeats the first element over all of `out`.
fn splat(format: NumberFormat, out: &mut [u8], count: u64) {
    let unit = match format {
        NumberFormat::SubByte { bit_count, .. } => {
            let Some(&byte) = out.first() else { return };
            let element = byte & ((1 << bit_count) - 1);
            let whole = (0..8 / bit_count).fold(0, |all, slot| all | element << (slot * bit_count));
            out.fill(whole);
            // Bits beyond the last element stay zero.
            let used = count.wrapping_mul(u64::from(bit_count)) % 8;
            if let (1.., Some(last)) = (used, out.last_mut()) {
                *last &= (1 << used) - 1;
            }
            return;
        }
        _ => format.byte_count().unwrap_or(0),
    };
    if unit == 0 {
        return;
    }
    // Each round copies all that is there already, so that the copies are long.
    let mut filled = unit.min(out.len());
    while filled < out.len() {
        let step = filled.min(out.len() - filled);
        out.copy_within(..step, filled);
        filled += step;
    }
}

fn write_token(
    format: NumberFormat,
    element_type: ElementType,
    token: &str,
    out: &mut [u8],
    index: usize,
) -> Result<()> {
    let written = match format {
        NumberFormat::Integer { byte_count, signedness } => integer(token, byte_count as u32 * 8, signedness)
            .and_then(|bits| store(out, index, &bits.to_le_bytes()[..byte_count])),
        NumberFormat::SubByte { bit_count, signedness } => {
            integer(token, bit_count, signedness).and_then(|bits| store_packed(out, index, bit_count, bits))
        }
        NumberFormat::F32 => parse_f32(token).and_then(|value| store(out, index, &value.to_le_bytes())),
        NumberFormat::F64 => parse_f64(token).and_then(|value| store(out, index, &value.to_le_bytes())),
        NumberFormat::Mini(mini) => parse_f32(token)
            .and_then(|value| store(out, index, &mini.narrow(value).to_le_bytes()[..mini.byte_count()])),
        NumberFormat::Bytes { byte_count } => return hex(token, element_type, byte_count, out, index),
    };
    written.ok_or_else(|| bad_value(element_type, token, index))
}

#[cold]
fn bad_value(element_type: ElementType, token: &str, index: usize) -> Status {
    Status::new(
        Code::InvalidArgument,
        format!("value '{token}' at index {index} is not a valid {element_type}"),
    )
}

fn store(out: &mut [u8], index: usize, element: &[u8]) -> Option<()> {
    let start = index.checked_mul(element.len())?;
    out.get_mut(start..start.checked_add(element.len())?)?.copy_from_slice(element);
    Some(())
}

fn store_packed(out: &mut [u8], index: usize, bit_count: u32, bits: u64) -> Option<()> {
    let per_byte = (8 / bit_count) as usize;
    let byte = out.get_mut(index / per_byte)?;
    let shift = (index % per_byte) as u32 * bit_count;
    let mask = (1u8 << bit_count) - 1;
    *byte = *byte & !(mask << shift) | (bits as u8 & mask) << shift;
    Some(())
}

/// The bits of an integer of `bit_count` bits, if it is in the range that its type accepts.
fn integer(token: &str, bit_count: u32, signedness: Signedness) -> Option<u64> {
    let value = parse_integer(token)?;
    let (low, high) = match (bit_count, signedness) {
        // 32-bit integers wrap, as long as the text fits 64 bits; programs rely on `4294967295` for -1.
        (32, _) | (64, Signedness::Signless | Signedness::Signed) => {
            (i128::from(i64::MIN), i128::from(i64::MAX))
        }
        (64, Signedness::Unsigned) => (-i128::from(u64::MAX), i128::from(u64::MAX)),
        (bits, Signedness::Signless) => (-(1 << (bits - 1)), (1 << bits) - 1),
        (bits, Signedness::Signed) => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        (bits, Signedness::Unsigned) => (0, (1 << bits) - 1),
    };
    (low..=high).contains(&value).then_some(value as u64)
}

/// Two digits a byte, in memory order.
fn hex(
    token: &str,
    element_type: ElementType,
    byte_count: usize,
    out: &mut [u8],
    index: usize,
) -> Result<()> {
    let digits = token.as_bytes();
    if digits.len() != 2 * byte_count {
        bail!(
            InvalidArgument,
            "value '{token}' at index {index} of {element_type} needs {} hexadecimal digits, found {}",
            2 * byte_count,
            token.chars().count()
        );
    }
    let start = index.saturating_mul(byte_count);
    let target = out.get_mut(start..start.saturating_add(byte_count));
    for (byte, pair) in target.into_iter().flatten().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16);
        let low = char::from(pair[1]).to_digit(16);
        let (Some(high), Some(low)) = (high, low) else { return Err(bad_value(element_type, token, index)) };
        *byte = (high << 4 | low) as u8;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::format_tensor;
    use super::*;

    fn round_trip(text: &str) -> Result<String> {
        let parsed = TensorText::parse(text)?;
        format_tensor(&parsed.shape, parsed.element_type, &parsed.bytes()?, 1024)
    }

    fn refused(text: &str) -> Code {
        match round_trip(text) {
            Ok(printed) => panic!("`{text}` was accepted as `{printed}`"),
            Err(status) => status.code(),
        }
    }

    /// Text to bytes to text, for every kind of element. [hal-module 47] [hal 64]
    #[test]
    fn every_type_round_trips() {
        let same = [
            "4xi8=-128 -1 0 127",
            "2xsi8=-128 127",
            "2xui8=0 255",
            "2xi16=-32768 32767",
            "2xui16=0 65535",
            "2xi32=-2147483648 2147483647",
            "2xui32=0 4294967295",
            "2xi64=-9223372036854775808 9223372036854775807",
            "2xui64=0 18446744073709551615",
            "2xsi16=-5 5",
            "2xsi32=-5 5",
            "2xsi64=-5 5",
            "3xf32=0.1 -2.5 INF",
            "3xf64=1E-310 3.14159 -INF",
            "2xf16=65504 5.96046E-08",
            "2xbf16=1.01562 -0",
            "2xf8E5M2=57344 -INF",
            "2xf8E4M3FN=448 -0.00195312",
            "2xf8E5M2FNUZ=57344 7.62939E-06",
            "2xf8E4M3FNUZ=240 NAN",
            "2xf8E8M0FNU=0.125 5.87747E-39",
            "3xi1=01 00 FF",
            "2xcf64=0000803F00000040 0000404000008040",
            "cf128=000102030405060708090A0B0C0D0E0F",
            "2x*8=AB CD",
            "2x*16=ABCD 0102",
            "3xi24=010203 040506 070809",
            "5xi4=-8 7 0 1 -1",
            "3xui2=0 3 2",
            "f32=5",
            "0xi32=",
            "2x0xi32=[][]",
            "2x2xi32=[1 2][3 4]",
        ];
        for text in same {
            assert_eq!(round_trip(text).unwrap(), text);
        }
    }

    /// Accepted boundaries. [hal-module 48]
    #[test]
    fn accepted_values() {
        let cases = [
            ("i8=255", "i8=-1"),
            ("i8=0xff", "i8=-1"),
            ("i8=0377", "i8=-1"),
            ("i16=65535", "i16=-1"),
            ("i32=4294967295", "i32=-1"),
            ("i32=4294967296", "i32=0"),
            ("i32=-2147483649", "i32=2147483647"),
            ("ui32=-1", "ui32=4294967295"),
            ("ui64=-1", "ui64=18446744073709551615"),
            ("i4=15", "i4=-1"),
            ("f32=1e400", "f32=INF"),
            ("f32=0x1.8p3", "f32=12"),
            ("f32=-nan", "f32=-NAN"),
            ("f16=65520", "f16=INF"),
            ("f16=-nan", "f16=NAN"),
            ("f8E4M3FN=449", "f8E4M3FN=448"),
            ("f8E4M3FN=1000", "f8E4M3FN=NAN"),
            ("i1=ff", "i1=FF"),
            ("cf64=0000803f00000040", "cf64=0000803F00000040"),
        ];
        for (text, printed) in cases {
            assert_eq!(round_trip(text).unwrap(), printed, "{text}");
        }
    }

    /// Refused boundaries and malformed values. [hal-module 48]
    #[test]
    fn refused_values() {
        let invalid = [
            "i8=256",
            "i8=-129",
            "si8=128",
            "si8=-129",
            "ui8=256",
            "ui8=-1",
            "i16=65536",
            "i16=-32769",
            "si16=32768",
            "si16=-32769",
            "ui16=-1",
            "i32=9223372036854775808",
            "i32=99999999999999999999",
            "i64=9223372036854775808",
            "i64=0x8000000000000000",
            "i64=-9223372036854775809",
            "ui64=18446744073709551616",
            "i4=16",
            "i4=-9",
            "ui2=4",
            "i32=abc",
            "i32=1.5",
            "i32=08",
            "f32=abc",
            "f32=1e-60",
            "f64=1e-400",
            "f32=2e",
            "2xi32=é 1",
            "3xi32=1;2;3",
            "i1=1",
            "i1=true",
            "i1=001",
            "*8=zz",
            "cf64=00",
            "i1=é",
            "2xi32=\"1 2\"",
        ];
        for text in invalid {
            assert_eq!(refused(text), Code::InvalidArgument, "{text}");
        }
        for text in ["2xi32=1 2 3", "3xf32=1 2", "0xi32=1", "2x0xf32=1 2"] {
            assert_eq!(refused(text), Code::OutOfRange, "{text}");
        }
    }

    /// Malformed shapes and types. [hal-module 48]
    #[test]
    fn refused_specifications() {
        let invalid = [
            "",
            "x",
            "x1",
            "1x",
            "1xx2",
            "x1x2",
            "0x-1",
            "abc",
            "4x",
            "=3",
            "f32x=3",
            "129",
            "xx",
            "x8=ab",
            "1x-2xi32",
            "i300",
            "1",
            "4x1",
            "2 2xi32",
            "9999999999999999999999xi32",
        ];
        for text in invalid {
            assert_eq!(refused(text), Code::InvalidArgument, "{text}");
        }
        let many = format!("{}i8", "1x".repeat(129));
        assert_eq!(refused(&many), Code::OutOfRange);
        assert_eq!(refused("4611686018427387904x4xi32"), Code::OutOfRange);
        assert_eq!(refused("1000000000000000xi64"), Code::ResourceExhausted);
    }

    /// Quotes, blanks, separators, one value for all. [hal-module 48]
    #[test]
    fn separators_and_splats() {
        let cases = [
            ("\"2xi32=1 2\"", "2xi32=1 2"),
            ("  2 x 2 xi32 = [[1,2] [3\t4]] ", "2x2xi32=[1 2][3 4]"),
            ("2xi32=1\n2", "2xi32=1 2"),
            ("xf32=3", "f32=3"),
            ("3xi32=7", "3xi32=7 7 7"),
            ("3xi32", "3xi32=0 0 0"),
            ("3xi32=", "3xi32=0 0 0"),
            ("2xf32=[ ]", "2xf32=0 0"),
            ("7xi4=-1", "7xi4=-1 -1 -1 -1 -1 -1 -1"),
            ("010xi1=01", "8xi1=01 01 01 01 01 01 01 01"),
        ];
        for (text, printed) in cases {
            assert_eq!(round_trip(text).unwrap(), printed, "{text}");
        }
    }

    #[test]
    fn unused_bits_of_a_packed_splat_stay_zero() {
        assert_eq!(TensorText::parse("3xi4=-1").unwrap().bytes().unwrap(), [0xFF, 0x0F]);
    }
}
