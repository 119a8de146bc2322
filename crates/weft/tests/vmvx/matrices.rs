//! The functions on tiled matrices that kernels import from `vmvx`.

use weft::Code;

use crate::harness::Argument::{Buffer, Constants, I32, I64, Null};
use crate::harness::*;

const MMT4D: &str = "0rIIrIIrIIIIIiiii_v";
const PACK: &str = "0rIIIrIIIIIIIIIIi_v";
const UNPACK: &str = "0rIIIrIIIIIIIIIi_v";
const TILES: &str = "0IIi_II";

const F32: i32 = 1;
const S8: i32 = 2;
const I32_TYPE: i32 = 3;
const ACCUMULATE: i32 = 0x100;
const TRANSPOSE_INNER: i32 = 0x100;
const TRANSPOSE_OUTER: i32 = 0x200;

/// Sizes of a product and how far apart its rows of tiles are, beyond what they need.
#[derive(Clone, Copy, Debug)]
struct Product {
    m: usize,
    n: usize,
    k: usize,
    tile: [usize; 3],
    gap: usize,
    flags: i32,
}

impl Product {
    fn strides(&self) -> [usize; 3] {
        let [m0, n0, k0] = self.tile;
        [self.k * m0 * k0, self.k * n0 * k0, self.n * m0 * n0].map(|dense| dense + self.gap)
    }

    fn arguments(&self) -> Vec<Argument> {
        let [lhs, rhs, out] = self.strides().map(|stride| I64(stride as i64));
        let [m0, n0, k0] = self.tile.map(|size| I32(size as i32));
        let [m, n, k] = [self.m, self.n, self.k].map(|size| I64(size as i64));
        let offset = I64(1);
        vec![
            Buffer(0),
            offset,
            lhs,
            Buffer(1),
            offset,
            rhs,
            Buffer(2),
            offset,
            out,
            m,
            n,
            k,
            m0,
            n0,
            k0,
            I32(self.flags),
        ]
    }

    /// Calls `add` with the indices of each product that is summed: out, lhs, rhs.
    fn visit(&self, mut add: impl FnMut(usize, usize, usize)) {
        let ([m0, n0, k0], [ls, rs, os]) = (self.tile, self.strides());
        for i in 0..self.m {
            for j in 0..self.n {
                for a in 0..m0 {
                    for b in 0..n0 {
                        for k in 0..self.k {
                            for c in 0..k0 {
                                let out = 1 + i * os + (j * m0 + a) * n0 + b;
                                let lhs = 1 + i * ls + (k * m0 + a) * k0 + c;
                                let rhs = 1 + j * rs + (k * n0 + b) * k0 + c;
                                add(out, lhs, rhs);
                            }
                        }
                    }
                }
            }
        }
    }

    fn lengths(&self) -> [usize; 3] {
        let [ls, rs, os] = self.strides();
        [self.m * ls, self.n * rs, self.m * os].map(|length| length + 1)
    }
}

/// Small numbers of either sign, all different enough.
fn values(count: usize, seed: usize) -> impl Iterator<Item = i32> {
    (0..count).map(move |index| ((index * 37 + seed * 11) % 61) as i32 - 30)
}

fn products(flags: i32) -> Vec<Product> {
    let mut all = Vec::new();
    for tile in [[1, 1, 1], [8, 8, 1], [16, 16, 2], [5, 11, 3], [4, 8, 4]] {
        for (m, n, k) in [(1, 1, 1), (2, 3, 4), (1, 2, 130)] {
            for gap in [0, 7] {
                all.push(Product { m, n, k, tile, gap, flags });
                all.push(Product { m, n, k, tile, gap, flags: flags | ACCUMULATE | 0x600 });
            }
        }
    }
    all
}

/// [exec 50]
#[test]
fn float_products_are_summed_in_order() {
    for product in products(F32) {
        let [ll, rl, ol] = product.lengths();
        let lhs: Vec<f32> = values(ll, 1).map(|value| value as f32 * 0.37).collect();
        let rhs: Vec<f32> = values(rl, 2).map(|value| value as f32 * 1.13).collect();
        let before: Vec<f32> = values(ol, 3).map(|value| value as f32).collect();
        let mut bindings = [Bytes::of_f32(&lhs), Bytes::of_f32(&rhs), Bytes::of_f32(&before)];
        call("mmt4d", MMT4D, &mut bindings, &product.arguments()).unwrap();

        let mut expected = before;
        if product.flags & ACCUMULATE == 0 {
            product.visit(|out, _, _| expected[out] = 0.0);
        }
        product.visit(|out, left, right| expected[out] += lhs[left] * rhs[right]);
        assert_eq!(bindings[2].f32s(), expected, "{product:?}");
    }
}

/// [exec 50] Sums of bytes wrap.
#[test]
fn byte_products_are_exact() {
    for product in products(S8) {
        let [ll, rl, ol] = product.lengths();
        let bytes = |count, seed| values(count, seed).map(|value| (value * 4) as u8).collect::<Vec<_>>();
        let (lhs, rhs) = (bytes(ll, 1), bytes(rl, 2));
        let before: Vec<u32> = values(ol, 3).map(|value| value.wrapping_add(i32::MAX - 9) as u32).collect();
        let mut bindings = [Bytes::new(&lhs), Bytes::new(&rhs), Bytes::of_u32(&before)];
        call("mmt4d", MMT4D, &mut bindings, &product.arguments()).unwrap();

        let mut expected = before;
        if product.flags & ACCUMULATE == 0 {
            product.visit(|out, _, _| expected[out] = 0);
        }
        product.visit(|out, left, right| {
            let one = i32::from(lhs[left] as i8) * i32::from(rhs[right] as i8);
            expected[out] = expected[out].wrapping_add(one as u32);
        });
        assert_eq!(bindings[2].u32s(), expected, "{product:?}");
    }
}

/// [exec 50] Nothing to sum is 0, or what was there; nothing to give is nothing.
#[test]
fn empty_products() {
    let run = |product: Product| {
        let mut bindings = [Bytes::zeroed(0), Bytes::zeroed(0), Bytes::of_u32(&[9; 6])];
        call("mmt4d", MMT4D, &mut bindings, &product.arguments()).unwrap();
        bindings[2].u32s()
    };
    let product = Product { m: 1, n: 2, k: 0, tile: [1, 2, 1], gap: 0, flags: F32 };
    assert_eq!(run(product), [9, 0, 0, 0, 0, 9]);
    assert_eq!(run(Product { k: 5, tile: [1, 2, 0], ..product }), [9, 0, 0, 0, 0, 9]);
    assert_eq!(run(Product { flags: F32 | ACCUMULATE, ..product }), [9; 6]);
    for product in [
        Product { m: 0, k: 9, ..product },
        Product { n: 0, k: 9, ..product },
        Product { k: 9, tile: [0, 2, 1], ..product },
    ] {
        assert_eq!(run(product), [9; 6]);
    }
}

/// [exec 50] Types that are not multiplied here, numbers that make no sense, operands that do not hold what they should.
#[test]
fn wrong_products_are_refused() {
    let product = Product { m: 2, n: 2, k: 2, tile: [2, 2, 2], gap: 0, flags: F32 };
    let run = |arguments: &[Argument], lengths: [usize; 3]| {
        let mut bindings = lengths.map(Bytes::zeroed);
        call("mmt4d", MMT4D, &mut bindings, arguments).map_err(|status| status.code())
    };
    let lengths = product.lengths().map(|length| 4 * length);
    assert_eq!(run(&product.arguments(), lengths), Ok(()));
    for (operand, length) in lengths.into_iter().enumerate() {
        let mut short = lengths;
        short[operand] = length - 1;
        assert_eq!(run(&product.arguments(), short), Err(Code::OutOfRange), "{operand}");
    }
    let with = |at: usize, argument: Argument| {
        let mut arguments = product.arguments();
        arguments[at] = argument;
        run(&arguments, lengths)
    };
    for flags in [0, 3, 4, 5, 6, 7, 8, 9, 10, 0xFF, 0x801, -1] {
        assert_eq!(with(15, I32(flags)), Err(Code::InvalidArgument), "{flags:#x}");
    }
    for at in [0, 3, 6] {
        assert_eq!(with(at, Null), Err(Code::InvalidArgument), "{at}");
    }
    assert_eq!(with(6, Constants), Err(Code::PermissionDenied));
    for at in [1, 2, 4, 5, 7, 8, 9, 10, 11] {
        assert_eq!(with(at, I64(-1)), Err(Code::InvalidArgument), "{at}");
    }
    for at in [9, 10, 11] {
        assert_eq!(with(at, I64(1 << 31)), Err(Code::InvalidArgument), "{at}");
        assert_eq!(with(at, I64((1 << 31) - 1)), Err(Code::OutOfRange), "{at}");
    }
    for at in [12, 13, 14] {
        assert_eq!(with(at, I32(1 << 15)), Err(Code::InvalidArgument), "{at}");
        assert_eq!(with(at, I32(-1)), Err(Code::InvalidArgument), "{at}");
        assert_eq!(with(at, I32((1 << 15) - 1)), Err(Code::OutOfRange), "{at}");
    }
}

/// A matrix of `rows` x `columns` that is packed in tiles.
#[derive(Clone, Copy, Debug)]
struct Packing {
    rows: usize,
    columns: usize,
    tile: [usize; 2],
    flags: i32,
}

impl Packing {
    fn grid(&self) -> [usize; 2] {
        [self.rows.div_ceil(self.tile[0]), self.columns.div_ceil(self.tile[1])]
    }

    /// The four sizes of the tiled side.
    fn tiled(&self) -> [usize; 4] {
        let ([mut g0, mut g1], [mut t0, mut t1]) = (self.grid(), self.tile);
        if self.flags & TRANSPOSE_OUTER != 0 {
            (g0, g1) = (g1, g0);
        }
        if self.flags & TRANSPOSE_INNER != 0 {
            (t0, t1) = (t1, t0);
        }
        [g0, g1, t0, t1]
    }

    fn tiled_count(&self) -> usize {
        self.tiled().iter().product()
    }

    /// Where an element, or padding, is on the tiled side.
    fn place(&self, row: usize, column: usize) -> usize {
        let [_, o1, o2, o3] = self.tiled();
        let ([a, b], [c, d]) =
            ([row / self.tile[0], column / self.tile[1]], [row % self.tile[0], column % self.tile[1]]);
        let (p, q) = if self.flags & TRANSPOSE_OUTER != 0 { (b, a) } else { (a, b) };
        let (r, s) = if self.flags & TRANSPOSE_INNER != 0 { (d, c) } else { (c, d) };
        ((p * o1 + q) * o2 + r) * o3 + s
    }

    fn strides(&self) -> [i64; 2] {
        let [_, o1, o2, o3] = self.tiled().map(|size| size as i64);
        [o1 * o2 * o3, o2 * o3]
    }

    /// Packs binding 0, whose columns are one after the other, into binding 1.
    fn pack_arguments(&self, padding: i64) -> Vec<Argument> {
        let [s0, s1] = self.strides();
        let mut all = vec![Buffer(0), I64(0), I64(1), I64(self.rows as i64)];
        all.extend([Buffer(1), I64(0), I64(s0), I64(s1), I64(self.rows as i64), I64(self.columns as i64)]);
        all.extend(self.tiled().map(|size| I64(size as i64)));
        all.extend([I64(padding), I32(self.flags)]);
        all
    }

    /// Unpacks binding 0 into binding 1, whose columns are one after the other.
    fn unpack_arguments(&self) -> Vec<Argument> {
        let [s0, s1] = self.strides();
        let mut all =
            vec![Buffer(0), I64(0), I64(s0), I64(s1), Buffer(1), I64(0), I64(1), I64(self.rows as i64)];
        all.extend(self.tiled().map(|size| I64(size as i64)));
        all.extend([I64(self.rows as i64), I64(self.columns as i64), I32(self.flags)]);
        all
    }
}

fn packings(kind: i32) -> Vec<Packing> {
    let mut all = Vec::new();
    for transposes in [0, TRANSPOSE_INNER, TRANSPOSE_OUTER, TRANSPOSE_INNER | TRANSPOSE_OUTER] {
        for (rows, columns) in [(4, 6), (5, 7), (1, 1), (9, 2)] {
            for tile in [[1, 1], [2, 3], [8, 4], [16, 16]] {
                all.push(Packing { rows, columns, tile, flags: kind | transposes });
            }
        }
    }
    all
}

/// [exec 50] All transpositions, with padding; unpacking what was packed gives what was there, and touches nothing else.
#[test]
fn matrices_are_packed_and_unpacked() {
    for kind in [F32, I32_TYPE] {
        for packing in packings(kind) {
            let source: Vec<u32> = (1..=(packing.rows * packing.columns) as u32).collect();
            let mut bindings = [Bytes::of_u32(&source), Bytes::zeroed(4 * packing.tiled_count())];
            call("pack", PACK, &mut bindings, &packing.pack_arguments((7 << 32) | 1000)).unwrap();
            let mut expected = vec![1000; packing.tiled_count()];
            for row in 0..packing.rows {
                for column in 0..packing.columns {
                    expected[packing.place(row, column)] = source[row + column * packing.rows];
                }
            }
            assert_eq!(bindings[1].u32s(), expected, "{packing:?}");

            let [_, packed] = bindings;
            let mut bindings = [packed, Bytes::of_u32(&vec![5; source.len() + 3])];
            call("unpack", UNPACK, &mut bindings, &packing.unpack_arguments()).unwrap();
            let mut expected = source;
            expected.extend([5; 3]);
            assert_eq!(bindings[1].u32s(), expected, "{packing:?}");
        }
    }
}

/// [exec 50]
#[test]
fn bytes_are_packed() {
    for packing in packings(S8) {
        let source: Vec<u8> = (1..=(packing.rows * packing.columns) as u8).collect();
        let mut bindings = [Bytes::new(&source), Bytes::zeroed(packing.tiled_count())];
        call("pack", PACK, &mut bindings, &packing.pack_arguments(-2)).unwrap();
        let mut expected = vec![0xFE; packing.tiled_count()];
        for row in 0..packing.rows {
            for column in 0..packing.columns {
                expected[packing.place(row, column)] = source[row + column * packing.rows];
            }
        }
        assert_eq!(bindings[1].bytes(), expected, "{packing:?}");
    }
}

/// Everything that `pack` and `unpack` refuse.
#[test]
fn wrong_packings_are_refused() {
    let packing = Packing { rows: 4, columns: 6, tile: [2, 3], flags: F32 };
    let run = |name: &str, at: usize, argument: Argument| {
        let (cconv, mut arguments) = match name {
            "pack" => (PACK, packing.pack_arguments(0)),
            _ => (UNPACK, packing.unpack_arguments()),
        };
        arguments[at] = argument;
        let mut bindings = [Bytes::zeroed(96), Bytes::zeroed(96)];
        call(name, cconv, &mut bindings, &arguments).err().map(|status| status.code())
    };
    for (name, flags_at, sizes, tiled) in [("pack", 15, [8, 9], 10..14), ("unpack", 14, [12, 13], 8..12)] {
        let wrong = |at: usize, argument: Argument| {
            assert_eq!(run(name, at, argument), Some(Code::InvalidArgument), "{name} {at}");
        };
        for flags in [0, 4, 5, 0x401, -1] {
            wrong(flags_at, I32(flags));
        }
        for at in [0, 4] {
            wrong(at, Null);
        }
        assert_eq!(run(name, 4, Constants), Some(Code::PermissionDenied));
        for at in sizes.into_iter().chain(tiled.clone()).chain([1, 2, 3, 5, 6, 7]) {
            wrong(at, I64(-1));
        }
        // Tiles that do not cover the matrix, and tiles that are not dense.
        wrong(tiled.start, I64(1));
        wrong(sizes[0], I64(5));
        wrong(if name == "pack" { 7 } else { 3 }, I64(7));
        assert_eq!(run(name, tiled.start, I64(0)), None, "{name}: no tiles");
        assert_eq!(
            run(name, tiled.start, I64(3)),
            Some(Code::OutOfRange),
            "{name}: more tiles than there are"
        );
        assert_eq!(run(name, 1, I64(1)), Some(Code::OutOfRange), "{name}");
        assert_eq!(run(name, 5, I64(1)), Some(Code::OutOfRange), "{name}");
        assert_eq!(run(name, tiled.start, I64((1 << 32) - 1)), Some(Code::OutOfRange), "{name}");
    }
    assert_eq!(run("unpack", 14, I32(S8)), Some(Code::InvalidArgument));
}

/// [exec 50] All roles of all operations; sizes divide 16 and are always the same.
#[test]
fn tile_sizes_divide_16() {
    let ask = |sizes: [i64; 2], flags: i32| {
        let text = format!(
            "%i10:11 = vm.const.i64 {}
             %i12:13 = vm.const.i64 {}
             %i14 = vm.const.i32 {flags}
             %i16, %i18 = vm.call @vmvx.query_tile_sizes.2d(%i10, %i12, %i14)
             %i20 = vm.const.i32.zero
             %r3 = vm.list.get.ref %r2, %i20 : !vm.buffer
             %i22:23 = vm.const.i64.zero
             vm.buffer.store.i64 %i16:17, %r3, %i22:23
             %i22:23 = vm.const.i64 1
             vm.buffer.store.i64 %i18:19, %r3, %i22:23
             vm.return",
            sizes[0], sizes[1]
        );
        let module = weft::vm::module_builder::ModuleBuilder::new("kernels")
            .import("vmvx.query_tile_sizes.2d", TILES)
            .function("run", KERNEL, &text)
            .function_attribute("binding_count", "1");
        let mut bindings = [Bytes::zeroed(16)];
        Run::default().on(&load_built(module), &mut bindings).map_err(|status| status.code())?;
        let words = bindings[0].u32s();
        assert_eq!((words[1], words[3]), (0, 0));
        Ok([words[0], words[2]])
    };
    for operation in 1..=6 {
        let [lhs, rhs, result] =
            [1, 2, 3].map(|role| ask([i64::MIN, i64::MIN], operation << 8 | role).unwrap());
        let ([m, k], [n, k_again]) = (lhs, rhs);
        assert_eq!((k, result), (k_again, [m, n]), "{operation}");
        assert!([m, k, n].iter().all(|&size| size > 0 && 16 % size == 0), "{operation}");
        assert_eq!(ask([3, 1 << 40], operation << 8 | 1), Ok(lhs));
    }
    for flags in [0, 1, 0x100, 0x104, 0x701, 0x1_0101, -1, i32::MIN] {
        assert_eq!(ask([1, 1], flags), Err(Code::InvalidArgument), "{flags:#x}");
    }
}
