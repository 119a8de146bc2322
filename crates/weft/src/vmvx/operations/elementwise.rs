//! One result for each element: arithmetic, copies, fills.

use weft_sync::{Result, bail};
use weft_vm::{Buffer, Element};

use super::view::{Place, Sizes, Source, Target, check_mutable};

/// `rIIIrIIIrIIIII`: left, right and out, each with offset and two strides; two sizes.
type Binary<'a> = (&'a Buffer, i64, i64, i64, &'a Buffer, i64, i64, i64, &'a Buffer, i64, i64, i64, i64, i64);
/// `rIIIrIIIII`: in and out, each with offset and two strides; two sizes.
type Unary<'a> = (&'a Buffer, i64, i64, i64, &'a Buffer, i64, i64, i64, i64, i64);
/// `irIIII`: value; out with offset and outer stride; two sizes.
type Fill<'a> = (u32, &'a Buffer, i64, i64, i64, i64);

/// Runs `operation` on each pair of elements.
#[inline]
fn binary(arguments: Binary<'_>, operation: impl Fn(u32, u32) -> Result<u32>) -> Result<()> {
    let (left, l0, l1, l2, right, r0, r1, r2, out, o0, o1, o2, outer, inner) = arguments;
    let sizes = Sizes::new(outer, inner)?;
    let [left_place, right_place, out_place] =
        [Place::new(l0, l1, l2)?, Place::new(r0, r1, r2)?, Place::new(o0, o1, o2)?];
    check_mutable(out)?;
    if sizes.is_empty() {
        return Ok(());
    }
    let left = Source::<u32>::new(left, left_place, sizes)?;
    let right = Source::<u32>::new(right, right_place, sizes)?;
    let out = Target::<u32>::new(out, out_place, sizes)?;
    for i in 0..sizes.outer as usize {
        for j in 0..sizes.inner as usize {
            out.set(i, j, operation(left.get(i, j), right.get(i, j))?);
        }
    }
    Ok(())
}

/// Runs `operation` on each element.
#[inline]
fn unary<T: Element>(arguments: Unary<'_>, operation: impl Fn(T) -> T) -> Result<()> {
    let (source, s0, s1, s2, out, o0, o1, o2, outer, inner) = arguments;
    let sizes = Sizes::new(outer, inner)?;
    let (source_place, out_place) = (Place::new(s0, s1, s2)?, Place::new(o0, o1, o2)?);
    check_mutable(out)?;
    if sizes.is_empty() {
        return Ok(());
    }
    let source = Source::<T>::new(source, source_place, sizes)?;
    let out = Target::<T>::new(out, out_place, sizes)?;
    for i in 0..sizes.outer as usize {
        for j in 0..sizes.inner as usize {
            out.set(i, j, operation(source.get(i, j)));
        }
    }
    Ok(())
}

/// An export on pairs of floats.
pub(super) fn binary_f32(
    operation: impl Fn(f32, f32) -> f32 + Send + Sync + 'static,
) -> impl Fn(&(), Binary<'_>) -> Result<()> + Send + Sync + 'static {
    move |(), arguments| {
        binary(arguments, |a, b| Ok(operation(f32::from_bits(a), f32::from_bits(b)).to_bits()))
    }
}

/// An export on pairs of integers.
pub(super) fn binary_i32(
    operation: impl Fn(u32, u32) -> u32 + Send + Sync + 'static,
) -> impl Fn(&(), Binary<'_>) -> Result<()> + Send + Sync + 'static {
    move |(), arguments| binary(arguments, |a, b| Ok(operation(a, b)))
}

/// An export that divides: by 0 is INVALID_ARGUMENT.
pub(super) fn divide_i32(
    operation: impl Fn(u32, u32) -> u32 + Send + Sync + 'static,
) -> impl Fn(&(), Binary<'_>) -> Result<()> + Send + Sync + 'static {
    move |(), arguments| {
        binary(arguments, |a, b| if b == 0 { division_by_zero() } else { Ok(operation(a, b)) })
    }
}

#[cold]
fn division_by_zero() -> Result<u32> {
    bail!(InvalidArgument, "integer division by zero")
}

/// An export on floats.
pub(super) fn unary_f32(
    operation: impl Fn(f32) -> f32 + Send + Sync + 'static,
) -> impl Fn(&(), Unary<'_>) -> Result<()> + Send + Sync + 'static {
    move |(), arguments| unary(arguments, |a: u32| operation(f32::from_bits(a)).to_bits())
}

/// An export on integers.
pub(super) fn unary_i32(
    operation: impl Fn(u32) -> u32 + Send + Sync + 'static,
) -> impl Fn(&(), Unary<'_>) -> Result<()> + Send + Sync + 'static {
    move |(), arguments| unary(arguments, &operation)
}

/// Copies bits; rows without gaps as a whole.
fn copy<T: Element>(arguments: Unary<'_>) -> Result<()> {
    let (source, source_offset, .., s2, out, out_offset, _, o2, _, _) = arguments;
    let (_, _, s1, _, _, _, o1, _, outer, inner) = arguments;
    if s2 != 1 || o2 != 1 {
        return unary(arguments, |a: T| a);
    }
    let sizes = Sizes::new(outer, inner)?;
    let (source_place, out_place) = (Place::new(source_offset, s1, s2)?, Place::new(out_offset, o1, o2)?);
    check_mutable(out)?;
    if sizes.is_empty() {
        return Ok(());
    }
    // Checks as a whole, before the first row is written.
    Source::<T>::new(source, source_place, sizes)?;
    Target::<T>::new(out, out_place, sizes)?;
    let row = |place: Place, i: u64| (place.offset + i * place.outer_stride) << T::SHIFT;
    let length = sizes.inner << T::SHIFT;
    (0..sizes.outer).try_for_each(|i| source.copy(row(source_place, i), out, row(out_place, i), length))
}

pub(super) fn copy_x8((): &(), arguments: Unary<'_>) -> Result<()> {
    copy::<u8>(arguments)
}

pub(super) fn copy_x16((): &(), arguments: Unary<'_>) -> Result<()> {
    copy::<u16>(arguments)
}

pub(super) fn copy_x32((): &(), arguments: Unary<'_>) -> Result<()> {
    copy::<u32>(arguments)
}

pub(super) fn copy_x64((): &(), arguments: Unary<'_>) -> Result<()> {
    copy::<u64>(arguments)
}

pub(super) fn fill_x32((): &(), arguments: Fill<'_>) -> Result<()> {
    let (value, out, offset, stride, outer, inner) = arguments;
    let sizes = Sizes::new(outer, inner)?;
    let place = Place::new(offset, stride, 1)?;
    check_mutable(out)?;
    if sizes.is_empty() {
        return Ok(());
    }
    let out = Target::<u32>::new(out, place, sizes)?;
    for i in 0..sizes.outer as usize {
        for j in 0..sizes.inner as usize {
            out.set(i, j, value);
        }
    }
    Ok(())
}
