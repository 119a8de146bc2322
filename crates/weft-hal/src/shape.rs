//! Dense shapes: extents of a tensor, element counts and byte lengths with overflow checks, text form.
//!
//! What lives here: [`Shape`]. What does not: views of buffers (see `buffer_view.rs`).

use crate::element::ElementType;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use weft_sync::{Code, Result, Status, bail};

/// Shapes up to this rank need no allocation.
const RANK_INLINE_MAX: usize = 6;

/// The extents of a tensor, outermost first. Immutable; rank at most [`Shape::RANK_MAX`].
///
/// ```
/// use weft_hal::{ElementType, Shape};
/// let shape: Shape = "4x2".parse().unwrap();
/// assert_eq!(shape.dims(), [4, 2]);
/// assert_eq!(shape.byte_length(ElementType::F32).unwrap(), 32);
/// ```
#[derive(Clone)]
pub struct Shape(Extents);

#[derive(Clone)]
enum Extents {
    Inline { rank: u8, dims: [u64; RANK_INLINE_MAX] },
    Heap(Box<[u64]>),
}

impl Shape {
    /// The highest rank that programs and tools may use.
    pub const RANK_MAX: usize = 128;

    /// The shape of a single value.
    pub const SCALAR: Shape = Shape(Extents::Inline { rank: 0, dims: [0; RANK_INLINE_MAX] });

    /// A shape with these extents; more than [`Shape::RANK_MAX`] of them is OUT_OF_RANGE.
    pub fn new(dims: &[u64]) -> Result<Shape> {
        Shape::collect(dims.len(), dims.iter().copied())
    }

    /// A shape whose `rank` extents come from an iterator, so that no list needs to exist.
    ///
    /// Extents that the iterator does not give are 0.
    #[inline]
    pub fn collect(rank: usize, dims: impl Iterator<Item = u64>) -> Result<Shape> {
        if rank > RANK_INLINE_MAX {
            return Shape::collect_heap(rank, dims);
        }
        let mut inline = [0; RANK_INLINE_MAX];
        for (slot, dim) in inline[..rank].iter_mut().zip(dims) {
            *slot = dim;
        }
        Ok(Shape(Extents::Inline { rank: rank as u8, dims: inline }))
    }

    #[cold]
    fn collect_heap(rank: usize, dims: impl Iterator<Item = u64>) -> Result<Shape> {
        if rank > Shape::RANK_MAX {
            bail!(OutOfRange, "shape rank {rank} is above the limit of {}", Shape::RANK_MAX);
        }
        let mut all: Vec<u64> = dims.take(rank).collect();
        all.resize(rank, 0);
        Ok(Shape(Extents::Heap(all.into_boxed_slice())))
    }

    /// The extents, outermost first.
    #[inline]
    pub fn dims(&self) -> &[u64] {
        match &self.0 {
            Extents::Inline { rank, dims } => &dims[..usize::from(*rank)],
            Extents::Heap(dims) => dims,
        }
    }

    /// Number of extents.
    #[inline]
    pub fn rank(&self) -> usize {
        self.dims().len()
    }

    /// The extent of dimension `index`; `None` beyond the rank.
    #[inline]
    pub fn dim(&self, index: usize) -> Option<u64> {
        self.dims().get(index).copied()
    }

    /// Product of the extents; OUT_OF_RANGE when it does not fit 64 bits. An empty dimension gives 0 whatever
    /// the others are.
    #[inline]
    pub fn element_count(&self) -> Result<u64> {
        let mut count = 1u64;
        for &dim in self.dims() {
            match count.checked_mul(dim) {
                Some(product) => count = product,
                None => return self.element_count_large(),
            }
        }
        Ok(count)
    }

    /// The product wrapped; that is no error if a later extent is 0.
    #[cold]
    fn element_count_large(&self) -> Result<u64> {
        if self.dims().contains(&0) {
            return Ok(0);
        }
        bail!(OutOfRange, "element count of shape `{self}` does not fit 64 bits");
    }

    /// Bytes of a packed dense tensor of this shape; OUT_OF_RANGE when the number does not fit 64 bits.
    #[inline]
    pub fn byte_length(&self, element_type: ElementType) -> Result<u64> {
        match element_type.packed_byte_length(self.element_count()?) {
            Some(length) => Ok(length),
            None => Err(byte_length_overflow(self, element_type)),
        }
    }
}

#[cold]
fn byte_length_overflow(shape: &Shape, element_type: ElementType) -> Status {
    Status::new(
        Code::OutOfRange,
        format!("byte length of shape `{shape}` of {element_type} does not fit 64 bits"),
    )
}

impl PartialEq for Shape {
    fn eq(&self, other: &Shape) -> bool {
        self.dims() == other.dims()
    }
}

impl Eq for Shape {}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dims().hash(state);
    }
}

impl fmt::Display for Shape {
    /// `4x2`; a scalar shape is empty text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, dim) in self.dims().iter().enumerate() {
            if index > 0 {
                f.write_str("x")?;
            }
            write!(f, "{dim}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl FromStr for Shape {
    type Err = Status;

    /// Reads `4x2`. Extents are decimal, or octal with a leading 0; blanks around an extent are ignored.
    fn from_str(text: &str) -> Result<Shape> {
        if text.trim().is_empty() {
            return Ok(Shape::SCALAR);
        }
        let mut dims = Vec::new();
        for part in text.split('x') {
            if dims.len() == Shape::RANK_MAX {
                bail!(OutOfRange, "shape rank is above the limit of {}", Shape::RANK_MAX);
            }
            dims.push(parse_dim(part.trim()).ok_or_else(|| bad_dim(part, text))?);
        }
        Shape::new(&dims)
    }
}

fn parse_dim(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let radix = if text.len() > 1 && text.starts_with('0') { 8 } else { 10 };
    // Extents travel as signed 64-bit numbers through programs.
    u64::from_str_radix(text, radix).ok().filter(|&dim| i64::try_from(dim).is_ok())
}

#[cold]
fn bad_dim(part: &str, text: &str) -> Status {
    Status::new(
        Code::InvalidArgument,
        format!("shape extent '{part}' in '{text}' is not a whole number of at least 0"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_shapes_move_to_the_heap_and_compare_equal() {
        let dims: Vec<u64> = (1..=9).collect();
        let shape = Shape::new(&dims).unwrap();
        assert_eq!(shape.dims(), dims);
        assert_eq!(shape, shape.to_string().parse().unwrap());
        assert_eq!(Shape::new(&[1; 128]).unwrap().rank(), 128);
        assert_eq!(Shape::new(&[1; 129]).unwrap_err().code(), Code::OutOfRange);
        assert_eq!(Shape::SCALAR, Shape::new(&[]).unwrap());
    }

    #[test]
    fn counts_do_not_wrap() {
        let huge = Shape::new(&[u64::MAX, 2]).unwrap();
        assert_eq!(huge.element_count().unwrap_err().code(), Code::OutOfRange);
        assert_eq!(Shape::new(&[u64::MAX, 2, 0]).unwrap().element_count().unwrap(), 0);
        assert_eq!(
            Shape::new(&[1 << 62]).unwrap().byte_length(ElementType::F64).unwrap_err().code(),
            Code::OutOfRange
        );
        assert_eq!(Shape::SCALAR.element_count().unwrap(), 1);
    }

    #[test]
    fn text_form() {
        assert_eq!("".parse::<Shape>().unwrap(), Shape::SCALAR);
        assert_eq!("010x3".parse::<Shape>().unwrap().dims(), [8, 3]);
        for text in ["x", "x1", "1x", "1xx2", "-1", "0x-1", "abc", "1 2", "9", "08"] {
            let parsed = text.parse::<Shape>();
            if text == "9" {
                assert_eq!(parsed.unwrap().dims(), [9]);
            } else {
                assert_eq!(parsed.unwrap_err().code(), Code::InvalidArgument, "{text}");
            }
        }
    }
}
