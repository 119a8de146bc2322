//! Single numbers in the notation of C: integers with base prefixes, decimal and hexadecimal floats, `%G`.
//!
//! What lives here: conversions between one number and its text. What does not: ranges of element types (`parse.rs`).

use std::fmt::{self, Write};

/// Letters of exponents and special values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberStyle {
    /// `1E+10`, `INF`, `NAN`: what C prints for `%G`, used for tensor elements.
    Upper,
    /// `1e+10`, `inf`, `nan`: what C prints for `%g`, used for scalars.
    Lower,
}

/// Significant digits of `%G`.
const DIGITS: usize = 6;

/// Writes `value` as C's `%G` (or `%g`) does: six significant digits, correctly rounded, trailing zeros dropped.
pub fn format_float(out: &mut impl Write, value: f64, style: NumberStyle) -> fmt::Result {
    if value.is_sign_negative() {
        out.write_char('-')?;
    }
    let (infinity, nan, exponent_letter) = match style {
        NumberStyle::Upper => ("INF", "NAN", 'E'),
        NumberStyle::Lower => ("inf", "nan", 'e'),
    };
    if value.is_nan() {
        return out.write_str(nan);
    }
    if value.is_infinite() {
        return out.write_str(infinity);
    }
    // `d.ddddde±x`: the digits are those of the exact value, rounded to nearest, ties to even.
    let mut scientific = Scratch::default();
    write!(scientific, "{:.*e}", DIGITS - 1, value.abs())?;
    let (digits, exponent) = scientific.split().ok_or(fmt::Error)?;
    let kept = digits.iter().rposition(|&digit| digit != b'0').map_or(1, |last| last + 1);
    if exponent < -4 || exponent >= DIGITS as i32 {
        write_digits(out, &digits[..kept], 1)?;
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{exponent_letter}{sign}{:02}", exponent.unsigned_abs());
    }
    if exponent < 0 {
        out.write_str("0.")?;
        for _ in 1..-exponent {
            out.write_char('0')?;
        }
        return write_digits(out, &digits[..kept], kept);
    }
    let whole = exponent as usize + 1;
    write_digits(out, &digits[..kept.max(whole)], whole)
}

/// Writes decimal digits with a point after the first `whole` ones, if any follow.
fn write_digits(out: &mut impl Write, digits: &[u8], whole: usize) -> fmt::Result {
    for (index, &digit) in digits.iter().enumerate() {
        if index == whole {
            out.write_char('.')?;
        }
        out.write_char(char::from(digit))?;
    }
    Ok(())
}

/// A short text on the stack, long enough for `d.ddddde-308`.
#[derive(Default)]
struct Scratch {
    bytes: [u8; 24],
    length: usize,
}

impl Write for Scratch {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Scratch {
    /// The digits without the point, and the exponent.
    fn split(&self) -> Option<([u8; DIGITS], i32)> {
        let text = std::str::from_utf8(&self.bytes[..self.length]).ok()?;
        let (mantissa, exponent) = text.split_once('e')?;
        let mut digits = [b'0'; DIGITS];
        let plain = mantissa.bytes().filter(u8::is_ascii_digit);
        for (slot, digit) in digits.iter_mut().zip(plain) {
            *slot = digit;
        }
        Some((digits, exponent.parse().ok()?))
    }
}

/// Reads an integer as C does with base 0: decimal, `0x` hexadecimal, leading-0 octal, optional sign.
///
/// The whole text must be the number. Values beyond 64 bits in magnitude are `None`.
pub fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = split_sign(text);
    let (radix, digits) = match strip_hex(digits) {
        Some(hex) => (16, hex),
        None if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        None => (10, digits),
    };
    if !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    Some(if negative { -magnitude } else { magnitude })
}

/// Reads a float as C does: decimal, exponent, hexadecimal float, `inf`, `nan`, any case, optional sign.
///
/// The whole text must be the number. Too large gives infinity; a non-zero number that is too small to be
/// represented is `None`.
pub fn parse_f64(text: &str) -> Option<f64> {
    let (negative, body) = split_sign(text);
    let magnitude = match special(body) {
        Some(value) => value,
        None => match strip_hex(body) {
            Some(hex) => f64::from_bits(HexFloat::parse(hex)?.round(52, 1023)?),
            None => decimal(body, body.parse::<f64>().ok()?, |value| value == 0.0)?,
        },
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// As [`parse_f64`], rounded once to `f32`.
pub fn parse_f32(text: &str) -> Option<f32> {
    let (negative, body) = split_sign(text);
    let magnitude = match special(body) {
        Some(value) => value as f32,
        None => match strip_hex(body) {
            Some(hex) => f32::from_bits(u32::try_from(HexFloat::parse(hex)?.round(23, 127)?).ok()?),
            None => decimal(body, body.parse::<f32>().ok()?, |value| value == 0.0)?,
        },
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn strip_hex(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

/// Infinity and NaN in any case; a NaN may carry a payload in parentheses, which is ignored.
fn special(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("inf") || text.eq_ignore_ascii_case("infinity") {
        return Some(f64::INFINITY);
    }
    let (head, payload) = (text.get(..3)?, &text[3..]);
    let wrapped = payload.starts_with('(') && payload.ends_with(')');
    (head.eq_ignore_ascii_case("nan") && (payload.is_empty() || wrapped)).then_some(f64::NAN)
}

/// Accepts `parsed` if `text` is digits, point and exponent only, and is not a non-zero number that became zero.
fn decimal<T: Copy>(text: &str, parsed: T, is_zero: impl Fn(T) -> bool) -> Option<T> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None; // spellings such as `infinity` that the standard parser knows
    }
    let mantissa = text.split(['e', 'E']).next()?;
    let nonzero = mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    (!(nonzero && is_zero(parsed))).then_some(parsed)
}

/// A hexadecimal float: `significand * 2^exponent`, and whether non-zero digits were cut off.
struct HexFloat {
    significand: u64,
    exponent: i64,
    sticky: bool,
}

impl HexFloat {
    /// Reads what follows `0x`.
    fn parse(text: &str) -> Option<HexFloat> {
        let (mantissa, exponent) = match text.split_once(['p', 'P']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut number = HexFloat { significand: 0, exponent, sticky: false };
        for digit in whole.chars() {
            number.push(digit.to_digit(16)?, false);
        }
        for digit in fraction.chars() {
            number.push(digit.to_digit(16)?, true);
        }
        Some(number)
    }

    fn push(&mut self, digit: u32, is_fraction: bool) {
        if self.significand >> 60 == 0 {
            self.significand = self.significand << 4 | u64::from(digit);
            self.exponent -= if is_fraction { 4 } else { 0 };
        } else {
            self.sticky |= digit != 0;
            self.exponent += if is_fraction { 0 } else { 4 };
        }
    }

    /// Bits of the nearest binary float, ties to even; `None` if a non-zero number became zero.
    fn round(&self, mantissa_bits: u32, bias: i64) -> Option<u64> {
        if self.significand == 0 {
            return Some(0);
        }
        let lead = self.significand.leading_zeros();
        let significand = self.significand << lead;
        // The value is 1.xxx * 2^top.
        let top = self.exponent.saturating_add(63 - i64::from(lead));
        let exponent_min = 1 - bias;
        if top > bias {
            return Some(((2 * bias + 1) as u64) << mantissa_bits);
        }
        let below = (exponent_min - top).max(0);
        let shift = u32::try_from(below).ok().and_then(|below| below.checked_add(63 - mantissa_bits))?;
        let rounded = round_to_even(significand, shift, self.sticky);
        let base = if below > 0 { 0 } else { (top - exponent_min) as u64 };
        // A carry out of the mantissa raises the exponent by itself, up to infinity.
        Some((base << mantissa_bits) + rounded).filter(|&bits| bits != 0)
    }
}

/// `value / 2^shift` to nearest, ties to even; `sticky` says that a little more than `value` is meant.
fn round_to_even(value: u64, shift: u32, sticky: bool) -> u64 {
    let wide = u128::from(value) << 1 | u128::from(sticky);
    let shift = shift + 1;
    if shift > 66 {
        return 0;
    }
    let quotient = (wide >> shift) as u64;
    let remainder = wide & ((1 << shift) - 1);
    let half = 1 << (shift - 1);
    let up = remainder > half || (remainder == half && quotient & 1 == 1);
    quotient + u64::from(up)
}

/// A decimal exponent with optional sign; absurdly large ones saturate.
fn parse_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX).min(1 << 40);
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upper(value: f64) -> String {
        let mut text = String::new();
        format_float(&mut text, value, NumberStyle::Upper).unwrap();
        text
    }

    /// The `%G` cases of the specification. [hal-module 49]
    #[test]
    fn floats_print_as_in_c() {
        let cases = [
            (0.1, "0.1"),
            (0.1f32 as f64, "0.1"),
            (2.718281728, "2.71828"),
            (1e10, "1E+10"),
            (1e-5, "1E-05"),
            (123456789.0, "1.23457E+08"),
            (999999.5, "1E+06"),
            (999999.4, "999999"),
            (100000.0, "100000"),
            (0.0001, "0.0001"),
            (0.00012345678, "0.000123457"),
            (f64::from(f32::from_bits(1)), "1.4013E-45"),
            (5e-324, "4.94066E-324"),
            (f64::MAX, "1.79769E+308"),
            (-0.0, "-0"),
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (120.0, "120"),
            (0.001953125, "0.00195312"),
            (0.01171875, "0.0117188"),
            (f64::INFINITY, "INF"),
            (f64::NEG_INFINITY, "-INF"),
            (f64::NAN, "NAN"),
            (-f64::NAN, "-NAN"),
        ];
        for (value, expected) in cases {
            assert_eq!(upper(value), expected);
        }
        let mut text = String::new();
        format_float(&mut text, 1e20, NumberStyle::Lower).unwrap();
        assert_eq!(text, "1e+20");
    }

    /// C notation of integers. [hal-module 48]
    #[test]
    fn integers_have_base_prefixes() {
        let cases = [
            ("0", 0),
            ("42", 42),
            ("-42", -42),
            ("+7", 7),
            ("010", 8),
            ("0x7B", 123),
            ("-0X10", -16),
            ("00", 0),
        ];
        for (text, value) in cases {
            assert_eq!(parse_integer(text), Some(value), "{text}");
        }
        assert_eq!(parse_integer("18446744073709551615"), Some(i128::from(u64::MAX)));
        for text in
            ["", "-", "+", "--1", "-+1", "0x", "0xG", "08", "1.5", "1e2", "abc", "18446744073709551616", "１"]
        {
            assert_eq!(parse_integer(text), None, "{text}");
        }
    }

    /// C notation of floats. [hal-module 48]
    #[test]
    fn floats_have_many_spellings() {
        let cases = [
            ("1", 1.0),
            ("-1.5", -1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("+2e3", 2000.0),
            ("1E-2", 0.01),
            ("0x1.8p3", 12.0),
            ("0x.8P1", 1.0),
            ("-0x10", -16.0),
            ("0x1p-1074", 5e-324),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000001p0", 1.0 + f64::EPSILON),
            ("0x10000000000000000000", 75557863725914323419136.0),
            ("1e400", f64::INFINITY),
            ("0x1p1024", f64::INFINITY),
            ("0x1p99999999999999999999", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("INF", f64::INFINITY),
            ("0e-999", 0.0),
        ];
        for (text, value) in cases {
            assert_eq!(parse_f64(text), Some(value), "{text}");
        }
        assert!(parse_f64("nan").unwrap().is_nan());
        assert!(parse_f64("-NaN(123)").unwrap().is_sign_negative());
        for text in [
            "",
            "-",
            ".",
            "1e",
            "abc",
            "1_000",
            "0x",
            "0xp1",
            "0x1p",
            "1e-400",
            "0x1p-1076",
            "infx",
            "nan(",
            "1.5x",
            "é",
        ] {
            assert_eq!(parse_f64(text), None, "{text}");
        }
    }

    #[test]
    fn floats_are_rounded_once_to_single_precision() {
        assert_eq!(parse_f32("0x1.8p3"), Some(12.0));
        assert_eq!(parse_f32("0x1p-149"), Some(f32::from_bits(1)));
        assert_eq!(parse_f32("0x1.000001p0"), Some(1.0));
        assert_eq!(parse_f32("0x1.0000010000000000001p0"), Some(1.0f32.next_up()));
        assert_eq!(parse_f32("1e-40"), Some(1e-40));
        assert_eq!(parse_f32("1e-60"), None);
        assert_eq!(parse_f32("1e39"), Some(f32::INFINITY));
        assert_eq!(parse_f32("0x1.ffffffp127"), Some(f32::INFINITY));
    }
}
