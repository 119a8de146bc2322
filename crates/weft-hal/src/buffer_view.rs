//! Buffer views: a buffer with a shape and an element type.

use std::sync::Arc;

use weft_sync::{Result, bail};

use crate::buffer::Buffer;
use crate::element::{ElementType, Encoding};
use crate::shape::Shape;

/// A typed, shaped view of a buffer. Immutable.
#[derive(Debug)]
pub struct BufferView {
    buffer: Arc<Buffer>,
    shape: Shape,
    element_type: ElementType,
    encoding: Encoding,
    byte_length: u64,
}

impl BufferView {
    /// A view of all of `buffer`. Its dense contents must fit; any element type and encoding number is kept.
    pub fn new(
        buffer: Arc<Buffer>,
        shape: Shape,
        element_type: ElementType,
        encoding: Encoding,
    ) -> Result<Arc<BufferView>> {
        let byte_length = shape.byte_length(element_type)?;
        if byte_length > buffer.byte_length() {
            bail!(
                OutOfRange,
                "buffer view byte length {byte_length} exceeds backing buffer byte length {}",
                buffer.byte_length()
            );
        }
        Ok(Arc::new(BufferView { buffer, shape, element_type, encoding, byte_length }))
    }

    /// A view of a range of `buffer`.
    pub fn of_range(
        buffer: &Buffer,
        offset: u64,
        length: u64,
        shape: Shape,
        element_type: ElementType,
        encoding: Encoding,
    ) -> Result<Arc<BufferView>> {
        BufferView::new(buffer.subspan(offset, length)?, shape, element_type, encoding)
    }

    /// The buffer, or the subspan that the view covers.
    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.buffer
    }

    /// Extents.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What the elements are.
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// How the elements are laid out.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Bytes of the logical contents, at most those of the buffer.
    pub fn byte_length(&self) -> u64 {
        self.byte_length
    }

    /// The logical contents. The caller has waited for whoever wrote them.
    pub fn read_to_vec(&self) -> Result<Vec<u8>> {
        self.buffer.read_to_vec(0, self.byte_length)
    }

    /// The same bytes with other extents of the same rank and number of elements.
    pub fn reshaped(&self, shape: Shape) -> Result<Arc<BufferView>> {
        if shape.rank() != self.shape.rank() || shape.element_count()? != self.shape.element_count()? {
            bail!(
                InvalidArgument,
                "shape `{}` cannot become `{shape}`: same rank and element count needed",
                self.shape
            );
        }
        BufferView::new(Arc::clone(&self.buffer), shape, self.element_type, self.encoding)
    }

    /// Where the element at `indices` starts.
    pub fn byte_offset(&self, indices: &[u64]) -> Result<u64> {
        self.require_computable()?;
        if indices.len() != self.shape.rank() {
            bail!(InvalidArgument, "{} indices for rank {}", indices.len(), self.shape.rank());
        }
        let mut element = 0_u64;
        for (&index, &extent) in indices.iter().zip(self.shape.dims()) {
            if index >= extent {
                bail!(OutOfRange, "index {index} of an extent of {extent}");
            }
            // No overflow: below the element count, which was multiplied with checks at creation.
            element = element * extent + index;
        }
        Ok(element * self.element_type.dense_byte_count())
    }

    /// Offset and length of the contiguous bytes from `start` over `lengths`.
    pub fn byte_range(&self, start: &[u64], lengths: &[u64]) -> Result<(u64, u64)> {
        self.require_computable()?;
        let dims = self.shape.dims();
        if start.len() != dims.len() || lengths.len() != dims.len() {
            bail!(
                InvalidArgument,
                "{} starts and {} lengths for rank {}",
                start.len(),
                lengths.len(),
                dims.len()
            );
        }
        let mut last = Vec::with_capacity(dims.len());
        for ((&from, &length), &extent) in start.iter().zip(lengths).zip(dims) {
            if length == 0 {
                return Ok((self.byte_offset_unchecked(start), 0));
            }
            match from.checked_add(length) {
                Some(end) if end <= extent => last.push(end - 1),
                _ => bail!(OutOfRange, "{length} from {from} of an extent of {extent}"),
            }
        }
        let first = self.byte_offset(start)?;
        let end = self.byte_offset(&last)? + self.element_type.dense_byte_count();
        let elements: u64 = lengths.iter().product();
        if end - first != elements * self.element_type.dense_byte_count() {
            bail!(Unimplemented, "the range is not contiguous");
        }
        Ok((first, end - first))
    }

    fn byte_offset_unchecked(&self, indices: &[u64]) -> u64 {
        self.byte_offset(indices).unwrap_or(0)
    }

    fn require_computable(&self) -> Result<()> {
        if self.encoding != Encoding::DENSE_ROW_MAJOR {
            bail!(Unimplemented, "offsets in encoding {:08x}", self.encoding.raw());
        }
        if !self.element_type.is_byte_aligned() || self.element_type.bit_count() == 0 {
            bail!(InvalidArgument, "offsets of {} elements, which do not start at bytes", self.element_type);
        }
        Ok(())
    }
}
