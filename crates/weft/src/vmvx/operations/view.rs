//! Two-dimensional operands: offset and strides of a buffer, checked against its length (§5.4).

use weft_sync::{Result, bail};
use weft_vm::{Buffer, Cells, CellsMut, Element};

/// How many elements: outer, inner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub outer: u64,
    pub inner: u64,
}

/// Where the elements are, in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub offset: u64,
    pub outer_stride: u64,
    pub inner_stride: u64,
}

/// Sizes and strides stay below this.
const LIMIT: u64 = 1 << 32;

/// INVALID_ARGUMENT for a number that is negative or too large.
pub(super) fn below(what: &str, value: i64, limit: u64) -> Result<u64> {
    match u64::try_from(value) {
        Ok(value) if value < limit => Ok(value),
        _ => bail!(InvalidArgument, "{what} {value} is not from 0 to {}", limit - 1),
    }
}

impl Sizes {
    pub fn new(outer: i64, inner: i64) -> Result<Sizes> {
        Ok(Sizes { outer: below("size", outer, LIMIT)?, inner: below("size", inner, LIMIT)? })
    }

    pub fn is_empty(self) -> bool {
        self.outer == 0 || self.inner == 0
    }
}

impl Place {
    pub fn new(offset: i64, outer_stride: i64, inner_stride: i64) -> Result<Place> {
        Ok(Place {
            offset: below("offset", offset, 1 << 63)?,
            outer_stride: below("stride", outer_stride, LIMIT - 1)?,
            inner_stride: below("stride", inner_stride, LIMIT - 1)?,
        })
    }

    /// The place of the elements in a buffer that has `length` of them; `sizes` is not empty.
    fn check(self, sizes: Sizes, length: usize) -> Result<Inside> {
        // Each factor is below 2³², the offset below 2⁶³: nothing wraps in 128 bits.
        let [outer, inner] = [(sizes.outer, self.outer_stride), (sizes.inner, self.inner_stride)]
            .map(|(size, stride)| u128::from(size - 1) * u128::from(stride));
        let end = u128::from(self.offset) + outer + inner + 1;
        if end > length as u128 {
            bail!(OutOfRange, "elements up to {end} of a buffer with {length}");
        }
        // All of them are at most `length`, or multiplied with 0 only.
        Ok(Inside {
            offset: self.offset as usize,
            outer_stride: self.outer_stride as usize,
            inner_stride: self.inner_stride as usize,
        })
    }
}

/// A place whose elements are all in the buffer.
#[derive(Clone, Copy, Debug)]
struct Inside {
    offset: usize,
    outer_stride: usize,
    inner_stride: usize,
}

impl Inside {
    /// Where row `i` starts.
    #[inline(always)]
    fn row(self, i: usize) -> usize {
        self.offset + i * self.outer_stride
    }
}

/// Elements to read.
pub(super) struct Source<'a, T: Element> {
    cells: Cells<'a, T>,
    place: Inside,
}

impl<'a, T: Element> Source<'a, T> {
    pub fn new(buffer: &'a Buffer, place: Place, sizes: Sizes) -> Result<Source<'a, T>> {
        let cells = buffer.cells::<T>();
        Ok(Source { cells, place: place.check(sizes, cells.len())? })
    }

    #[inline(always)]
    pub fn get(&self, i: usize, j: usize) -> T {
        self.cells.get(self.place.row(i) + j * self.place.inner_stride)
    }
}

/// Elements to write.
pub(super) struct Target<'a, T: Element> {
    cells: CellsMut<'a, T>,
    place: Inside,
}

impl<'a, T: Element> Target<'a, T> {
    /// `buffer` was seen to be mutable.
    pub fn new(buffer: &'a Buffer, place: Place, sizes: Sizes) -> Result<Target<'a, T>> {
        let cells = buffer.cells_mut::<T>()?;
        Ok(Target { cells, place: place.check(sizes, cells.len())? })
    }

    #[inline(always)]
    pub fn get(&self, i: usize, j: usize) -> T {
        self.cells.get(self.place.row(i) + j * self.place.inner_stride)
    }

    #[inline(always)]
    pub fn set(&self, i: usize, j: usize, value: T) {
        self.cells.set(self.place.row(i) + j * self.place.inner_stride, value);
    }
}

/// PERMISSION_DENIED for an output that may not be written, whether or not there is something to write.
pub(super) fn check_mutable(buffer: &Buffer) -> Result<()> {
    if buffer.is_mutable() {
        return Ok(());
    }
    bail!(PermissionDenied, "the output is read-only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sync::Code;

    fn code(place: (i64, i64, i64), sizes: (i64, i64)) -> Option<Code> {
        let buffer = Buffer::allocate(40, 0).expect("40 bytes");
        let source = || {
            let sizes = Sizes::new(sizes.0, sizes.1)?;
            let place = Place::new(place.0, place.1, place.2)?;
            Source::<u32>::new(&buffer, place, sizes).map(|_| ())
        };
        source().err().map(|status| status.code())
    }

    #[test]
    fn places_are_checked_without_wrapping() {
        let huge = i64::from(u32::MAX);
        assert_eq!(code((0, 5, 1), (2, 5)), None);
        assert_eq!(code((1, 5, 1), (2, 5)), Some(Code::OutOfRange));
        assert_eq!(code((0, 9, 0), (2, huge)), None);
        assert_eq!(code((0, 10, 0), (2, 1)), Some(Code::OutOfRange));
        assert_eq!(code((i64::MAX, 0, 0), (1, 1)), Some(Code::OutOfRange));
        assert_eq!(code((0, huge - 1, huge - 1), (huge, huge)), Some(Code::OutOfRange));
        for wrong in [
            ((-1, 0, 0), (1, 1)),
            ((0, -1, 0), (1, 1)),
            ((0, 0, huge), (1, 1)),
            ((0, 0, 0), (1, -1)),
            ((0, 0, 0), (huge + 1, 1)),
        ] {
            assert_eq!(code(wrong.0, wrong.1), Some(Code::InvalidArgument), "{wrong:?}");
        }
    }
}
