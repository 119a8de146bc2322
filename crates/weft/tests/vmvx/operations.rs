//! The functions of one element each that kernels import from `vmvx`, and what all functions refuse.

use weft::Code;

use crate::harness::Argument::{Buffer, Constants, I32, I64, Null};
use crate::harness::*;

const BINARY: &str = "0rIIIrIIIrIIIII_v";
const UNARY: &str = "0rIIIrIIIII_v";
const FILL: &str = "0irIIII_v";

type Pair = fn(u32, u32) -> u32;
type Single = fn(u32) -> u32;

fn floats(a: u32, b: u32, operation: fn(f32, f32) -> f32) -> u32 {
    operation(f32::from_bits(a), f32::from_bits(b)).to_bits()
}

fn float(a: u32, operation: fn(f32) -> f32) -> u32 {
    operation(f32::from_bits(a)).to_bits()
}

const BINARIES: &[(&str, Pair)] = &[
    ("add.2d.f32", |a, b| floats(a, b, |a, b| a + b)),
    ("sub.2d.f32", |a, b| floats(a, b, |a, b| a - b)),
    ("mul.2d.f32", |a, b| floats(a, b, |a, b| a * b)),
    ("div.2d.f32", |a, b| floats(a, b, |a, b| a / b)),
    ("add.2d.i32", u32::wrapping_add),
    ("sub.2d.i32", u32::wrapping_sub),
    ("mul.2d.i32", u32::wrapping_mul),
    ("and.2d.i32", |a, b| a & b),
    ("or.2d.i32", |a, b| a | b),
    ("xor.2d.i32", |a, b| a ^ b),
    ("divs.2d.i32", |a, b| (a as i32 / b as i32) as u32),
    ("divu.2d.i32", |a, b| a / b),
    ("shl.2d.i32", |a, b| a << (b % 32)),
    ("shrs.2d.i32", |a, b| (a as i32 >> (b % 32)) as u32),
    ("shru.2d.i32", |a, b| a >> (b % 32)),
];

const UNARIES: &[(&str, Single)] = &[
    ("abs.2d.f32", |a| a & 0x7FFF_FFFF),
    ("neg.2d.f32", |a| a ^ 0x8000_0000),
    ("ceil.2d.f32", |a| float(a, f32::ceil)),
    ("floor.2d.f32", |a| float(a, f32::floor)),
    ("exp.2d.f32", |a| float(a, f32::exp)),
    ("log.2d.f32", |a| float(a, f32::ln)),
    ("rsqrt.2d.f32", |a| float(a, |a| 1.0 / a.sqrt())),
    ("ctlz.2d.i32", u32::leading_zeros),
    ("copy.2d.x32", |a| a),
];

/// Patterns that are numbers of either kind, none of them 0.
fn numbers() -> Vec<u32> {
    (1..=16).map(|index| (index as f32 * 0.75 - 6.3).to_bits()).collect()
}

fn run(name: &str, cconv: &str, bindings: &mut [Bytes], arguments: &[Argument]) -> Result<(), Code> {
    call(name, cconv, bindings, arguments).map_err(|status| status.code())
}

/// A view as arguments: buffer, offset and strides.
fn view(buffer: Argument, [offset, outer, inner]: [i64; 3]) -> Vec<Argument> {
    vec![buffer, I64(offset), I64(outer), I64(inner)]
}

fn arguments(views: &[(Argument, [i64; 3])], sizes: [i64; 2]) -> Vec<Argument> {
    let mut all: Vec<_> = views.iter().flat_map(|&(buffer, place)| view(buffer, place)).collect();
    all.extend(sizes.map(I64));
    all
}

/// [exec 49] Offsets, strides, broadcast inputs, in place; what lies between stays as it was.
#[test]
fn views_may_be_strided_and_broadcast() {
    let (a, b) = (numbers(), numbers().into_iter().rev().collect::<Vec<_>>());
    for &(name, operation) in BINARIES {
        let mut bindings = [Bytes::of_u32(&a), Bytes::of_u32(&b), Bytes::of_u32(&[7; 16])];
        let views = [(Buffer(0), [1, 5, 2]), (Buffer(1), [2, 0, 1]), (Buffer(2), [3, 4, 1])];
        run(name, BINARY, &mut bindings, &arguments(&views, [2, 3])).unwrap();
        let mut expected = vec![7; 16];
        for i in 0..2 {
            for j in 0..3 {
                expected[3 + 4 * i + j] = operation(a[1 + 5 * i + 2 * j], b[2 + j]);
            }
        }
        assert_eq!(bindings[2].u32s(), expected, "{name}");

        let mut bindings = [Bytes::of_u32(&a), Bytes::of_u32(&b)];
        let views = [(Buffer(0), [0, 4, 1]), (Buffer(1), [0, 4, 1]), (Buffer(0), [0, 4, 1])];
        run(name, BINARY, &mut bindings, &arguments(&views, [4, 4])).unwrap();
        let expected: Vec<_> = a.iter().zip(&b).map(|(&a, &b)| operation(a, b)).collect();
        assert_eq!(bindings[0].u32s(), expected, "{name} in place");
    }
    for &(name, operation) in UNARIES {
        let mut bindings = [Bytes::of_u32(&a), Bytes::of_u32(&[7; 16])];
        let views = [(Buffer(0), [2, 1, 0]), (Buffer(1), [0, 1, 3])];
        run(name, UNARY, &mut bindings, &arguments(&views, [3, 5])).unwrap();
        let mut expected = vec![7; 16];
        for i in 0..3 {
            for j in 0..5 {
                expected[i + 3 * j] = operation(a[2 + i]);
            }
        }
        let found = bindings[1].u32s();
        assert!(
            found.iter().zip(&expected).all(|(&found, &expected)| same(found, expected)),
            "{name}: {found:?}"
        );
    }
}

/// Bits, or both not a number.
fn same(found: u32, expected: u32) -> bool {
    found == expected || (f32::from_bits(found).is_nan() && f32::from_bits(expected).is_nan())
}

/// [exec 49] Copies of all widths, rows as a whole and element by element; fills.
#[test]
fn copies_and_fills_move_bits() {
    let bytes: Vec<u8> = (0..128).collect();
    for (name, width) in [("copy.2d.x8", 1), ("copy.2d.x16", 2), ("copy.2d.x32", 4), ("copy.2d.x64", 8)] {
        for inner in [1, 2] {
            let mut bindings = [Bytes::new(&bytes), Bytes::zeroed(128)];
            let views = [(Buffer(0), [1, 5, inner]), (Buffer(1), [2, 4, 1])];
            run(name, UNARY, &mut bindings, &arguments(&views, [2, 3])).unwrap();
            let mut expected = vec![0; 128];
            for i in 0..2 {
                for j in 0..3 {
                    let (from, to) = ((1 + 5 * i + j * inner as usize) * width, (2 + 4 * i + j) * width);
                    expected[to..to + width].copy_from_slice(&bytes[from..from + width]);
                }
            }
            assert_eq!(bindings[1].bytes(), expected, "{name} {inner}");
        }
    }
    let mut bindings = [Bytes::zeroed(40)];
    let fill = [I32(-2), Buffer(0), I64(1), I64(4), I64(2), I64(3)];
    run("fill.2d.x32", FILL, &mut bindings, &fill).unwrap();
    let filled = u32::MAX - 1;
    assert_eq!(bindings[0].u32s(), [0, filled, filled, filled, 0, filled, filled, filled, 0, 0]);
}

/// [exec 49] The corners of the integers, and of the floats.
#[test]
fn edge_values() {
    let pair = |name: &str, a: u32, b: u32| {
        let mut bindings = [Bytes::of_u32(&[a]), Bytes::of_u32(&[b]), Bytes::zeroed(4)];
        let views = [(Buffer(0), [0; 3]), (Buffer(1), [0; 3]), (Buffer(2), [0; 3])];
        run(name, BINARY, &mut bindings, &arguments(&views, [1, 1])).map(|()| bindings[2].u32s()[0])
    };
    const LEAST: u32 = i32::MIN as u32;
    assert_eq!(pair("divs.2d.i32", 7, 0), Err(Code::InvalidArgument));
    assert_eq!(pair("divu.2d.i32", 7, 0), Err(Code::InvalidArgument));
    assert_eq!(pair("divs.2d.i32", LEAST, u32::MAX), Ok(LEAST));
    assert_eq!(pair("divs.2d.i32", -7_i32 as u32, 2), Ok(-3_i32 as u32));
    assert_eq!(pair("divu.2d.i32", LEAST, u32::MAX), Ok(0));
    assert_eq!(pair("shl.2d.i32", 1, 33), Ok(2));
    assert_eq!(pair("shrs.2d.i32", LEAST, 63), Ok(u32::MAX));
    assert_eq!(pair("shru.2d.i32", LEAST, 63), Ok(1));
    assert_eq!(pair("mul.2d.i32", LEAST, 2), Ok(0));
    assert_eq!(pair("div.2d.f32", 1_f32.to_bits(), 0), Ok(f32::INFINITY.to_bits()));

    let single = |name: &str, a: u32| {
        let mut bindings = [Bytes::of_u32(&[a]), Bytes::zeroed(4)];
        let views = [(Buffer(0), [0; 3]), (Buffer(1), [0; 3])];
        run(name, UNARY, &mut bindings, &arguments(&views, [1, 1])).unwrap();
        bindings[1].u32s()[0]
    };
    assert_eq!([0, 1, u32::MAX].map(|a| single("ctlz.2d.i32", a)), [32, 31, 0]);
    let payload = 0xFFC0_1234;
    assert_eq!(single("abs.2d.f32", payload), 0x7FC0_1234);
    assert_eq!(single("neg.2d.f32", payload), 0x7FC0_1234);
    assert_eq!(single("log.2d.f32", 0), f32::NEG_INFINITY.to_bits());
    assert!(f32::from_bits(single("log.2d.f32", (-1_f32).to_bits())).is_nan());
    assert_eq!(single("rsqrt.2d.f32", 0), f32::INFINITY.to_bits());
    assert_eq!(single("exp.2d.f32", f32::NEG_INFINITY.to_bits()), 0);
}

/// Everything wrong that can be said with two views and two sizes, and its code. The buffers have 16 elements of
/// `scale` bytes over 4.
fn refused(views: [[i64; 3]; 2], sizes: [i64; 2]) -> Option<Code> {
    let valid = |value: i64| (0..1 << 32).contains(&value);
    let strides = views.iter().flat_map(|view| &view[1..]);
    if !sizes.iter().all(|&size| valid(size))
        || !strides.clone().all(|&stride| stride >= 0 && valid(stride + 1))
        || views.iter().any(|view| view[0] < 0)
    {
        return Some(Code::InvalidArgument);
    }
    if sizes.contains(&0) {
        return None;
    }
    let end = |[offset, outer, inner]: [i64; 3]| {
        i128::from(offset)
            + i128::from(sizes[0] - 1) * i128::from(outer)
            + i128::from(sizes[1] - 1) * i128::from(inner)
            + 1
    };
    views.into_iter().any(|view| end(view) > 16).then_some(Code::OutOfRange)
}

/// [exec 49] Views outside of their buffers, by one element or by far, and numbers that make no sense, for every
/// function of two views; nothing is written then.
#[test]
fn views_outside_are_refused() {
    let good = [0, 4, 1];
    let huge = i64::from(u32::MAX);
    let wrong = [
        [1, 4, 1],
        [0, 5, 1],
        [0, 4, 2],
        [-1, 4, 1],
        [0, -1, 1],
        [0, 4, -1],
        [0, huge, 1],
        [0, huge - 1, huge - 1],
        [i64::MAX, 0, 0],
        [i64::MAX, 4, 1],
        [i64::MIN, 0, 0],
    ];
    let sizes = [
        [4, 4],
        [0, 4],
        [4, 0],
        [5, 4],
        [-1, 4],
        [4, i64::MIN],
        [huge, 1],
        [huge, huge],
        [huge + 1, 0],
        [1 << 62, 4],
    ];
    for name in ["copy.2d.x32", "copy.2d.x8", "copy.2d.x64", "neg.2d.f32"] {
        let bytes = match name {
            "copy.2d.x8" => 16,
            "copy.2d.x64" => 128,
            _ => 64,
        };
        let before = vec![5; bytes];
        let tried =
            wrong.iter().flat_map(|&wrong| [[good, wrong], [wrong, good]]).map(|views| (views, [4, 4]));
        let tried = tried.chain(sizes.map(|sizes| ([good, good], sizes)));
        for (views, sizes) in tried {
            let mut bindings = [Bytes::zeroed(bytes), Bytes::new(&before)];
            let views_of_buffers = [(Buffer(0), views[0]), (Buffer(1), views[1])];
            let found = run(name, UNARY, &mut bindings, &arguments(&views_of_buffers, sizes)).err();
            assert_eq!(found, refused(views, sizes), "{name} {views:?} {sizes:?}");
            if found.is_some() || sizes.contains(&0) {
                assert_eq!(bindings[1].bytes(), before, "{name} {views:?} {sizes:?}");
            }
        }
    }
}

/// [exec 49] Null, a list in place of a buffer, and an output that is read-only, for every function.
#[test]
fn operands_are_writable_buffers() {
    let place = [0, 0, 0];
    for (name, cconv, inputs) in BINARIES
        .iter()
        .map(|(name, _)| (*name, BINARY, 2))
        .chain(UNARIES.iter().map(|(name, _)| (*name, UNARY, 1)))
    {
        for wrong in 0..=inputs {
            let mut views = vec![(Buffer(0), place); inputs + 1];
            views[wrong].0 = Null;
            let found = run(name, cconv, &mut [Bytes::of_u32(&[1])], &arguments(&views, [1, 1]));
            assert_eq!(found, Err(Code::InvalidArgument), "{name} {wrong}");
        }
        let mut views = vec![(Buffer(0), place); inputs + 1];
        views[inputs].0 = Constants;
        for size in [0, 1] {
            let found = run(name, cconv, &mut [Bytes::of_u32(&[1])], &arguments(&views, [size, 1]));
            assert_eq!(found, Err(Code::PermissionDenied), "{name}");
        }
        views[inputs].0 = Buffer(0);
        views[0].0 = Constants;
        assert_eq!(
            run(name, cconv, &mut [Bytes::of_u32(&[1])], &arguments(&views, [1, 1])),
            Ok(()),
            "{name}"
        );
    }
    let fill = |out: Argument, sizes: [i64; 2], stride: i64| {
        let arguments = [I32(1), out, I64(0), I64(stride), I64(sizes[0]), I64(sizes[1])];
        run("fill.2d.x32", FILL, &mut [Bytes::zeroed(16)], &arguments)
    };
    assert_eq!(fill(Buffer(0), [2, 2], 2), Ok(()));
    assert_eq!(fill(Buffer(0), [0, 9], 2), Ok(()));
    assert_eq!(fill(Buffer(0), [2, 3], 2), Err(Code::OutOfRange));
    assert_eq!(fill(Buffer(0), [2, 2], 3), Err(Code::OutOfRange));
    assert_eq!(fill(Buffer(0), [2, 2], -2), Err(Code::InvalidArgument));
    assert_eq!(fill(Constants, [1, 1], 0), Err(Code::PermissionDenied));
    assert_eq!(fill(Null, [1, 1], 0), Err(Code::InvalidArgument));
}
