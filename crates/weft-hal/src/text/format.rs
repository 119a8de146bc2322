//! Writing tensors as text.
//!
//! What lives here: nesting, elision, one element of any type. What does not: digits of floats (`number.rs`).

use super::number::{NumberStyle, format_float};
use crate::element::ElementType;
use crate::number_format::NumberFormat;
use crate::shape::Shape;
use std::fmt::{self, Write};
use weft_sync::{Code, Result, Status};

/// Tensors without any data can still have any number of rows; at most this many of their brackets are written.
const EMPTY_ROWS_MAX: u64 = 1 << 20;

/// The text form of a whole tensor: `2x2xi32=[1 2][3 4]`, with at most `elements_max` elements.
///
/// ```
/// use weft_hal::{ElementType, Shape, text::format_tensor};
/// let shape = Shape::new(&[2, 2]).unwrap();
/// assert_eq!(format_tensor(&shape, ElementType::I8, &[1, 2, 3, 255], 3).unwrap(), "2x2xi8=[1 2][3...]");
/// ```
pub fn format_tensor(
    shape: &Shape,
    element_type: ElementType,
    data: &[u8],
    elements_max: usize,
) -> Result<String> {
    let mut text = String::new();
    write_tensor(&mut text, shape, element_type, data, elements_max)?;
    Ok(text)
}

/// As [`format_tensor`], into `out`. OUT_OF_RANGE when `data` is too short for the shape.
pub fn write_tensor(
    out: &mut impl Write,
    shape: &Shape,
    element_type: ElementType,
    data: &[u8],
    elements_max: usize,
) -> Result<()> {
    let needed = shape.byte_length(element_type)?;
    if u64::try_from(data.len()).is_ok_and(|have| have < needed) {
        return Err(too_short(shape, element_type, needed, data.len()));
    }
    let mut left = elements_max as u64;
    if needed == 0 {
        left = left.min(EMPTY_ROWS_MAX);
    }
    let mut writer = TensorWriter {
        out,
        format: NumberFormat::of(element_type),
        data,
        left,
        next: 0,
        rows_left: if needed == 0 { EMPTY_ROWS_MAX } else { u64::MAX },
    };
    writer
        .tensor(shape, element_type)
        .map_err(|_| Status::new(Code::Internal, "the text sink refused a tensor"))
}

#[cold]
fn too_short(shape: &Shape, element_type: ElementType, needed: u64, have: usize) -> Status {
    Status::new(
        Code::OutOfRange,
        format!("tensor `{shape}` of {element_type} needs {needed} bytes but its data has {have}"),
    )
}

/// Writes element `index` of packed data; nothing if it lies outside.
pub fn format_element(
    out: &mut impl Write,
    element_type: ElementType,
    data: &[u8],
    index: usize,
) -> fmt::Result {
    write_element(out, NumberFormat::of(element_type), data, index)
}

fn write_element(out: &mut impl Write, format: NumberFormat, data: &[u8], index: usize) -> fmt::Result {
    if let Some(value) = format.read_integer(data, index) {
        return write!(out, "{value}");
    }
    if let Some(value) = format.read_float(data, index) {
        return format_float(out, value, NumberStyle::Upper);
    }
    let byte_count = format.byte_count().unwrap_or(0);
    let start = index.saturating_mul(byte_count);
    for byte in data.get(start..start.saturating_add(byte_count)).unwrap_or(&[]) {
        write!(out, "{byte:02X}")?;
    }
    Ok(())
}

struct TensorWriter<'a, W: Write> {
    out: &'a mut W,
    format: NumberFormat,
    data: &'a [u8],
    /// Elements that may still be written.
    left: u64,
    /// Index of the next element in row order.
    next: u64,
    rows_left: u64,
}

impl<W: Write> TensorWriter<'_, W> {
    fn tensor(&mut self, shape: &Shape, element_type: ElementType) -> fmt::Result {
        match shape.rank() {
            0 => write!(self.out, "{element_type}=")?,
            _ => write!(self.out, "{shape}x{element_type}=")?,
        }
        self.rows(shape.dims())
    }

    fn rows(&mut self, dims: &[u64]) -> fmt::Result {
        let (outer, inner) = match dims {
            [] => return self.leaf(1),
            [row] => return self.leaf(*row),
            [outer, inner @ ..] => (*outer, inner),
        };
        for _ in 0..outer {
            if self.rows_left == 0 {
                return self.out.write_str("...");
            }
            self.rows_left -= 1;
            self.out.write_char('[')?;
            self.rows(inner)?;
            self.out.write_char(']')?;
        }
        Ok(())
    }

    /// One innermost row: what the budget allows, then dots for the rest.
    fn leaf(&mut self, length: u64) -> fmt::Result {
        let written = length.min(self.left);
        for offset in 0..written {
            if offset > 0 {
                self.out.write_char(' ')?;
            }
            // The element exists: the data was measured against the shape before.
            let index = usize::try_from(self.next + offset).map_err(|_| fmt::Error)?;
            write_element(self.out, self.format, self.data, index)?;
        }
        if written < length {
            self.out.write_str("...")?;
        }
        self.left -= written;
        self.next = self.next.saturating_add(length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: impl IntoIterator<Item = i32>) -> Vec<u8> {
        values.into_iter().flat_map(i32::to_le_bytes).collect()
    }

    fn print(dims: &[u64], data: &[u8], limit: usize) -> String {
        format_tensor(&Shape::new(dims).unwrap(), ElementType::I32, data, limit).unwrap()
    }

    /// Brackets of ranks 0 to 5. [hal-module 50]
    #[test]
    fn nesting() {
        assert_eq!(print(&[], &bytes([5]), 9), "i32=5");
        assert_eq!(print(&[4], &bytes(0..4), 9), "4xi32=0 1 2 3");
        assert_eq!(print(&[2, 3], &bytes(1..7), 9), "2x3xi32=[1 2 3][4 5 6]");
        assert_eq!(print(&[2, 2, 2], &bytes(1..9), 9), "2x2x2xi32=[[1 2][3 4]][[5 6][7 8]]");
        assert_eq!(print(&[1, 2, 1, 2], &bytes(1..5), 9), "1x2x1x2xi32=[[[1 2]][[3 4]]]");
        assert_eq!(print(&[1, 1, 1, 2, 1], &bytes(1..3), 9), "1x1x1x2x1xi32=[[[[1][2]]]]");
        assert_eq!(print(&[0], &[], 9), "0xi32=");
        assert_eq!(print(&[2, 0], &[], 9), "2x0xi32=[][]");
        assert_eq!(print(&[0, 5], &[], 9), "0x5xi32=");
    }

    /// The element budget is shared by all rows. [hal-module 50]
    #[test]
    fn elision() {
        let sevens = bytes([7; 12]);
        assert_eq!(print(&[3, 4], &sevens, 5), "3x4xi32=[7 7 7 7][7...][...]");
        assert_eq!(print(&[3, 4], &sevens, 0), "3x4xi32=[...][...][...]");
        assert_eq!(print(&[3, 4], &sevens, 4), "3x4xi32=[7 7 7 7][...][...]");
        assert_eq!(print(&[3, 4], &sevens, 12), "3x4xi32=[7 7 7 7][7 7 7 7][7 7 7 7]");
        assert_eq!(print(&[3, 4], &sevens, 2), "3x4xi32=[7 7...][...][...]");
        assert_eq!(print(&[4], &sevens, 3), "4xi32=7 7 7...");
        assert_eq!(print(&[], &sevens, 0), "i32=...");
    }

    #[test]
    fn rows_without_data_do_not_print_for_ever() {
        let text = print(&[u64::MAX, 0], &[], 9);
        assert!(text.ends_with("[]..."));
        let shape = Shape::new(&[1 << 40]).unwrap();
        let text = format_tensor(&shape, ElementType::NONE, &[], usize::MAX).unwrap();
        assert!(text.ends_with("..."));
    }

    #[test]
    fn short_data_is_an_error() {
        let shape = Shape::new(&[2]).unwrap();
        let status = format_tensor(&shape, ElementType::I32, &[0; 7], 9).unwrap_err();
        assert_eq!(status.message(), "tensor `2` of i32 needs 8 bytes but its data has 7");
    }

    #[test]
    fn packed_integers_print_one_number_each() {
        let shape = Shape::new(&[3]).unwrap();
        assert_eq!(format_tensor(&shape, ElementType::I4, &[0x21, 0x0F], 9).unwrap(), "3xi4=1 2 -1");
    }
}
