//! `--expected_output`: comparing results with what they should be, and the words for a difference.
//!
//! The texts are those of the reference's tools (`docs/spec/hal-module.md` §13.4), except that scalars and plain
//! buffers are really compared. What does not live here: reading the expectation (see `inputs.rs`), reading results
//! back from devices (see `results.rs`).

use std::fmt::Write;

use weft::hal::text::{self, NumberStyle, format_element, format_float};
use weft::hal::{ElementType, NumberFormat};
use weft::vm::Value;
use weft::{Tolerance, compare_contents};

use crate::flags::Flags;
use crate::results::{HostTensor, Shown};

/// Both tensors of a mismatch are shown up to this many elements.
const SHOWN_ELEMENTS_MAX: usize = 1024;

/// How equal is equal.
#[derive(Clone, Copy, Debug)]
pub struct Equality {
    exact: bool,
    f16: f64,
    f32: f64,
    f64: f64,
    bf16: f64,
    relative: f64,
}

/// What a result should be.
pub enum Expected {
    /// Anything will do.
    Ignored,
    /// This value.
    Exactly(Shown),
}

impl Equality {
    /// What the flags say.
    pub fn from_flags(flags: &Flags) -> Equality {
        Equality {
            exact: flags.text("equality_mode") == "exact",
            f16: flags.real("expected_f16_threshold"),
            f32: flags.real("expected_f32_threshold"),
            f64: flags.real("expected_f64_threshold"),
            bf16: flags.real("expected_bf16_threshold"),
            relative: flags.real("expected_rtol"),
        }
    }

    /// The tolerance of a type; `None` if its elements must have equal bytes.
    fn tolerance(&self, element_type: ElementType) -> Option<Tolerance> {
        let absolute = match element_type {
            _ if self.exact => return None,
            ElementType::F16 => self.f16,
            ElementType::F32 => self.f32,
            ElementType::F64 => self.f64,
            ElementType::BF16 => self.bf16,
            _ => return None,
        };
        Some(Tolerance { absolute, relative: self.relative })
    }
}

/// Compares all results; the text describes every difference and is empty if there is none.
pub fn compare_all(expected: &[Expected], actual: &[Shown], equality: &Equality) -> String {
    if expected.len() != actual.len() {
        return format!("[FAILED] expected {} list elements but {} provided\n", expected.len(), actual.len());
    }
    let mut report = String::new();
    for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
        let Expected::Exactly(expected) = expected else { continue };
        if let Some(difference) = compare(expected, actual, equality) {
            let _ = writeln!(report, "[FAILED] result[{index}]: {difference}");
        }
    }
    report
}

/// The words for the difference between two values, without a final newline; `None` if there is none.
fn compare(expected: &Shown, actual: &Shown, equality: &Equality) -> Option<String> {
    match (expected, actual) {
        (Shown::Scalar(expected), Shown::Scalar(actual)) if expected.kind() == actual.kind() => {
            compare_scalars(expected, actual, equality)
        }
        (Shown::Tensor(expected), Shown::Tensor(actual)) => compare_tensors(expected, actual, equality),
        (Shown::Buffer(expected), Shown::Buffer(actual)) => compare_bytes(expected, actual),
        _ => Some(format!(
            "variant types mismatch; expected {} but got {}",
            expected.type_name(),
            actual.type_name()
        )),
    }
}

fn compare_scalars(expected: &Value, actual: &Value, equality: &Equality) -> Option<String> {
    let accepts = |element_type| {
        let tolerance: Option<Tolerance> = equality.tolerance(element_type);
        tolerance.is_some_and(|tolerance| match (actual.to_f64(), expected.to_f64()) {
            (Some(actual), Some(expected)) => tolerance.accepts(actual, expected),
            _ => false,
        })
    };
    let equal = match (expected, actual) {
        (Value::F32(wanted), Value::F32(given)) => {
            wanted.to_bits() == given.to_bits() || accepts(ElementType::F32)
        }
        (Value::F64(wanted), Value::F64(given)) => {
            wanted.to_bits() == given.to_bits() || accepts(ElementType::F64)
        }
        _ => expected == actual,
    };
    let (kind, expected, actual) = (expected.kind(), scalar_text(expected), scalar_text(actual));
    (!equal).then(|| format!("{kind} values differ\n  expected: {expected}\n  actual: {actual}"))
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::F32(_) | Value::F64(_) => {
            let mut text = String::new();
            let _ = format_float(&mut text, value.to_f64().unwrap_or(0.0), NumberStyle::Upper);
            text
        }
        _ => value.to_i64().unwrap_or(0).to_string(),
    }
}

fn compare_tensors(expected: &HostTensor, actual: &HostTensor, equality: &Equality) -> Option<String> {
    let wanted = expected.type_text();
    let type_matches =
        expected.element_type == ElementType::NONE || expected.element_type == actual.element_type;
    let reason = if !type_matches || expected.shape.dims() != actual.shape.dims() {
        format!("metadata is {}; expected that the view matches {wanted}", actual.type_text())
    } else {
        let index = first_difference(actual.element_type, &expected.bytes, &actual.bytes, equality)?;
        let mut texts = [String::new(), String::new()];
        for (text, bytes) in texts.iter_mut().zip([&actual.bytes, &expected.bytes]) {
            let _ = format_element(text, actual.element_type, bytes, index);
        }
        format!("element at index {index} ({}) does not match the expected ({})", texts[0], texts[1])
    };
    Some(format!(
        "{reason}; expected that the view is equal to contents of a view of {wanted}\n  expected:\n{}\n  actual:\n{}",
        shown(expected),
        shown(actual)
    ))
}

fn shown(tensor: &HostTensor) -> String {
    text::format_tensor(&tensor.shape, tensor.element_type, &tensor.bytes, SHOWN_ELEMENTS_MAX)
        .unwrap_or_else(|status| format!("({status})"))
}

/// The index of the first element that is not accepted. Both tensors have the same type and shape.
fn first_difference(
    element_type: ElementType,
    expected: &[u8],
    actual: &[u8],
    equality: &Equality,
) -> Option<usize> {
    if let Some(tolerance) = equality.tolerance(element_type) {
        return compare_contents(element_type, actual, expected, tolerance)
            .map(|difference| difference.index);
    }
    let byte = expected.iter().zip(actual).position(|(expected, actual)| expected != actual)?;
    let bits = usize::try_from(element_type.bit_count()).unwrap_or(8).max(1);
    let first = byte * 8 / bits;
    // Packed elements share a byte: look which of them it is.
    let format = NumberFormat::of(element_type);
    let differs =
        |index: &usize| format.read_integer(expected, *index) != format.read_integer(actual, *index);
    Some((first..first + 8).find(|index| bits < 8 && differs(index)).unwrap_or(first))
}

fn compare_bytes(expected: &[u8], actual: &[u8]) -> Option<String> {
    if expected.len() != actual.len() {
        return Some(format!(
            "hal.buffer lengths differ\n  expected: {} bytes\n  actual: {} bytes",
            expected.len(),
            actual.len()
        ));
    }
    let index = expected.iter().zip(actual).position(|(expected, actual)| expected != actual)?;
    Some(format!(
        "hal.buffer contents differ at byte {index}\n  expected: {:02X}\n  actual: {:02X}",
        expected[index], actual[index]
    ))
}
