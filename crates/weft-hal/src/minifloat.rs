//! Small floating-point formats: one conversion for all of them, from and to `f32`.
//!
//! What lives here: [`MiniFloat`], which describes a format and converts with it.
//! What does not: which element type uses which format (see [`crate::NumberFormat`]).
//!
//! Rules (`docs/spec/hal-module.md` §7.2):
//!
//! 1. Widening is exact. Every NaN widens to the one positive quiet NaN.
//! 2. Narrowing rounds to the nearest value, ties to the even mantissa. The power-of-two format rounds ties up, because
//!    it has no mantissa that could be even.
//! 3. Too large becomes infinity where the format has one, else NaN.
//! 4. Formats without a negative zero give zero; the power-of-two format gives its smallest value for zero, for
//!    anything smaller, and for negative numbers.
//!
//! Integer arithmetic only, so that the floating-point mode of the thread does not matter.

/// How a format spends its highest exponent and its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Specials {
    /// Highest exponent: infinity (mantissa 0) and NaN, as IEEE 754.
    Ieee,
    /// No infinity; all mantissa bits set at the highest exponent is NaN.
    FiniteNan,
    /// No infinity, no negative zero; the pattern of negative zero is the only NaN.
    UnsignedZero,
    /// Only an exponent: no sign, no zero; all ones is NaN.
    ExponentOnly,
}

/// A floating-point format of at most 16 bits.
///
/// ```
/// use weft_hal::MiniFloat;
/// assert_eq!(MiniFloat::F16.narrow(65520.0), 0x7C00); // infinity
/// assert_eq!(MiniFloat::F8E4M3FN.widen(MiniFloat::F8E4M3FN.narrow(449.0)), 448.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiniFloat {
    exponent_bits: u32,
    mantissa_bits: u32,
    bias: i32,
    specials: Specials,
}

const F32_MANTISSA_BITS: u32 = 23;
const F32_EXPONENT_MIN: i32 = -126;
const F32_NAN_BITS: u32 = 0x7FC0_0000;
const F32_INFINITY_BITS: u32 = 0x7F80_0000;

impl MiniFloat {
    /// IEEE half precision.
    pub const F16: MiniFloat = MiniFloat::new(5, 10, 15, Specials::Ieee);
    /// The upper half of an `f32`.
    pub const BF16: MiniFloat = MiniFloat::new(8, 7, 127, Specials::Ieee);
    /// 8 bits, 5 of them exponent, with infinities.
    pub const F8E5M2: MiniFloat = MiniFloat::new(5, 2, 15, Specials::Ieee);
    /// 8 bits, 4 of them exponent, finite and NaN.
    pub const F8E4M3FN: MiniFloat = MiniFloat::new(4, 3, 7, Specials::FiniteNan);
    /// 8 bits, 5 of them exponent, one NaN, one zero.
    pub const F8E5M2FNUZ: MiniFloat = MiniFloat::new(5, 2, 16, Specials::UnsignedZero);
    /// 8 bits, 4 of them exponent, one NaN, one zero.
    pub const F8E4M3FNUZ: MiniFloat = MiniFloat::new(4, 3, 8, Specials::UnsignedZero);
    /// 8 bits of exponent and nothing else.
    pub const F8E8M0FNU: MiniFloat = MiniFloat::new(8, 0, 127, Specials::ExponentOnly);

    const fn new(exponent_bits: u32, mantissa_bits: u32, bias: i32, specials: Specials) -> MiniFloat {
        MiniFloat { exponent_bits, mantissa_bits, bias, specials }
    }

    /// Bytes of one stored value: 1 or 2.
    pub const fn byte_count(self) -> usize {
        // One more bit for the sign, where there is one.
        (self.exponent_bits + self.mantissa_bits).div_ceil(8) as usize
    }

    /// The exact value of a bit pattern. Bits above the format's width are ignored.
    pub const fn widen(self, bits: u32) -> f32 {
        if matches!(self.specials, Specials::ExponentOnly) {
            return widen_exponent(bits & 0xFF);
        }
        let magnitude = bits & self.magnitude_mask();
        let negative = (bits >> (self.exponent_bits + self.mantissa_bits)) & 1 == 1;
        if self.is_nan(magnitude, negative) {
            return f32::from_bits(F32_NAN_BITS);
        }
        let sign = (negative as u32) << 31;
        if matches!(self.specials, Specials::Ieee) && magnitude == self.infinity() {
            return f32::from_bits(sign | F32_INFINITY_BITS);
        }
        f32::from_bits(sign | self.widen_finite(magnitude))
    }

    /// The nearest value of the format; see the rules in the file header.
    pub const fn narrow(self, value: f32) -> u32 {
        let bits = value.to_bits();
        if matches!(self.specials, Specials::ExponentOnly) {
            return narrow_exponent(bits);
        }
        let sign = (bits >> 31) << (self.exponent_bits + self.mantissa_bits);
        let magnitude = bits & 0x7FFF_FFFF;
        if magnitude > F32_INFINITY_BITS {
            return self.nan();
        }
        let rounded = if magnitude == F32_INFINITY_BITS { u32::MAX } else { self.round(magnitude) };
        match self.specials {
            Specials::Ieee if rounded >= self.infinity() => sign | self.infinity(),
            Specials::FiniteNan if rounded >= self.magnitude_mask() => self.nan(),
            Specials::UnsignedZero if rounded > self.magnitude_mask() => self.nan(),
            Specials::UnsignedZero if rounded == 0 => 0,
            _ => sign | rounded,
        }
    }

    const fn magnitude_mask(self) -> u32 {
        (1 << (self.exponent_bits + self.mantissa_bits)) - 1
    }

    /// Highest exponent, empty mantissa.
    const fn infinity(self) -> u32 {
        ((1 << self.exponent_bits) - 1) << self.mantissa_bits
    }

    const fn nan(self) -> u32 {
        match self.specials {
            Specials::Ieee => self.infinity() | (1 << (self.mantissa_bits - 1)),
            Specials::FiniteNan => self.magnitude_mask(),
            Specials::UnsignedZero => self.magnitude_mask() + 1,
            Specials::ExponentOnly => 0xFF,
        }
    }

    const fn is_nan(self, magnitude: u32, negative: bool) -> bool {
        match self.specials {
            Specials::Ieee => magnitude > self.infinity(),
            Specials::FiniteNan => magnitude == self.magnitude_mask(),
            Specials::UnsignedZero => negative && magnitude == 0,
            Specials::ExponentOnly => false,
        }
    }

    /// Bits of the `f32` with the value of a finite magnitude.
    const fn widen_finite(self, magnitude: u32) -> u32 {
        let exponent = magnitude >> self.mantissa_bits;
        let mantissa = magnitude & ((1 << self.mantissa_bits) - 1);
        let shift = F32_MANTISSA_BITS - self.mantissa_bits;
        if exponent > 0 {
            let rebiased = (exponent as i32 - self.bias + 127) as u32;
            return (rebiased << F32_MANTISSA_BITS) | (mantissa << shift);
        }
        // A denormal. With the exponent range of f32 it stays one, otherwise it becomes a normal number.
        if mantissa == 0 || 1 - self.bias == F32_EXPONENT_MIN {
            return mantissa << shift;
        }
        let normalize = mantissa.leading_zeros() - (31 - self.mantissa_bits);
        let rebiased = (1 - self.bias - normalize as i32 + 127) as u32;
        let mantissa = (mantissa << normalize) & ((1 << self.mantissa_bits) - 1);
        (rebiased << F32_MANTISSA_BITS) | (mantissa << shift)
    }

    /// Magnitude bits nearest to a finite `f32` magnitude, as if exponents had no upper end.
    const fn round(self, magnitude: u32) -> u32 {
        let field = magnitude >> F32_MANTISSA_BITS;
        let fraction = magnitude & ((1 << F32_MANTISSA_BITS) - 1);
        let (significand, exponent) = match field {
            0 => (fraction, F32_EXPONENT_MIN),
            _ => (fraction | 1 << F32_MANTISSA_BITS, field as i32 - 127),
        };
        let exponent_min = 1 - self.bias;
        let below = if exponent < exponent_min { (exponent_min - exponent) as u32 } else { 0 };
        let shift = F32_MANTISSA_BITS - self.mantissa_bits + below;
        let rounded = round_to_even(significand, shift);
        // The implicit bit carries into the exponent field by itself: field 1 has it, field 0 does not.
        let base = if below > 0 { 0 } else { (exponent - exponent_min) as u32 };
        (base << self.mantissa_bits) + rounded
    }
}

/// `value / 2^shift`, rounded to nearest, ties to even.
const fn round_to_even(value: u32, shift: u32) -> u32 {
    if shift > 25 {
        return 0; // below half of the smallest step: significands have 24 bits
    }
    let quotient = value >> shift;
    let remainder = value & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    let up = remainder > half || (remainder == half && quotient & 1 == 1);
    quotient + up as u32
}

const fn widen_exponent(bits: u32) -> f32 {
    match bits {
        0 => f32::from_bits(1 << (F32_MANTISSA_BITS - 1)),
        0xFF => f32::from_bits(F32_NAN_BITS),
        _ => f32::from_bits(bits << F32_MANTISSA_BITS),
    }
}

const fn narrow_exponent(bits: u32) -> u32 {
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude >= F32_INFINITY_BITS {
        return 0xFF;
    }
    if bits >> 31 == 1 {
        return 0;
    }
    // Denormals of f32 start at half of 2^-126; between that half, our smallest value, and 2^-126 the middle decides.
    if magnitude < 1 << F32_MANTISSA_BITS {
        return (magnitude >= 3 << (F32_MANTISSA_BITS - 2)) as u32;
    }
    (magnitude + (1 << (F32_MANTISSA_BITS - 1))) >> F32_MANTISSA_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [MiniFloat; 7] = [
        MiniFloat::F16,
        MiniFloat::BF16,
        MiniFloat::F8E5M2,
        MiniFloat::F8E4M3FN,
        MiniFloat::F8E5M2FNUZ,
        MiniFloat::F8E4M3FNUZ,
        MiniFloat::F8E8M0FNU,
    ];

    fn patterns(format: MiniFloat) -> std::ops::Range<u32> {
        0..1 << (8 * format.byte_count())
    }

    /// Every pattern survives widening and narrowing, NaNs as NaN.
    #[test]
    fn every_pattern_survives() {
        for format in ALL {
            for bits in patterns(format) {
                let wide = format.widen(bits);
                if wide.is_nan() {
                    assert!(format.widen(format.narrow(wide)).is_nan());
                } else {
                    assert_eq!(format.narrow(wide), bits, "{format:?} {bits:#x} {wide}");
                }
            }
        }
    }

    /// The nearest of all finite values is chosen, by an independent search with f64.
    #[test]
    fn narrowing_finds_the_nearest_value() {
        for format in ALL {
            if format == MiniFloat::F8E8M0FNU {
                continue;
            }
            let top = patterns(format).end / 2;
            let finite: Vec<f64> = (0..top)
                .map(|bits| f64::from(format.widen(bits)))
                .take_while(|value| value.is_finite())
                .collect();
            for pair in finite.windows(2) {
                let middle = (pair[0] + pair[1]) / 2.0;
                let above = (middle as f32).next_up();
                let below = (middle as f32).next_down();
                assert_eq!(
                    f64::from(format.widen(format.narrow(above))),
                    pair[1],
                    "{format:?} above {middle}"
                );
                assert_eq!(
                    f64::from(format.widen(format.narrow(below))),
                    pair[0],
                    "{format:?} below {middle}"
                );
            }
        }
    }

    /// Saturation and the formats without infinity. [hal-module 49]
    #[test]
    fn what_is_too_large_or_special() {
        let f = |format: MiniFloat, value: f32| format.widen(format.narrow(value));
        assert_eq!(f(MiniFloat::F16, 65519.0), 65504.0);
        assert_eq!(f(MiniFloat::F16, -65520.0), f32::NEG_INFINITY);
        assert_eq!(f(MiniFloat::F16, 1e-8), 0.0);
        assert_eq!(f(MiniFloat::BF16, 3.4e38), f32::INFINITY);
        assert_eq!(f(MiniFloat::F8E5M2, 61439.0), 57344.0);
        assert_eq!(f(MiniFloat::F8E5M2, 61440.0), f32::INFINITY);
        assert_eq!(f(MiniFloat::F8E4M3FN, 464.0), 448.0);
        assert!(f(MiniFloat::F8E4M3FN, 465.0).is_nan());
        assert!(f(MiniFloat::F8E4M3FN, f32::NEG_INFINITY).is_nan());
        assert_eq!(f(MiniFloat::F8E4M3FNUZ, 247.0), 240.0);
        assert!(f(MiniFloat::F8E4M3FNUZ, 248.0).is_nan());
        assert!(f(MiniFloat::F8E5M2FNUZ, f32::INFINITY).is_nan());
        assert_eq!(f(MiniFloat::F8E5M2FNUZ, -0.0).to_bits(), 0);
        assert_eq!(f(MiniFloat::F8E5M2FNUZ, -1e-9).to_bits(), 0);
        assert_eq!(f(MiniFloat::F8E4M3FN, -0.0).to_bits(), (-0.0f32).to_bits());
    }

    /// The power-of-two format. [hal-module 49]
    #[test]
    fn powers_of_two() {
        let f = |value: f32| MiniFloat::F8E8M0FNU.widen(MiniFloat::F8E8M0FNU.narrow(value));
        for (value, expected) in
            [(0.1, 0.125), (3.0, 4.0), (1.5, 2.0), (0.75, 1.0), (2.9, 2.0), (5.0, 4.0), (6.0, 8.0)]
        {
            assert_eq!(f(value), expected, "{value}");
        }
        for value in [0.0, -1.0, 1e-40] {
            assert_eq!(f(value), 5.877_472e-39, "{value}");
        }
        for value in [3.4e38, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            assert!(f(value).is_nan(), "{value}");
        }
    }
}
