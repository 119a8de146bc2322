//! Any text as a tensor or a number.
//!
//! Shows: parsing never panics or allocates without bound; what was parsed prints, and the print parses to the same
//! bytes where the text form keeps them (all integers; floats whose six digits are exact).
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_hal::text::{TensorText, format_tensor, parse_f64, parse_integer};

/// Elements of the largest tensor that is made.
const BYTES_MAX: u64 = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(value) = parse_f64(text) {
        let simple = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if let (true, Ok(expected)) = (simple, text.parse::<f64>()) {
            assert!(value == expected || value.is_nan(), "{text}");
        }
    }
    let _ = parse_integer(text);
    let Ok(parsed) = TensorText::parse(text) else { return };
    if !parsed.byte_length().is_ok_and(|bytes| bytes <= BYTES_MAX) {
        return;
    }
    let Ok(bytes) = parsed.bytes() else { return };
    // Odd sizes of anything but integers are bytes without a meaning of their own; they need not come back.
    let bits = parsed.element_type.bit_count();
    let whole_bytes = bits > 0 && bits % 8 == 0;
    let Ok(printed) = format_tensor(&parsed.shape, parsed.element_type, &bytes, usize::MAX) else { return };
    let again = TensorText::parse(&printed).expect("a print parses");
    let bytes_again = match again.bytes() {
        Ok(bytes) => bytes,
        Err(_) if !whole_bytes => return,
        Err(status) => panic!("values of a print do not parse: {status}"),
    };
    assert_eq!(again.shape.dims(), parsed.shape.dims());
    assert_eq!(bytes_again.len(), bytes.len());
    // Floats lose digits once; a second round changes nothing.
    let printed_again =
        format_tensor(&again.shape, again.element_type, &bytes_again, usize::MAX).expect("prints");
    assert_eq!(printed, printed_again);
});
