//! How the elements of a type are stored as numbers: the one place that maps element types to representations.
//!
//! What lives here: [`NumberFormat`], reading an element as a number, writing one.
//! What does not: text (see `text/`), small-float arithmetic (see `minifloat.rs`).

use crate::element::{ElementClass, ElementType};
use crate::minifloat::MiniFloat;

/// Whether negative integers exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signedness {
    /// Either reading is fine: both ranges are accepted, values print as signed.
    Signless,
    /// Two's complement.
    Signed,
    /// Never negative.
    Unsigned,
}

/// The representation of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
    /// An integer of 1, 2, 4 or 8 bytes.
    Integer {
        /// Bytes of one element.
        byte_count: usize,
        /// Which values it holds.
        signedness: Signedness,
    },
    /// An integer of 2 or 4 bits, packed from the low end of each byte.
    SubByte {
        /// Bits of one element.
        bit_count: u32,
        /// Which values it holds.
        signedness: Signedness,
    },
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// A float of one or two bytes.
    Mini(MiniFloat),
    /// Bytes that weft does not interpret: truth values, complex numbers, everything else.
    Bytes {
        /// Bytes of one element.
        byte_count: usize,
    },
}

impl NumberFormat {
    /// The representation of `element_type`.
    pub const fn of(element_type: ElementType) -> NumberFormat {
        let bytes = NumberFormat::Bytes { byte_count: element_type.dense_byte_count() as usize };
        let Some(class) = element_type.class() else { return bytes };
        match (class, element_type.bit_count()) {
            (ElementClass::Integer, bits) => NumberFormat::integer(bits, Signedness::Signless),
            (ElementClass::SignedInteger, bits) => NumberFormat::integer(bits, Signedness::Signed),
            (ElementClass::UnsignedInteger, bits) => NumberFormat::integer(bits, Signedness::Unsigned),
            (ElementClass::Float, 16) => NumberFormat::Mini(MiniFloat::F16),
            (ElementClass::Float, 32) => NumberFormat::F32,
            (ElementClass::Float, 64) => NumberFormat::F64,
            (ElementClass::BFloat, 16) => NumberFormat::Mini(MiniFloat::BF16),
            (ElementClass::Float8E5M2, 8) => NumberFormat::Mini(MiniFloat::F8E5M2),
            (ElementClass::Float8E4M3FN, 8) => NumberFormat::Mini(MiniFloat::F8E4M3FN),
            (ElementClass::Float8E5M2Fnuz, 8) => NumberFormat::Mini(MiniFloat::F8E5M2FNUZ),
            (ElementClass::Float8E4M3Fnuz, 8) => NumberFormat::Mini(MiniFloat::F8E4M3FNUZ),
            (ElementClass::Float8E8M0Fnu, 8) => NumberFormat::Mini(MiniFloat::F8E8M0FNU),
            _ => bytes,
        }
    }

    const fn integer(bit_count: u32, signedness: Signedness) -> NumberFormat {
        match bit_count {
            8 | 16 | 32 | 64 => NumberFormat::Integer { byte_count: bit_count as usize / 8, signedness },
            2 | 4 => NumberFormat::SubByte { bit_count, signedness },
            _ => NumberFormat::Bytes { byte_count: bit_count.div_ceil(8) as usize },
        }
    }

    /// The value is a floating-point number.
    pub const fn is_float(self) -> bool {
        matches!(self, NumberFormat::F32 | NumberFormat::F64 | NumberFormat::Mini(_))
    }

    /// Bytes of one element; `None` for packed elements.
    pub const fn byte_count(self) -> Option<usize> {
        match self {
            NumberFormat::Integer { byte_count, .. } | NumberFormat::Bytes { byte_count } => Some(byte_count),
            NumberFormat::SubByte { .. } => None,
            NumberFormat::F32 => Some(4),
            NumberFormat::F64 => Some(8),
            NumberFormat::Mini(format) => Some(format.byte_count()),
        }
    }

    /// Element `index` of packed data as a float, exactly. `None` beyond the end or if the elements are no floats.
    pub fn read_float(self, data: &[u8], index: usize) -> Option<f64> {
        let byte_count = self.byte_count()?;
        let start = index.checked_mul(byte_count)?;
        let element = data.get(start..start.checked_add(byte_count)?)?;
        match self {
            NumberFormat::F32 => Some(f64::from(f32::from_bits(read_bits(element) as u32))),
            NumberFormat::F64 => Some(f64::from_bits(read_bits(element))),
            NumberFormat::Mini(format) => Some(f64::from(format.widen(read_bits(element) as u32))),
            _ => None,
        }
    }

    /// Element `index` of packed data as a number wide enough for every integer type, sign already applied.
    /// `None` beyond the end or if the elements are no integers.
    pub fn read_integer(self, data: &[u8], index: usize) -> Option<i128> {
        match self {
            NumberFormat::Integer { byte_count, signedness } => {
                let start = index.checked_mul(byte_count)?;
                let element = data.get(start..start.checked_add(byte_count)?)?;
                Some(apply_sign(read_bits(element), byte_count as u32 * 8, signedness))
            }
            NumberFormat::SubByte { bit_count, signedness } => {
                let per_byte = (8 / bit_count) as usize;
                let byte = *data.get(index / per_byte)?;
                let shift = (index % per_byte) as u32 * bit_count;
                let bits = u64::from(byte >> shift) & ((1 << bit_count) - 1);
                Some(apply_sign(bits, bit_count, signedness))
            }
            _ => None,
        }
    }
}

/// Up to 8 little-endian bytes as a number.
fn read_bits(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(all)
}

fn apply_sign(bits: u64, bit_count: u32, signedness: Signedness) -> i128 {
    if signedness == Signedness::Unsigned {
        return i128::from(bits);
    }
    let unused = 64 - bit_count;
    i128::from(((bits << unused) as i64) >> unused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_integers_are_read_from_the_low_end() {
        let format = NumberFormat::of(ElementType::I4);
        let values: Vec<_> = (0..5).map(|index| format.read_integer(&[0x21, 0xF7], index)).collect();
        assert_eq!(values, [Some(1), Some(2), Some(7), Some(-1), None]);
        let format = NumberFormat::of(ElementType::new(ElementClass::UnsignedInteger, 2));
        let values: Vec<_> = (0..4).map(|index| format.read_integer(&[0b11_10_01_00], index)).collect();
        assert_eq!(values, [Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn elements_outside_the_data_do_not_exist() {
        let format = NumberFormat::of(ElementType::F32);
        assert_eq!(format.read_float(&1.5f32.to_le_bytes(), 0), Some(1.5));
        assert_eq!(format.read_float(&[0; 7], 1), None);
        assert_eq!(format.read_float(&[0; 8], usize::MAX), None);
        assert_eq!(NumberFormat::of(ElementType::I64).read_integer(&[0xFF; 8], 0), Some(-1));
        assert_eq!(
            NumberFormat::of(ElementType::UI64).read_integer(&[0xFF; 8], 0),
            Some(i128::from(u64::MAX))
        );
    }
}
