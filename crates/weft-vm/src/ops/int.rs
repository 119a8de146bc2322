//! Integer arithmetic that is more than a method of the standard library (§11.1).

use weft_sync::{Result, Status, status};

macro_rules! divisions {
    ($signed:ty, $unsigned:ty: $div_s:ident $div_u:ident $rem_s:ident $rem_u:ident) => {
        #[inline(always)]
        pub(crate) fn $div_s(dividend: $signed, divisor: $signed) -> Result<$signed> {
            if divisor == 0 { Err(division_by_zero()) } else { Ok(dividend.wrapping_div(divisor)) }
        }

        #[inline(always)]
        pub(crate) fn $div_u(dividend: $unsigned, divisor: $unsigned) -> Result<$unsigned> {
            dividend.checked_div(divisor).ok_or_else(division_by_zero)
        }

        #[inline(always)]
        pub(crate) fn $rem_s(dividend: $signed, divisor: $signed) -> Result<$signed> {
            if divisor == 0 { Err(division_by_zero()) } else { Ok(dividend.wrapping_rem(divisor)) }
        }

        #[inline(always)]
        pub(crate) fn $rem_u(dividend: $unsigned, divisor: $unsigned) -> Result<$unsigned> {
            dividend.checked_rem(divisor).ok_or_else(division_by_zero)
        }
    };
}

divisions!(i32, u32: div_i32 div_u32 rem_i32 rem_u32);
divisions!(i64, u64: div_i64 div_u64 rem_i64 rem_u64);

#[cold]
fn division_by_zero() -> Status {
    status!(InvalidArgument, "integer division by zero")
}

#[inline(always)]
pub(crate) fn fma_i32(a: i32, b: i32, c: i32) -> i32 {
    a.wrapping_mul(b).wrapping_add(c)
}

#[inline(always)]
pub(crate) fn fma_i64(a: i64, b: i64, c: i64) -> i64 {
    a.wrapping_mul(b).wrapping_add(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    /// [vm 58] [vm 59]
    #[test]
    fn division_wraps_and_refuses_zero() {
        assert_eq!(div_i32(i32::MIN, -1).ok(), Some(i32::MIN));
        assert_eq!(rem_i64(i64::MIN, -1).ok(), Some(0));
        assert_eq!(div_i32(-7, 2).ok(), Some(-3));
        assert_eq!(rem_i32(-7, 2).ok(), Some(-1));
        assert_eq!(div_u64(u64::MAX, 2).ok(), Some(u64::MAX / 2));
        for status in [div_i32(1, 0).map(i64::from), rem_i64(1, 0), rem_u32(1, 0).map(i64::from)] {
            assert_eq!(status.expect_err("zero").code(), Code::InvalidArgument);
        }
    }
}
