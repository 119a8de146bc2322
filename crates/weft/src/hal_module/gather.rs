//! Repeated arguments of an export as a slice, without an allocation for the sizes that programs use.
//!
//! What lives here: [`Gathered`]. What does not: reading one tuple (`weft-vm`).

use weft_sync::Result;
use weft_vm::native::{Argument, Span};

/// The tuples of a span, converted; up to `N` of them lie on the stack.
pub(super) struct Gathered<T, const N: usize> {
    inline: [T; N],
    count: usize,
    heap: Vec<T>,
}

impl<T: Copy, const N: usize> Gathered<T, N> {
    /// Converts all tuples; `empty` fills the places that are not used.
    #[inline]
    pub(super) fn from_span<'a, A: Argument>(
        span: &Span<'a, A>,
        empty: T,
        convert: impl Fn(A::At<'a>) -> T,
    ) -> Result<Gathered<T, N>> {
        let mut gathered = Gathered { inline: [empty; N], count: span.len(), heap: Vec::new() };
        if span.len() > N {
            gathered.heap.reserve_exact(span.len());
            for tuple in span.iter() {
                gathered.heap.push(convert(tuple?));
            }
            return Ok(gathered);
        }
        for (slot, tuple) in gathered.inline.iter_mut().zip(span.iter()) {
            *slot = convert(tuple?);
        }
        Ok(gathered)
    }

    /// The converted tuples.
    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        if self.count > N { &self.heap } else { &self.inline[..self.count] }
    }
}
