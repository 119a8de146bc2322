//! `mmt4d`: the product of two matrices that are packed in tiles.
//!
//! `lhs[M][K][M0][K0]` times `rhs[N][K][N0][K0]`, both with the summed dimension innermost, is `out[M][N][M0][N0]`.
//!
//! 1. Each result is summed in order: k from 0, c from 0 within it. Sums run in parallel only over different results, so
//!    the answer does not depend on tile sizes, chunks or threads.
//! 2. Products are rounded before they are added: no fused multiply-add, whatever the processor has.
//! 3. Work goes in blocks of [`ROWS`] × [`COLUMNS`] results that stay in registers. The operands of a block are copied to
//!    the stack first, in the order of use, a chunk at a time: the columns of [`STRIPS`] blocks, which serve all rows
//!    of the product, and the rows of one.

use weft_sync::{Result, bail};
use weft_vm::{Buffer, Element};

use super::view::{Place, Sizes, Source, Target, below, check_mutable};

/// `rIIrIIrIIIIIiiii`: lhs, rhs, out, each with offset and row stride; M, N, K; M0, N0, K0; flags.
type Arguments<'a> =
    (&'a Buffer, i64, i64, &'a Buffer, i64, i64, &'a Buffer, i64, i64, i64, i64, i64, i32, i32, i32, i32);

const TYPE: i32 = 0xFF;
const F32: i32 = 1;
const S8: i32 = 2;
const ACCUMULATE: i32 = 0x100;
/// Hints without a meaning here: any implementation may be used; intermediate results need not be rounded.
const HINTS: i32 = 0x600;

const ROWS: usize = 4;
const COLUMNS: usize = 8;
/// Blocks of columns for which rows are copied once.
const STRIPS: usize = 4;
/// Values of k and c for which operands are kept on the stack: 9 KiB.
const CHUNK: usize = 64;

/// How elements are stored, multiplied and added.
trait Scheme {
    type Stored: Element;
    type Value: Copy + Default;
    fn read(stored: Self::Stored) -> Self::Value;
    fn multiply_add(sum: Self::Value, left: Self::Value, right: Self::Value) -> Self::Value;
    fn to_bits(sum: Self::Value) -> u32;
    fn from_bits(bits: u32) -> Self::Value;
}

struct Floats;

impl Scheme for Floats {
    type Stored = u32;
    type Value = f32;

    #[inline(always)]
    fn read(stored: u32) -> f32 {
        f32::from_bits(stored)
    }

    #[inline(always)]
    fn multiply_add(sum: f32, left: f32, right: f32) -> f32 {
        sum + left * right
    }

    #[inline(always)]
    fn to_bits(sum: f32) -> u32 {
        sum.to_bits()
    }

    #[inline(always)]
    fn from_bits(bits: u32) -> f32 {
        f32::from_bits(bits)
    }
}

struct Bytes;

impl Scheme for Bytes {
    type Stored = u8;
    type Value = i32;

    #[inline(always)]
    fn read(stored: u8) -> i32 {
        i32::from(stored as i8)
    }

    #[inline(always)]
    fn multiply_add(sum: i32, left: i32, right: i32) -> i32 {
        sum.wrapping_add(left * right)
    }

    #[inline(always)]
    fn to_bits(sum: i32) -> u32 {
        sum as u32
    }

    #[inline(always)]
    fn from_bits(bits: u32) -> i32 {
        bits as i32
    }
}

/// Sizes of a product.
struct Shape {
    m: usize,
    n: usize,
    m0: usize,
    n0: usize,
    k0: usize,
    /// K·K0: how many products each result sums.
    depth: usize,
}

pub(super) fn mmt4d((): &(), arguments: Arguments<'_>) -> Result<()> {
    let flags = arguments.15;
    if flags & !(TYPE | ACCUMULATE | HINTS) != 0 {
        bail!(InvalidArgument, "unknown flags {flags:#x}");
    }
    match flags & TYPE {
        F32 => run::<Floats>(arguments),
        S8 => run::<Bytes>(arguments),
        other => bail!(InvalidArgument, "matrix product of elements of type {other}"),
    }
}

fn run<S: Scheme>(arguments: Arguments<'_>) -> Result<()> {
    let (lhs, l0, l1, rhs, r0, r1, out, o0, o1, m, n, k, m0, n0, k0, flags) = arguments;
    let [m, n, k] = [below("M", m, 1 << 31)?, below("N", n, 1 << 31)?, below("K", k, 1 << 31)?];
    let tile = |what: &str, size: i32| below(what, i64::from(size), 1 << 15);
    let [m0, n0, k0] = [tile("M0", m0)?, tile("N0", n0)?, tile("K0", k0)?];
    let places = [Place::new(l0, l1, 1)?, Place::new(r0, r1, 1)?, Place::new(o0, o1, 1)?];
    check_mutable(out)?;
    // At most 2⁶¹, so nothing wraps.
    let sizes = Sizes { outer: m, inner: n * m0 * n0 };
    if sizes.is_empty() {
        return Ok(());
    }
    let out = Target::<u32>::new(out, places[2], sizes)?;
    let accumulate = flags & ACCUMULATE != 0;
    if k * k0 == 0 {
        if !accumulate {
            fill_zero(&out, sizes);
        }
        return Ok(());
    }
    let lhs = Source::<S::Stored>::new(lhs, places[0], Sizes { outer: m, inner: k * m0 * k0 })?;
    let rhs = Source::<S::Stored>::new(rhs, places[1], Sizes { outer: n, inner: k * n0 * k0 })?;
    // All of them are sizes of what is in memory.
    let [m, n, m0, n0, k0, depth] = [m, n, m0, n0, k0, k * k0].map(|size| size as usize);
    Product::<S> { lhs, rhs, out, shape: Shape { m, n, m0, n0, k0, depth }, accumulate }.run();
    Ok(())
}

fn fill_zero(out: &Target<'_, u32>, sizes: Sizes) {
    for i in 0..sizes.outer as usize {
        for j in 0..sizes.inner as usize {
            out.set(i, j, 0);
        }
    }
}

/// A checked product.
struct Product<'a, S: Scheme> {
    lhs: Source<'a, S::Stored>,
    rhs: Source<'a, S::Stored>,
    out: Target<'a, u32>,
    shape: Shape,
    accumulate: bool,
}

/// Rows or columns of a block for a chunk of the summed dimension.
type Staged<V, const WIDTH: usize> = [[V; WIDTH]; CHUNK];

/// Adds the products of a chunk to a block. Nothing but arithmetic on what is at hand, so that sums stay in registers.
#[inline(never)]
fn add_products<S: Scheme>(
    mut sums: [[S::Value; COLUMNS]; ROWS],
    left: &[[S::Value; ROWS]],
    right: &[[S::Value; COLUMNS]],
) -> [[S::Value; COLUMNS]; ROWS] {
    for (left, right) in left.iter().zip(right) {
        for a in 0..ROWS {
            for b in 0..COLUMNS {
                sums[a][b] = S::multiply_add(sums[a][b], left[a], right[b]);
            }
        }
    }
    sums
}

/// A block of results: tile and first element in it. Blocks at the edge of a tile are smaller.
#[derive(Clone, Copy)]
struct Block {
    tile: usize,
    first: usize,
    count: usize,
}

/// All blocks along one dimension.
fn blocks(tiles: usize, tile_size: usize, block_size: usize) -> impl Iterator<Item = Block> {
    (0..tiles).flat_map(move |tile| {
        (0..tile_size).step_by(block_size).map(move |first| Block {
            tile,
            first,
            count: block_size.min(tile_size - first),
        })
    })
}

impl<S: Scheme> Product<'_, S> {
    fn run(&self) {
        let Shape { m, n, m0, n0, depth, .. } = self.shape;
        let mut left = [[S::Value::default(); ROWS]; CHUNK];
        let mut right = [[[S::Value::default(); COLUMNS]; CHUNK]; STRIPS];
        let mut strips = blocks(n, n0, COLUMNS).peekable();
        while strips.peek().is_some() {
            let strips: [Option<Block>; STRIPS] = std::array::from_fn(|_| strips.next());
            for start in (0..depth).step_by(CHUNK) {
                let chunk = start..depth.min(start + CHUNK);
                for (right, columns) in right.iter_mut().zip(strips.into_iter().flatten()) {
                    self.stage(&self.rhs, n0, right, columns, chunk.clone());
                }
                let adds = self.accumulate || start > 0;
                for rows in blocks(m, m0, ROWS) {
                    self.stage(&self.lhs, m0, &mut left, rows, chunk.clone());
                    for (right, columns) in right.iter().zip(strips.into_iter().flatten()) {
                        self.block(&left[..chunk.len()], &right[..chunk.len()], (rows, columns), adds);
                    }
                }
            }
        }
    }

    /// Copies a block of an operand whose tiles have `tile_size` rows. What lies beyond the edge of a tile stays what it
    /// was; nobody looks at the sums that it goes into.
    #[inline(always)]
    fn stage<const WIDTH: usize>(
        &self,
        operand: &Source<'_, S::Stored>,
        tile_size: usize,
        staged: &mut Staged<S::Value, WIDTH>,
        block: Block,
        chunk: std::ops::Range<usize>,
    ) {
        let k0 = self.shape.k0;
        let (mut k, mut c) = (chunk.start / k0, chunk.start % k0);
        for row in &mut staged[..chunk.len()] {
            for (index, value) in row[..block.count].iter_mut().enumerate() {
                *value = S::read(operand.get(block.tile, (k * tile_size + block.first + index) * k0 + c));
            }
            c += 1;
            if c == k0 {
                (k, c) = (k + 1, 0);
            }
        }
    }

    /// Computes a block of results from a chunk of its operands: beyond what is there, if it `adds`.
    fn block(
        &self,
        left: &[[S::Value; ROWS]],
        right: &[[S::Value; COLUMNS]],
        (rows, columns): (Block, Block),
        adds: bool,
    ) {
        let mut sums = [[S::Value::default(); COLUMNS]; ROWS];
        if adds {
            self.visit(rows, columns, |a, b, row, element| {
                sums[a][b] = S::from_bits(self.out.get(row, element));
            });
        }
        let sums = add_products::<S>(sums, left, right);
        self.visit(rows, columns, |a, b, row, element| self.out.set(row, element, S::to_bits(sums[a][b])));
    }

    /// Calls `visit` with each place in a block, and the row and element of the output that it stands for.
    #[inline(always)]
    fn visit(&self, rows: Block, columns: Block, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let Shape { m0, n0, .. } = self.shape;
        for a in 0..rows.count {
            for b in 0..columns.count {
                let element = (columns.tile * m0 + rows.first + a) * n0 + columns.first + b;
                visit(a, b, rows.tile, element);
            }
        }
    }
}
