//! Conversions between integers and floats (§11.2).
//!
//! Float to integer rounds to nearest, ties away from zero, then saturates; NaN gives 0. The casts go directly from
//! the operand's type, so no value is rounded twice.

macro_rules! to_integer {
    ($($name:ident $float:ty => $integer:ty;)*) => {
        $(
            #[inline]
            pub(crate) fn $name(value: $float) -> $integer {
                value.round() as $integer
            }
        )*
    };
}

to_integer! {
    f32_to_i32 f32 => i32;
    f32_to_u32 f32 => u32;
    f32_to_i64 f32 => i64;
    f32_to_u64 f32 => u64;
    f64_to_i32 f64 => i32;
    f64_to_u32 f64 => u32;
    f64_to_i64 f64 => i64;
    f64_to_u64 f64 => u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [vm 67] The list of §11.2, saturation, NaN.
    #[test]
    fn floats_round_away_and_saturate() {
        assert_eq!([2.5, -2.5, -0.5, 0.49].map(f32_to_i32), [3, -3, -1, 0]);
        assert_eq!(f32_to_i32(2147483520.0), 2147483520);
        assert_eq!(f32_to_i32(-2147483648.0), i32::MIN);
        assert_eq!(f32_to_i64(9223371487098961920.0), 9223371487098961920);
        assert_eq!(f32_to_i64(-9223372036854775808.0), i64::MIN);
        assert_eq!(f32_to_u32(4294967040.0), 0xFFFF_FF00);
        assert_eq!(f32_to_u64(18446742974197923840.0), 0xFFFF_FF00_0000_0000);
        assert_eq!(f64_to_i32(16777217.0), 16777217);
        assert_eq!(f64_to_u64(9223372036854775808.0), 1 << 63);
        assert_eq!([3e9, f32::INFINITY, -3e9, f32::NAN].map(f32_to_i32), [i32::MAX, i32::MAX, i32::MIN, 0]);
        assert_eq!([-1.0, 1e20, f64::NAN].map(f64_to_u32), [0, u32::MAX, 0]);
        assert_eq!([-1.0, 1e20, f64::NAN].map(f64_to_u64), [0, u64::MAX, 0]);
        assert_eq!([1e20, f64::NEG_INFINITY, f64::NAN].map(f64_to_i64), [i64::MAX, i64::MIN, 0]);
    }
}
