//! Comparing tensor contents with tolerances: the rule of test programs and of `--expected_output`.
//!
//! What lives here: [`Tolerance`] and the comparison of two numbers and of whole contents.
//! What does not: messages (`check_module.rs`, the command line).

use weft_hal::{ElementType, NumberFormat};
use weft_sync::{Result, bail};

/// How far a value may be from what is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In units of the value.
    pub absolute: f64,
    /// As a part of the expected value.
    pub relative: f64,
}

/// The first pair of values that is not within a tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Element index in row order.
    pub index: usize,
    /// The actual value.
    pub left: f64,
    /// The expected value.
    pub right: f64,
}

impl Tolerance {
    /// Only floating-point types have tolerances.
    pub fn supports(self, element_type: ElementType) -> bool {
        NumberFormat::of(element_type).is_float()
    }

    /// Equal, both NaN, or both finite and close enough.
    ///
    /// ```
    /// use weft::Tolerance;
    /// let tolerance = Tolerance { absolute: 1e-4, relative: 0.0 };
    /// assert!(tolerance.accepts(1.0, 1.00005));
    /// assert!(tolerance.accepts(f64::INFINITY, f64::INFINITY));
    /// assert!(!tolerance.accepts(f64::INFINITY, f64::MAX));
    /// ```
    pub fn accepts(self, actual: f64, expected: f64) -> bool {
        if actual == expected || (actual.is_nan() && expected.is_nan()) {
            return true;
        }
        actual.is_finite()
            && expected.is_finite()
            && (actual - expected).abs() <= self.absolute + self.relative * expected.abs()
    }
}

/// The first pair of floats outside of the tolerance. Both contents have the same type and length.
pub fn compare_contents(
    element_type: ElementType,
    actual: &[u8],
    expected: &[u8],
    tolerance: Tolerance,
) -> Option<Difference> {
    let format = NumberFormat::of(element_type);
    (0..)
        .map_while(|index| {
            Some((index, format.read_float(actual, index)?, format.read_float(expected, index)?))
        })
        .find(|(_, left, right)| !tolerance.accepts(*left, *right))
        .map(|(index, left, right)| Difference { index, left, right })
}

/// The first element that is zero. NaN is not. INVALID_ARGUMENT for types other than integers, f32 and f64.
pub(crate) fn first_zero(element_type: ElementType, contents: &[u8], count: u64) -> Result<Option<usize>> {
    let format = NumberFormat::of(element_type);
    // Elements beyond memory do not exist: contents were read for exactly this count.
    let indices = 0..usize::try_from(count).unwrap_or(usize::MAX);
    match format {
        NumberFormat::Integer { .. } => {
            Ok(indices.into_iter().find(|index| format.read_integer(contents, *index) == Some(0)))
        }
        NumberFormat::F32 | NumberFormat::F64 => {
            Ok(indices.into_iter().find(|index| format.read_float(contents, *index) == Some(0.0)))
        }
        _ => bail!(InvalidArgument, "elements of type {element_type} have no truth value"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule of near equality. [hal-module 60]
    #[test]
    fn near_equality() {
        let none = Tolerance { absolute: 0.0, relative: 0.0 };
        let absolute = Tolerance { absolute: 0.5, relative: 0.0 };
        let relative = Tolerance { absolute: 0.0, relative: 0.25 };
        for tolerance in [none, absolute, relative] {
            assert!(tolerance.accepts(f64::INFINITY, f64::INFINITY));
            assert!(tolerance.accepts(f64::NAN, f64::NAN));
            assert!(tolerance.accepts(-0.0, 0.0));
            assert!(!tolerance.accepts(f64::INFINITY, f64::NEG_INFINITY));
            assert!(!tolerance.accepts(f64::NAN, 1.0));
            assert!(!tolerance.accepts(1.0, f64::NAN));
            assert!(!tolerance.accepts(1.0, f64::INFINITY));
        }
        assert!(absolute.accepts(1.5, 1.0));
        assert!(!absolute.accepts(1.5000001, 1.0));
        assert!(relative.accepts(5.0, 4.0));
        assert!(!relative.accepts(4.0, 3.0));
        assert!(Tolerance { absolute: 0.0, relative: 1e-4 }.accepts(10000.1, 10000.0));
    }
}
