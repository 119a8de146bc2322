//! The native module `check`: expectations of compiled test programs.
//!
//! What lives here: the exports, [`CheckLog`], which collects failed expectations while the program runs on.
//! What does not: comparing values (`compare.rs`), choosing and running tests (the `weft check` command).

use crate::compare::{Tolerance, compare_contents, first_zero};
use std::sync::{Arc, Mutex, PoisonError};
use weft_hal::text::{NumberStyle, format_float, write_tensor};
use weft_hal::{BufferView, Device};
use weft_sync::{Result, bail};
use weft_vm::Module;
use weft_vm::native::NativeModule;

/// Elements that a message shows of each tensor.
const ELEMENTS_SHOWN: usize = 1024;

/// The failed expectations of one run. Clones share the list.
///
/// ```
/// let log = weft::CheckLog::default();
/// assert!(log.take().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct CheckLog(Arc<Mutex<Vec<String>>>);

impl CheckLog {
    /// All messages since the last call, in the order in which the expectations failed.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, message: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}

/// The module, whose failed expectations go to `log`.
pub fn module(log: CheckLog) -> Result<Module> {
    let native = NativeModule::builder("check", 0, move |_| Ok(log.clone()))
        .export("expect_true", expect_true)
        .export("expect_false", expect_false)
        .export("expect_all_true", expect_all_true)
        .export("expect_eq", expect_eq)
        .export("expect_almost_eq", expect_almost_eq)
        .build()?;
    Ok(Module::from(native))
}

fn expect_true(log: &CheckLog, operand: i32) -> Result<()> {
    if operand == 0 {
        log.add("Expected 0 to be nonzero.".to_owned());
    }
    Ok(())
}

fn expect_false(log: &CheckLog, operand: i32) -> Result<()> {
    if operand != 0 {
        log.add(format!("Expected {operand} to be zero."));
    }
    Ok(())
}

fn expect_all_true(log: &CheckLog, (_device, view): (&Device, &BufferView)) -> Result<()> {
    let contents = view.read_to_vec()?;
    let count = view.shape().element_count()?;
    if let Some(index) = first_zero(view.element_type(), &contents, count)? {
        let mut message = format!("Expected all elements to be nonzero; element #{index} doesn't match.\n");
        append_tensor(&mut message, "tensor", view, &contents)?;
        log.add(message);
    }
    Ok(())
}

fn expect_eq(log: &CheckLog, (_device, lhs, rhs): (&Device, &BufferView, &BufferView)) -> Result<()> {
    let mut problems = differences(lhs, rhs);
    let (left, right) = (lhs.read_to_vec()?, rhs.read_to_vec()?);
    if problems.is_empty() && left != right {
        problems.push_str(" Contents does not match.");
    }
    report(log, "Expected equality of these values.", &problems, [(lhs, &left), (rhs, &right)])
}

fn expect_almost_eq(
    log: &CheckLog,
    (_device, lhs, rhs, atol, rtol): (&Device, &BufferView, &BufferView, f32, f32),
) -> Result<()> {
    let tolerance = Tolerance { absolute: f64::from(atol), relative: f64::from(rtol) };
    if !tolerance.supports(lhs.element_type()) {
        bail!(InvalidArgument, "tensors of {} cannot be compared with a tolerance", lhs.element_type());
    }
    let mut problems = differences(lhs, rhs);
    let (left, right) = (lhs.read_to_vec()?, rhs.read_to_vec()?);
    if problems.is_empty()
        && let Some(difference) = compare_contents(lhs.element_type(), &left, &right, tolerance)
    {
        let (index, a, b) = (difference.index, general(difference.left), general(difference.right));
        let by = scientific((difference.left - difference.right).abs());
        let (atol, rtol) = (general(f64::from(atol)), general(f64::from(rtol)));
        problems.push_str(&format!(
            " Contents does not match to tolerance parameters atol={atol}, rtol={rtol}. The first failure occurs at \
             index {index} as the lhs value {a} differs from the rhs value {b} by {by}."
        ));
    }
    report(log, "Expected near equality of these values.", &problems, [(lhs, &left), (rhs, &right)])
}

/// Types and shapes, which are compared before contents.
fn differences(lhs: &BufferView, rhs: &BufferView) -> String {
    let mut problems = String::new();
    if lhs.element_type() != rhs.element_type() {
        problems.push_str(" Element types do not match.");
    }
    if lhs.shape() != rhs.shape() {
        problems.push_str(" Shapes do not match.");
    }
    problems
}

fn report(
    log: &CheckLog,
    headline: &str,
    problems: &str,
    [lhs, rhs]: [(&BufferView, &Vec<u8>); 2],
) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let mut message = format!("{headline}{problems}\n");
    append_tensor(&mut message, "lhs", lhs.0, lhs.1)?;
    message.push('\n');
    append_tensor(&mut message, "rhs", rhs.0, rhs.1)?;
    log.add(message);
    Ok(())
}

fn append_tensor(message: &mut String, name: &str, view: &BufferView, contents: &[u8]) -> Result<()> {
    message.push_str(&format!("  {name}:\n    "));
    write_tensor(message, view.shape(), view.element_type(), contents, ELEMENTS_SHOWN)
}

/// Six significant digits, as messages of this family show numbers.
fn general(value: f64) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = format_float(&mut text, value, NumberStyle::Lower);
    text
}

/// Three decimals and an exponent of at least two digits: `3.800e+01`.
fn scientific(value: f64) -> String {
    let text = format!("{value:.3e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        // Infinity and NaN have no exponent.
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_messages() {
        assert_eq!(scientific(38.0), "3.800e+01");
        assert_eq!(scientific(0.00123456), "1.235e-03");
        assert_eq!(scientific(f64::INFINITY), "inf");
        assert_eq!(general(f64::from(0.1f32)), "0.1");
        assert_eq!(general(0.0), "0");
    }
}
