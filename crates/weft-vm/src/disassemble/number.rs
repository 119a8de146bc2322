//! Floats as C's `printf("%.*g")` writes them.

/// `value` with `digits` significant digits, trailing zeros removed.
pub(super) fn format_general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan".to_owned() } else { "nan".to_owned() };
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf".to_owned() } else { "inf".to_owned() };
    }
    let scientific = format!("{:.*e}", digits - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_trailing_zeros(mantissa), exponent.abs());
    }
    // The exponent of the rounded value decides how many decimals make `digits` digits.
    let decimals = (digits as i32 - 1 - exponent) as usize;
    without_trailing_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_trailing_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_c_prints_them() {
        let single = |value: f32| format_general(f64::from(value), 9);
        assert_eq!(single(3.3), "3.29999995");
        assert_eq!(single(0.0), "0");
        assert_eq!(single(-0.0), "-0");
        assert_eq!(single(1.0), "1");
        assert_eq!(single(1e-5), "9.99999975e-06");
        assert_eq!(single(1e-4), "9.99999975e-05");
        assert_eq!(single(0.001), "0.00100000005");
        assert_eq!(single(123456789.0), "123456792");
        assert_eq!(single(1e9), "1e+09");
        assert_eq!(single(999_999_999.0), "1e+09");
        assert_eq!(single(f32::MAX), "3.40282347e+38");
        assert_eq!(single(f32::MIN_POSITIVE), "1.17549435e-38");
        assert_eq!(single(f32::INFINITY), "inf");
        assert_eq!(single(f32::NEG_INFINITY), "-inf");
        assert_eq!(single(f32::from_bits(0x7FC0_0000)), "nan");
        assert_eq!(single(f32::from_bits(0xFFC0_0000)), "-nan");
        assert_eq!(format_general(0.1, 17), "0.10000000000000001");
        assert_eq!(format_general(1e300, 17), "1.0000000000000001e+300");
        assert_eq!(format_general(5e-324, 17), "4.9406564584124654e-324");
    }
}
