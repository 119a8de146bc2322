//! Laws of the tensor text form on random tensors and random text.
//!
//! What does not live here: the tables of the specification (unit tests beside the code).

use proptest::prelude::*;
use weft_hal::text::{
    NumberStyle, TensorText, format_float, format_tensor, parse_f32, parse_f64, parse_integer,
};
use weft_hal::{ElementType, Shape};

const TYPES: &[&str] = &[
    "i1",
    "i2",
    "i4",
    "ui4",
    "si4",
    "i8",
    "si8",
    "ui8",
    "i16",
    "ui16",
    "i32",
    "si32",
    "ui32",
    "i64",
    "ui64",
    "f16",
    "bf16",
    "f32",
    "f64",
    "f8E5M2",
    "f8E4M3FN",
    "f8E5M2FNUZ",
    "f8E4M3FNUZ",
    "f8E8M0FNU",
    "cf64",
    "cf128",
    "*8",
    "*24",
    "i24",
];

fn tensors() -> impl Strategy<Value = (Shape, ElementType, Vec<u8>)> {
    let dims = prop::collection::vec(0u64..5, 0..4);
    (dims, prop::sample::select(TYPES)).prop_flat_map(|(dims, name)| {
        let shape = Shape::new(&dims).unwrap();
        let element_type: ElementType = name.parse().unwrap();
        let length = shape.byte_length(element_type).unwrap() as usize;
        (Just(shape), Just(element_type), prop::collection::vec(any::<u8>(), length))
    })
}

proptest! {
    /// Text made from bytes reads back as bytes that make the same text; and as the same bytes where text is exact.
    #[test]
    fn text_reads_back((shape, element_type, bytes) in tensors()) {
        let text = format_tensor(&shape, element_type, &bytes, usize::MAX).unwrap();
        let parsed = TensorText::parse(&text).unwrap();
        prop_assert_eq!(parsed.shape.dims(), shape.dims());
        prop_assert_eq!(parsed.element_type, element_type);
        let again = parsed.bytes().unwrap();
        prop_assert_eq!(format_tensor(&shape, element_type, &again, usize::MAX).unwrap(), text.clone());
        let is_exact = !weft_hal::NumberFormat::of(element_type).is_float() && element_type.is_byte_aligned();
        if is_exact {
            prop_assert_eq!(again, bytes);
        }
    }

    /// The budget shortens text and never fails.
    #[test]
    fn elision_never_fails((shape, element_type, bytes) in tensors(), limit in 0usize..20) {
        let whole = format_tensor(&shape, element_type, &bytes, usize::MAX).unwrap();
        let part = format_tensor(&shape, element_type, &bytes, limit).unwrap();
        let elided = shape.element_count().unwrap() > limit as u64;
        prop_assert_eq!(part.contains("..."), elided);
        prop_assert!(elided || part == whole);
    }

    /// Any text is an answer or an error.
    #[test]
    fn any_text_is_survived(text in "[0-9a-fx*isuE=,\\[\\] \"é.+-]{0,40}") {
        if let Ok(parsed) = TensorText::parse(&text)
            && parsed.byte_length().is_ok_and(|length| length < 1 << 16)
        {
            let _ = parsed.bytes();
        }
        let _ = (parse_integer(&text), parse_f32(&text), parse_f64(&text));
    }

    /// Decimal text of any float reads back exactly; `%G` text within its six digits.
    #[test]
    fn floats_read_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        prop_assert_eq!(parse_f64(&format!("{value:e}")).unwrap().to_bits(), bits);
        let mut text = String::new();
        format_float(&mut text, value, NumberStyle::Upper).unwrap();
        if let Some(short) = parse_f64(&text) {
            prop_assert!(short == value || (short - value).abs() <= value.abs() * 5.01e-6 || short.is_infinite());
        }
    }

    /// Hexadecimal floats are exact, whatever the width.
    #[test]
    fn hexadecimal_floats_read_back(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        prop_assume!(value.is_finite());
        let magnitude = bits & 0x7FFF_FFFF;
        let (lead, exponent) = match magnitude >> 23 {
            0 => (0, -126),
            field => (1, field as i32 - 127),
        };
        let sign = if value.is_sign_negative() { "-" } else { "" };
        let text = format!("{sign}0x{lead}.{:06x}p{exponent}", (magnitude & 0x007F_FFFF) << 1);
        prop_assert_eq!(parse_f32(&text).unwrap().to_bits(), bits);
        prop_assert_eq!(parse_f64(&text).unwrap().to_bits(), f64::from(value).to_bits());
    }
}
