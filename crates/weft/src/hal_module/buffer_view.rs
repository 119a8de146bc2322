//! `hal.buffer_view.*`: tensors as programs pass them around.
//!
//! What lives here: the exports, and the comparison of a view with what a program expects, whose messages users see.
//! What does not: shapes and lengths (`weft-hal/src/buffer_view.rs`).

use super::HalState;
use std::sync::Arc;
use weft_hal::{Buffer, BufferView, ElementClass, ElementType, Encoding, Shape};
use weft_sync::{Code, Result, Status, bail};
use weft_vm::Buffer as Bytes;
use weft_vm::native::Span;

/// Views that one trace may show.
const TRACE_VIEWS_MAX: usize = 128;

/// `rIIiiCID_r`
pub(super) fn create(
    _: &HalState,
    (buffer, offset, length, element_type, encoding, dims): (&Buffer, u64, u64, u32, u32, Span<'_, u64>),
) -> Result<Arc<BufferView>> {
    let shape = shape(&dims)?;
    let range = buffer.subspan(offset, length)?;
    BufferView::new(range, shape, ElementType::from_raw(element_type), Encoding::from_raw(encoding))
}

fn shape(dims: &Span<'_, u64>) -> Result<Shape> {
    // Reading a number from a register cannot fail.
    Shape::collect(dims.len(), dims.iter().map_while(Result::ok))
}

/// `rriiCID_v`
pub(super) fn assert(
    _: &HalState,
    (view, message, element_type, encoding, dims): (&BufferView, &Bytes, u32, u32, Span<'_, u64>),
) -> Result<()> {
    let encoding = Encoding::from_raw(encoding);
    if view.encoding() != encoding && view.encoding() != Encoding::OPAQUE {
        return Err(encoding_mismatch(message, encoding, view.encoding()));
    }
    let element_type = ElementType::from_raw(element_type);
    if !is_compatible(element_type, view.element_type()) {
        return Err(element_mismatch(message, element_type, view.element_type()));
    }
    let actual = view.shape().dims();
    let same = actual.len() == dims.len()
        && dims.iter().zip(actual).all(|(dim, have)| dim.is_ok_and(|dim| dim == *have));
    if same { Ok(()) } else { Err(shape_mismatch(message, &shape(&dims)?, view.shape())) }
}

/// Whether a tensor of type `actual` may be used where `expected` is declared.
#[inline]
pub(crate) fn is_compatible(expected: ElementType, actual: ElementType) -> bool {
    if expected == actual {
        return true;
    }
    let is_integer = |element_type: ElementType| element_type.class().is_some_and(ElementClass::is_integer);
    actual.class() == Some(ElementClass::Opaque)
        || (is_integer(expected) && is_integer(actual) && expected.bit_count() == actual.bit_count())
}

#[cold]
fn encoding_mismatch(message: &Bytes, expected: Encoding, have: Encoding) -> Status {
    let (text, expected, have) = (message.text(), expected.raw(), have.raw());
    Status::new(
        Code::InvalidArgument,
        format!("{text} encoding mismatch; expected {expected:08x} but have {have:08x}"),
    )
}

#[cold]
fn element_mismatch(message: &Bytes, expected: ElementType, have: ElementType) -> Status {
    let text = message.text();
    let (expected_raw, have_raw) = (expected.raw(), have.raw());
    Status::new(
        Code::InvalidArgument,
        format!(
            "{text} element type mismatch; expected {expected} ({expected_raw:08x}) but have {have} ({have_raw:08x})"
        ),
    )
}

#[cold]
fn shape_mismatch(message: &Bytes, expected: &Shape, have: &Shape) -> Status {
    let text = message.text();
    let shapes = format!("expected shape `{expected}`, actual shape `{have}`");
    let cause = if expected.rank() != have.rank() {
        format!("rank mismatch; expected {} but have {}", expected.rank(), have.rank())
    } else {
        let pairs = expected.dims().iter().zip(have.dims());
        let different = pairs.enumerate().find(|(_, (expected, have))| expected != have);
        different.map_or_else(String::new, |(index, (expected, have))| {
            format!("dimension {index} mismatch; expected {expected} but have {have}")
        })
    };
    Status::new(Code::InvalidArgument, format!("{text} shape {cause}; {shapes}"))
}

/// `r_r`
pub(super) fn buffer(_: &HalState, view: &BufferView) -> Result<Arc<Buffer>> {
    Ok(Arc::clone(view.buffer()))
}

/// `r_i`
pub(super) fn element_type(_: &HalState, view: &BufferView) -> Result<u32> {
    Ok(view.element_type().raw())
}

/// `r_i`
pub(super) fn encoding_type(_: &HalState, view: &BufferView) -> Result<u32> {
    Ok(view.encoding().raw())
}

/// `r_i`
pub(super) fn rank(_: &HalState, view: &BufferView) -> Result<i32> {
    // At most 128.
    Ok(view.shape().rank() as i32)
}

/// `ri_I`: 0 for a dimension that does not exist.
pub(super) fn dim(_: &HalState, (view, index): (&BufferView, i32)) -> Result<u64> {
    Ok(usize::try_from(index).ok().and_then(|index| view.shape().dim(index)).unwrap_or(0))
}

/// `rCrD_v`: shows tensors. The program has waited for what produces them.
pub(super) fn trace(state: &HalState, (key, views): (&Bytes, Span<'_, &BufferView>)) -> Result<()> {
    if views.len() > TRACE_VIEWS_MAX {
        bail!(ResourceExhausted, "trace of {} tensors, at most {TRACE_VIEWS_MAX}", views.len());
    }
    let views = views.iter().collect::<Result<Vec<_>>>()?;
    match &state.trace {
        // Memory of CPU devices can be read in place, so no view needs a copy first.
        Some(sink) => sink(&key.text(), &views),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which types pass for which. [hal-module 16]
    #[test]
    fn compatible_element_types() {
        let yes = [
            (ElementType::I32, ElementType::SI32),
            (ElementType::UI32, ElementType::I32),
            (ElementType::I8, ElementType::BOOL8),
            (ElementType::F32, ElementType::NONE),
            (ElementType::F32, ElementType::OPAQUE8),
        ];
        let no = [
            (ElementType::I32, ElementType::F32),
            (ElementType::I32, ElementType::I64),
            (ElementType::OPAQUE8, ElementType::I8),
            (ElementType::F16, ElementType::BF16),
        ];
        for (expected, actual) in yes {
            assert!(is_compatible(expected, actual), "{expected} {actual}");
        }
        for (expected, actual) in no {
            assert!(!is_compatible(expected, actual), "{expected} {actual}");
        }
    }
}
