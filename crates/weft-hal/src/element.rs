//! Element types of tensors: the 32-bit number that programs use, its parts, its name, its size.
//!
//! What lives here: [`ElementType`], [`ElementClass`], [`Encoding`].
//! What does not: converting values (see `minifloat.rs`) and their text form (see `text/`).

use std::fmt;
use std::str::FromStr;
use weft_sync::{Code, Result, Status, bail};

/// What the bits of an element mean. The numbers are program ABI (`docs/spec/hal-module.md` §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ElementClass {
    /// Bytes without meaning.
    Opaque = 0x00,
    /// An integer whose signedness is up to the program.
    Integer = 0x10,
    /// A signed integer.
    SignedInteger = 0x11,
    /// An unsigned integer.
    UnsignedInteger = 0x12,
    /// A truth value, stored as one byte.
    Boolean = 0x13,
    /// An IEEE 754 binary float.
    Float = 0x21,
    /// A float with the exponent range of `f32` and a short mantissa.
    BFloat = 0x22,
    /// Two floats, real part first; the bit count covers both.
    Complex = 0x23,
    /// 8-bit float with infinities: 5 exponent bits, 2 mantissa bits.
    Float8E5M2 = 0x24,
    /// 8-bit float without infinities: 4 exponent bits, 3 mantissa bits.
    Float8E4M3FN = 0x25,
    /// As `Float8E5M2` with one NaN, no infinities, no negative zero.
    Float8E5M2Fnuz = 0x26,
    /// As `Float8E4M3FN` with one NaN and no negative zero.
    Float8E4M3Fnuz = 0x27,
    /// A power of two: 8 exponent bits, no sign, no zero.
    Float8E8M0Fnu = 0x28,
}

/// Class, text prefix. Longer prefixes stand before their own prefixes, so that the first match is right.
const PREFIXES: [(ElementClass, &str); 13] = [
    (ElementClass::Float8E8M0Fnu, "f8E8M0FNU"),
    (ElementClass::Float8E5M2Fnuz, "f8E5M2FNUZ"),
    (ElementClass::Float8E4M3Fnuz, "f8E4M3FNUZ"),
    (ElementClass::Float8E4M3FN, "f8E4M3FN"),
    (ElementClass::Float8E5M2, "f8E5M2"),
    (ElementClass::SignedInteger, "si"),
    (ElementClass::UnsignedInteger, "ui"),
    (ElementClass::BFloat, "bf"),
    (ElementClass::Complex, "cf"),
    (ElementClass::Integer, "i"),
    (ElementClass::Float, "f"),
    (ElementClass::Opaque, "*"),
    (ElementClass::Opaque, "x"),
];

impl ElementClass {
    /// The class with this number.
    pub const fn from_raw(raw: u8) -> Option<ElementClass> {
        Some(match raw {
            0x00 => ElementClass::Opaque,
            0x10 => ElementClass::Integer,
            0x11 => ElementClass::SignedInteger,
            0x12 => ElementClass::UnsignedInteger,
            0x13 => ElementClass::Boolean,
            0x21 => ElementClass::Float,
            0x22 => ElementClass::BFloat,
            0x23 => ElementClass::Complex,
            0x24 => ElementClass::Float8E5M2,
            0x25 => ElementClass::Float8E4M3FN,
            0x26 => ElementClass::Float8E5M2Fnuz,
            0x27 => ElementClass::Float8E4M3Fnuz,
            0x28 => ElementClass::Float8E8M0Fnu,
            _ => return None,
        })
    }

    /// The class covers integers of any signedness, truth values included.
    pub const fn is_integer(self) -> bool {
        matches!(
            self,
            ElementClass::Integer
                | ElementClass::SignedInteger
                | ElementClass::UnsignedInteger
                | ElementClass::Boolean
        )
    }

    /// The class names one of the 8-bit float formats, whose bit count is fixed.
    pub const fn is_float8(self) -> bool {
        matches!(
            self,
            ElementClass::Float8E5M2
                | ElementClass::Float8E4M3FN
                | ElementClass::Float8E5M2Fnuz
                | ElementClass::Float8E4M3Fnuz
                | ElementClass::Float8E8M0Fnu
        )
    }
}

/// The type of one tensor element: class and bit count in the 32 bits that programs pass around.
///
/// Any 32-bit number is a value of this type and is preserved; [`ElementType::class`] says whether weft knows it.
///
/// ```
/// use weft_hal::ElementType;
/// assert_eq!(ElementType::F32.to_string(), "f32");
/// assert_eq!("bf16".parse::<ElementType>().unwrap(), ElementType::BF16);
/// assert_eq!(ElementType::I4.packed_byte_length(7), Some(4));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ElementType(u32);

impl ElementType {
    /// No type at all.
    pub const NONE: ElementType = ElementType(0);
    /// One byte without meaning.
    pub const OPAQUE8: ElementType = ElementType::new(ElementClass::Opaque, 8);
    /// A truth value in one byte; its text name is `i1`.
    pub const BOOL8: ElementType = ElementType::new(ElementClass::Boolean, 8);
    /// 2-bit integer, packed.
    pub const I2: ElementType = ElementType::new(ElementClass::Integer, 2);
    /// 4-bit integer, packed.
    pub const I4: ElementType = ElementType::new(ElementClass::Integer, 4);
    /// 8-bit integer.
    pub const I8: ElementType = ElementType::new(ElementClass::Integer, 8);
    /// 16-bit integer.
    pub const I16: ElementType = ElementType::new(ElementClass::Integer, 16);
    /// 32-bit integer.
    pub const I32: ElementType = ElementType::new(ElementClass::Integer, 32);
    /// 64-bit integer.
    pub const I64: ElementType = ElementType::new(ElementClass::Integer, 64);
    /// Signed 8-bit integer.
    pub const SI8: ElementType = ElementType::new(ElementClass::SignedInteger, 8);
    /// Signed 16-bit integer.
    pub const SI16: ElementType = ElementType::new(ElementClass::SignedInteger, 16);
    /// Signed 32-bit integer.
    pub const SI32: ElementType = ElementType::new(ElementClass::SignedInteger, 32);
    /// Signed 64-bit integer.
    pub const SI64: ElementType = ElementType::new(ElementClass::SignedInteger, 64);
    /// Unsigned 8-bit integer.
    pub const UI8: ElementType = ElementType::new(ElementClass::UnsignedInteger, 8);
    /// Unsigned 16-bit integer.
    pub const UI16: ElementType = ElementType::new(ElementClass::UnsignedInteger, 16);
    /// Unsigned 32-bit integer.
    pub const UI32: ElementType = ElementType::new(ElementClass::UnsignedInteger, 32);
    /// Unsigned 64-bit integer.
    pub const UI64: ElementType = ElementType::new(ElementClass::UnsignedInteger, 64);
    /// Half-precision float.
    pub const F16: ElementType = ElementType::new(ElementClass::Float, 16);
    /// Single-precision float.
    pub const F32: ElementType = ElementType::new(ElementClass::Float, 32);
    /// Double-precision float.
    pub const F64: ElementType = ElementType::new(ElementClass::Float, 64);
    /// 16-bit float with the range of `f32`.
    pub const BF16: ElementType = ElementType::new(ElementClass::BFloat, 16);
    /// Two `f32`.
    pub const COMPLEX64: ElementType = ElementType::new(ElementClass::Complex, 64);
    /// Two `f64`.
    pub const COMPLEX128: ElementType = ElementType::new(ElementClass::Complex, 128);
    /// 8-bit float, 5 exponent bits, with infinities.
    pub const F8E5M2: ElementType = ElementType::new(ElementClass::Float8E5M2, 8);
    /// 8-bit float, 4 exponent bits, finite and NaN.
    pub const F8E4M3FN: ElementType = ElementType::new(ElementClass::Float8E4M3FN, 8);
    /// 8-bit float, 5 exponent bits, one NaN, no negative zero.
    pub const F8E5M2FNUZ: ElementType = ElementType::new(ElementClass::Float8E5M2Fnuz, 8);
    /// 8-bit float, 4 exponent bits, one NaN, no negative zero.
    pub const F8E4M3FNUZ: ElementType = ElementType::new(ElementClass::Float8E4M3Fnuz, 8);
    /// 8-bit power of two.
    pub const F8E8M0FNU: ElementType = ElementType::new(ElementClass::Float8E8M0Fnu, 8);

    /// The type of `class` with `bit_count` bits; bits above the lower 24 are dropped.
    pub const fn new(class: ElementClass, bit_count: u32) -> ElementType {
        ElementType((class as u32) << 24 | (bit_count & 0x00FF_FFFF))
    }

    /// Wraps the number that programs use. Every number is accepted.
    pub const fn from_raw(raw: u32) -> ElementType {
        ElementType(raw)
    }

    /// The number that programs use.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// What the bits mean; `None` for numbers that weft does not know.
    pub const fn class(self) -> Option<ElementClass> {
        ElementClass::from_raw((self.0 >> 24) as u8)
    }

    /// Bits in one element.
    pub const fn bit_count(self) -> u32 {
        self.0 & 0x00FF_FFFF
    }

    /// Bytes of one element stored alone.
    pub const fn dense_byte_count(self) -> u64 {
        self.bit_count().div_ceil(8) as u64
    }

    /// Elements start at byte boundaries when packed.
    pub const fn is_byte_aligned(self) -> bool {
        self.bit_count().is_multiple_of(8)
    }

    /// Bytes of `count` packed elements; `None` when the number does not fit.
    #[inline]
    pub fn packed_byte_length(self, count: u64) -> Option<u64> {
        let bits = u128::from(count) * u128::from(self.bit_count());
        u64::try_from(bits.div_ceil(8)).ok()
    }
}

impl fmt::Display for ElementType {
    /// The text name: `f32`, `si8`, `i1`, `*8`; unknown classes appear as `?` and the number in hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class() {
            Some(ElementClass::Boolean) if self.bit_count() == 8 => f.write_str("i1"),
            Some(class) if class.is_float8() && self.bit_count() == 8 => f.write_str(prefix(class)),
            Some(class) => write!(f, "{}{}", prefix(class), self.bit_count()),
            None => write!(f, "?{:08x}", self.0),
        }
    }
}

fn prefix(class: ElementClass) -> &'static str {
    PREFIXES.iter().find(|(known, _)| *known == class).map_or("i", |(_, text)| text)
}

impl fmt::Debug for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}({:08x})", self.0)
    }
}

impl FromStr for ElementType {
    type Err = Status;

    /// Reads a text name. `i1` is the one-byte truth value, as in compiled programs.
    fn from_str(text: &str) -> Result<ElementType> {
        let found = PREFIXES.iter().find_map(|(class, prefix)| Some((*class, text.strip_prefix(prefix)?)));
        let Some((class, digits)) = found else {
            bail!(
                InvalidArgument,
                "unhandled element type prefix in '{text}'; expected a type such as i32, f32 or bf16"
            );
        };
        if class.is_float8() {
            if digits.is_empty() {
                return Ok(ElementType::new(class, 8));
            }
            bail!(InvalidArgument, "element type '{text}' has text after its name: '{digits}'");
        }
        let bit_count = parse_bit_count(digits).ok_or_else(|| bad_bit_count(text))?;
        match (class, bit_count) {
            (ElementClass::Integer, 1) => Ok(ElementType::BOOL8),
            _ => Ok(ElementType::new(class, bit_count)),
        }
    }
}

fn parse_bit_count(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse::<u8>().ok().map(u32::from)).flatten()
}

#[cold]
fn bad_bit_count(text: &str) -> Status {
    Status::new(
        Code::InvalidArgument,
        format!("element type '{text}' needs a bit count from 0 to 255 after its prefix"),
    )
}

/// How elements are laid out in memory. Any number is preserved; two have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Encoding(u32);

impl Encoding {
    /// Layout unknown.
    pub const OPAQUE: Encoding = Encoding(0);
    /// Elements one after the other, the last dimension varying fastest.
    pub const DENSE_ROW_MAJOR: Encoding = Encoding(1);

    /// Wraps the number that programs use. Every number is accepted.
    pub const fn from_raw(raw: u32) -> Encoding {
        Encoding(raw)
    }

    /// The number that programs use.
    pub const fn raw(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and numbers of every type in the table. [hal-module 47]
    #[test]
    fn names_and_numbers_agree() {
        let table = [
            ("*8", 0x0000_0008),
            ("i4", 0x1000_0004),
            ("i8", 0x1000_0008),
            ("i16", 0x1000_0010),
            ("i32", 0x1000_0020),
            ("i64", 0x1000_0040),
            ("si32", 0x1100_0020),
            ("ui8", 0x1200_0008),
            ("i1", 0x1300_0008),
            ("f16", 0x2100_0010),
            ("f32", 0x2100_0020),
            ("f64", 0x2100_0040),
            ("bf16", 0x2200_0010),
            ("cf64", 0x2300_0040),
            ("cf128", 0x2300_0080),
            ("f8E5M2", 0x2400_0008),
            ("f8E4M3FN", 0x2500_0008),
            ("f8E5M2FNUZ", 0x2600_0008),
            ("f8E4M3FNUZ", 0x2700_0008),
            ("f8E8M0FNU", 0x2800_0008),
        ];
        for (name, raw) in table {
            assert_eq!(name.parse::<ElementType>().unwrap().raw(), raw, "{name}");
            assert_eq!(ElementType::from_raw(raw).to_string(), name);
        }
        assert_eq!("x8".parse::<ElementType>().unwrap(), ElementType::OPAQUE8);
    }

    /// Malformed type names are refused. [hal-module 48]
    #[test]
    fn malformed_names_are_refused() {
        for text in ["", "1", "*1234", "i300", "i", "f", "i-1", "i+8", "q8", "f8E5M2x", "i 8", "if32", "🙂"]
        {
            assert_eq!(text.parse::<ElementType>().unwrap_err().code(), Code::InvalidArgument, "{text}");
        }
    }

    #[test]
    fn packed_sizes_round_up_and_do_not_wrap() {
        assert_eq!(ElementType::I4.packed_byte_length(7), Some(4));
        assert_eq!(ElementType::I2.packed_byte_length(9), Some(3));
        assert_eq!(ElementType::BOOL8.packed_byte_length(3), Some(3));
        assert_eq!(ElementType::F64.packed_byte_length(u64::MAX), None);
        assert_eq!(ElementType::I4.packed_byte_length(u64::MAX), Some(1 << 63));
        assert_eq!(ElementType::NONE.packed_byte_length(9), Some(0));
    }
}
