//! `pack` and `unpack`: between rows of elements and rows of tiles.
//!
//! The tiled side has four dimensions, `o0 × o1 × o2 × o3`; the last two are one tile and contiguous. With
//! TRANSPOSE_OUTER the tiles lie column after column, with TRANSPOSE_INNER the elements of a tile do.

use weft_sync::{Result, bail};
use weft_vm::{Buffer, Element};

use super::view::{Place, Sizes, Source, Target, below, check_mutable};

/// `rIIIrIIIIIIIIIIi`: in and out, each with offset and two strides; two sizes of in; four of out; padding; flags.
type Pack<'a> =
    (&'a Buffer, i64, i64, i64, &'a Buffer, i64, i64, i64, i64, i64, i64, i64, i64, i64, u64, i32);
/// `rIIIrIIIIIIIIIi`: in and out, each with offset and two strides; four sizes of in; two of out; flags.
type Unpack<'a> = (&'a Buffer, i64, i64, i64, &'a Buffer, i64, i64, i64, i64, i64, i64, i64, i64, i64, i32);

const TYPE: i32 = 0xFF;
const TRANSPOSE_INNER: i32 = 0x100;
const TRANSPOSE_OUTER: i32 = 0x200;
const FLAGS: i32 = TYPE | TRANSPOSE_INNER | TRANSPOSE_OUTER;

/// Element types, as the flags number them.
const F32: i32 = 1;
const I8: i32 = 2;
const I32: i32 = 3;

/// Sizes stay below this, so that products of two fit 64 bits.
const LIMIT: u64 = 1 << 32;

/// The tiled side, and how it corresponds to the plain one.
struct Tiling {
    /// Sizes of the four dimensions as they lie in memory.
    tiled: [u64; 4],
    plain: Sizes,
    flags: i32,
}

impl Tiling {
    /// `outer_stride_inner` is the distance of neighbours in the second dimension of tiles.
    fn new(tiled: [i64; 4], plain: [i64; 2], tile_stride: u64, flags: i32) -> Result<Tiling> {
        if flags & !FLAGS != 0 {
            bail!(InvalidArgument, "unknown flags {flags:#x}");
        }
        let mut sizes = [0; 4];
        for (size, value) in sizes.iter_mut().zip(tiled) {
            *size = below("size", value, LIMIT)?;
        }
        let tiling = Tiling { tiled: sizes, plain: Sizes::new(plain[0], plain[1])?, flags };
        let [_, _, o2, o3] = sizes;
        if !tiling.is_empty() && tile_stride != o2 * o3 {
            bail!(InvalidArgument, "tiles of {o2}x{o3} elements are {tile_stride} elements apart");
        }
        let ([rows, columns], [tile_rows, tile_columns]) = (tiling.grid(), tiling.tile());
        let covers = rows * tile_rows >= tiling.plain.outer && columns * tile_columns >= tiling.plain.inner;
        if !tiling.is_empty() && !covers {
            bail!(
                InvalidArgument,
                "{rows}x{columns} tiles of {tile_rows}x{tile_columns} do not cover {}x{} elements",
                tiling.plain.outer,
                tiling.plain.inner
            );
        }
        Ok(tiling)
    }

    fn is_empty(&self) -> bool {
        self.tiled.contains(&0)
    }

    /// How many tiles there are along rows and columns of the plain side.
    fn grid(&self) -> [u64; 2] {
        let [o0, o1, ..] = self.tiled;
        if self.flags & TRANSPOSE_OUTER != 0 { [o1, o0] } else { [o0, o1] }
    }

    /// Rows and columns of a tile.
    fn tile(&self) -> [u64; 2] {
        let [.., o2, o3] = self.tiled;
        if self.flags & TRANSPOSE_INNER != 0 { [o3, o2] } else { [o2, o3] }
    }

    /// The tiled side in two dimensions: rows of tiles, all elements of a row. Its inner stride is 1.
    fn tiled_sizes(&self) -> Result<Sizes> {
        let [o0, o1, o2, o3] = self.tiled.map(u128::from);
        let Ok(inner) = u64::try_from(o1 * o2 * o3) else {
            bail!(OutOfRange, "a row of {o1} tiles of {o2}x{o3} elements");
        };
        Ok(Sizes { outer: o0 as u64, inner })
    }

    /// Calls `visit` for every element of every tile: row and column on the plain side, row and element on the tiled.
    #[inline(always)]
    fn visit(&self, mut visit: impl FnMut((u64, u64), (usize, usize))) {
        let [o0, o1, o2, o3] = self.tiled;
        let (outer, inner) = (self.flags & TRANSPOSE_OUTER != 0, self.flags & TRANSPOSE_INNER != 0);
        let [tile_rows, tile_columns] = self.tile();
        for p in 0..o0 {
            for q in 0..o1 {
                let (a, b) = if outer { (q, p) } else { (p, q) };
                for r in 0..o2 {
                    for s in 0..o3 {
                        let (c, d) = if inner { (s, r) } else { (r, s) };
                        let tiled = (p as usize, ((q * o2 + r) * o3 + s) as usize);
                        visit((a * tile_rows + c, b * tile_columns + d), tiled);
                    }
                }
            }
        }
    }
}

pub(super) fn pack((): &(), arguments: Pack<'_>) -> Result<()> {
    let flags = arguments.15;
    match flags & TYPE {
        F32 | I32 => pack_elements::<u32>(arguments, |padding| padding as u32),
        I8 => pack_elements::<u8>(arguments, |padding| padding as u8),
        other => bail!(InvalidArgument, "packing elements of type {other}"),
    }
}

fn pack_elements<T: Element>(arguments: Pack<'_>, narrow: impl Fn(u64) -> T) -> Result<()> {
    let (source, i0, i1, i2, out, o0, o1, o2, rows, columns, t0, t1, t2, t3, padding, flags) = arguments;
    let (source_place, tile_place) = (Place::new(i0, i1, i2)?, Place::new(o0, o1, o2)?);
    let tiling = Tiling::new([t0, t1, t2, t3], [rows, columns], tile_place.inner_stride, flags)?;
    check_mutable(out)?;
    if tiling.is_empty() {
        return Ok(());
    }
    // Nothing but padding if there is nothing to pack.
    let source = match tiling.plain.is_empty() {
        true => None,
        false => Some(Source::<T>::new(source, source_place, tiling.plain)?),
    };
    let out = Target::<T>::new(out, Place { inner_stride: 1, ..tile_place }, tiling.tiled_sizes()?)?;
    let padding = narrow(padding);
    tiling.visit(|(row, column), (p, element)| {
        let inside = row < tiling.plain.outer && column < tiling.plain.inner;
        let value = match &source {
            Some(source) if inside => source.get(row as usize, column as usize),
            _ => padding,
        };
        out.set(p, element, value);
    });
    Ok(())
}

pub(super) fn unpack((): &(), arguments: Unpack<'_>) -> Result<()> {
    let (source, i0, i1, i2, out, o0, o1, o2, t0, t1, t2, t3, rows, columns, flags) = arguments;
    if !matches!(flags & TYPE, F32 | I32) {
        bail!(InvalidArgument, "unpacking elements of type {}", flags & TYPE);
    }
    let (tile_place, out_place) = (Place::new(i0, i1, i2)?, Place::new(o0, o1, o2)?);
    let tiling = Tiling::new([t0, t1, t2, t3], [rows, columns], tile_place.inner_stride, flags)?;
    check_mutable(out)?;
    if tiling.is_empty() || tiling.plain.is_empty() {
        return Ok(());
    }
    let source = Source::<u32>::new(source, Place { inner_stride: 1, ..tile_place }, tiling.tiled_sizes()?)?;
    let out = Target::<u32>::new(out, out_place, tiling.plain)?;
    tiling.visit(|(row, column), (p, element)| {
        if row < tiling.plain.outer && column < tiling.plain.inner {
            out.set(row as usize, column as usize, source.get(p, element));
        }
    });
    Ok(())
}
