//! Floating-point arithmetic, comparisons and conversions.

use crate::support::*;
use weft_vm::Value;

/// Runs `mnemonic` on float operands (f32 or f64 by their variant); `result` is the letter of the result.
fn op(mnemonic: &str, arguments: &[Value], result: char) -> Value {
    let mut cconv = String::from("0");
    let mut operands = Vec::new();
    let mut next = 0;
    for argument in arguments {
        let (letter, width) = match argument {
            Value::I32(_) => ('i', 1),
            Value::I64(_) => ('I', 2),
            Value::F32(_) => ('f', 1),
            Value::F64(_) => ('F', 2),
            other => panic!("{other:?}"),
        };
        cconv.push(letter);
        next = usize::next_multiple_of(next, width);
        operands.push(if width == 2 { format!("%i{next}:{}", next + 1) } else { format!("%i{next}") });
        next += width;
    }
    cconv.push('_');
    cconv.push(result);
    let target = if "IF".contains(result) { "%i8:9" } else { "%i8" };
    let text = format!("{target} = vm.{mnemonic} {}\n vm.return {target}", operands.join(", "));
    run(&cconv, &text, arguments).unwrap_or_else(|status| panic!("{mnemonic}: {status}")).remove(0)
}

fn f32_of(value: &Value) -> f32 {
    let Value::F32(value) = value else { panic!("{value:?} is no f32") };
    *value
}

fn f64_of(value: &Value) -> f64 {
    let Value::F64(value) = value else { panic!("{value:?} is no f64") };
    *value
}

/// One instruction in both widths; bits compared, except that any NaN equals any NaN.
fn both(name: &str, suffix: &str, operands: &[f64], expected: f64) {
    let narrow: Vec<Value> = operands.iter().map(|&value| f(value as f32)).collect();
    let found = f32_of(&op(&format!("{name}.f32{suffix}"), &narrow, 'f'));
    let wanted = expected as f32;
    assert!(
        found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan()),
        "{name}.f32{suffix} {operands:?}: {found} is not {wanted}"
    );
    let wide: Vec<Value> = operands.iter().map(|&value| d(value)).collect();
    let found = f64_of(&op(&format!("{name}.f64{suffix}"), &wide, 'F'));
    assert!(
        found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()),
        "{name}.f64{suffix} {operands:?}: {found} is not {expected}"
    );
}

/// [vm 63]
#[test]
fn exact_arithmetic() {
    let cases: &[(&str, &[f64], f64)] = &[
        ("add", &[1.5, 2.25], 3.75),
        ("sub", &[1.5, 2.25], -0.75),
        ("mul", &[1.5, -2.0], -3.0),
        ("div", &[7.0, 2.0], 3.5),
        ("div", &[1.0, 0.0], f64::INFINITY),
        ("div", &[0.0, 0.0], f64::NAN),
        ("fma", &[2.0, 3.0, 4.0], 10.0),
        ("abs", &[-2.5], 2.5),
        ("abs", &[-0.0], 0.0),
        ("neg", &[2.5], -2.5),
        ("neg", &[0.0], -0.0),
        ("ceil", &[1.5], 2.0),
        ("ceil", &[-0.5], -0.0),
        ("floor", &[1.5], 1.0),
        ("floor", &[-0.5], -1.0),
        ("sqrt", &[9.0], 3.0),
        ("sqrt", &[-1.0], f64::NAN),
        ("rsqrt", &[4.0], 0.5),
        ("rsqrt", &[0.0], f64::INFINITY),
        ("exp2", &[2.0], 4.0),
        ("log10", &[10.0], 1.0),
        ("log2", &[8.0], 3.0),
        ("pow", &[3.0, 2.0], 9.0),
        ("pow", &[0.0, 0.0], 1.0),
        ("exp", &[0.0], 1.0),
        ("erf", &[0.0], 0.0),
    ];
    for (name, operands, expected) in cases {
        both(name, "", operands, *expected);
    }
}

/// [vm 63] The reference's own values, within one unit in the last place.
#[test]
fn elementary_functions() {
    let f32_cases: &[(&str, &[f32], f32)] = &[
        ("cos", &[0.5], 0.87758255),
        ("sin", &[0.5], 0.47942555),
        ("tanh", &[0.5], 0.462_117_17),
        ("exp", &[1.0], 2.718_281_7),
        ("expm1", &[2.0], 6.389_056),
        ("log", &[10.0], std::f32::consts::LN_10),
        ("log1p", &[10.0], 2.397_895_3),
        ("log2", &[10.0], std::f32::consts::LOG2_10),
        ("log10", &[10.0], 1.0),
        ("exp2", &[2.0], 4.0),
        ("pow", &[3.0, 2.0], 9.0),
        ("atan", &[1.0], std::f32::consts::FRAC_PI_4),
        ("atan2", &[1.0, 0.0], std::f32::consts::FRAC_PI_2),
        ("rsqrt", &[4.0], 0.5),
        ("erf", &[0.5], 0.520_499_9),
    ];
    for (name, operands, expected) in f32_cases {
        let operands: Vec<Value> = operands.iter().map(|&value| f(value)).collect();
        let found = f32_of(&op(&format!("{name}.f32"), &operands, 'f'));
        let distance = (i64::from(found.to_bits()) - i64::from(expected.to_bits())).abs();
        assert!(distance <= 1, "{name}: {found} is not {expected}");
    }
    let f64_cases: &[(&str, &[f64], f64)] = &[
        ("cos", &[0.5], 0.877_582_561_890_372_8),
        ("sin", &[0.5], 0.479_425_538_604_203),
        ("tanh", &[0.5], 0.462_117_157_260_009_74),
        ("exp", &[1.0], std::f64::consts::E),
        ("expm1", &[2.0], 6.389_056_098_930_65),
        ("log", &[10.0], std::f64::consts::LN_10),
        ("log1p", &[10.0], 2.397_895_272_798_370_7),
        ("log2", &[10.0], std::f64::consts::LOG2_10),
        ("atan", &[1.0], std::f64::consts::FRAC_PI_4),
        ("atan2", &[1.0, 0.0], std::f64::consts::FRAC_PI_2),
        ("erf", &[0.5], 0.520_499_877_813_046_5),
    ];
    for (name, operands, expected) in f64_cases {
        let operands: Vec<Value> = operands.iter().map(|&value| d(value)).collect();
        let found = f64_of(&op(&format!("{name}.f64"), &operands, 'F'));
        let distance = (found.to_bits() as i64 - expected.to_bits() as i64).abs();
        assert!(distance <= 1, "{name}: {found} is not {expected}");
    }
}

/// [vm 64]
#[test]
fn remainder_rounds_its_quotient_to_even() {
    for (a, b, expected) in [
        (5.5, 2.0, -0.5),
        (-3.0, -2.0, 1.0),
        (3.0, 2.0, -1.0),
        (1.0, 0.0, f64::NAN),
        (f64::INFINITY, 1.0, f64::NAN),
        (2.0, f64::INFINITY, 2.0),
    ] {
        both("rem", "", &[a, b], expected);
    }
}

/// [vm 64]
#[test]
fn min_and_max_prefer_the_first() {
    for (name, a, b, expected) in [
        ("min", f64::NAN, 1.0, f64::NAN),
        ("min", 1.0, f64::NAN, 1.0),
        ("max", f64::NAN, 1.0, f64::NAN),
        ("max", 1.0, f64::NAN, 1.0),
        ("min", 0.0, -0.0, 0.0),
        ("min", -0.0, 0.0, -0.0),
        ("max", 0.0, -0.0, 0.0),
        ("max", -0.0, 0.0, -0.0),
        ("min", 2.0, -3.0, -3.0),
        ("max", 2.0, -3.0, 2.0),
    ] {
        both(name, "", &[a, b], expected);
    }
}

/// [vm 64]
#[test]
fn rounding_to_integers() {
    for (value, away, even) in [
        (0.5, 1.0, 0.0),
        (-0.5, -1.0, -0.0),
        (1.5, 2.0, 2.0),
        (-1.5, -2.0, -2.0),
        (2.5, 3.0, 2.0),
        (-2.5, -3.0, -2.0),
        (-0.3, -0.0, -0.0),
        (1e30, 1e30, 1e30),
        (f64::INFINITY, f64::INFINITY, f64::INFINITY),
    ] {
        both("round", "", &[value], away);
        both("round", ".even", &[value], even);
    }
}

/// [vm 65] One unit that a fused operation would keep.
#[test]
fn fma_rounds_twice() {
    let a = 1.0 + f32::EPSILON;
    let product = a * a;
    assert_ne!(a.mul_add(a, -product), 0.0, "the case tells the two apart");
    assert_eq!(op("fma.f32", &[f(a), f(a), f(-product)], 'f'), f(0.0));
    let a = 1.0 + f64::EPSILON;
    assert_eq!(op("fma.f64", &[d(a), d(a), d(-(a * a))], 'F'), d(0.0));
}

/// [vm 66]
#[test]
fn ordered_and_unordered_comparisons() {
    let nan = f64::NAN;
    // (a, b): less, equal, greater, NaN left, NaN right, both.
    let pairs = [(1.0, 2.0), (2.0, 2.0), (3.0, 2.0), (nan, 2.0), (2.0, nan), (nan, nan)];
    let cases: &[(&str, [i32; 6])] = &[
        ("cmp.eq.K.o", [0, 1, 0, 0, 0, 0]),
        ("cmp.eq.K.u", [0, 1, 0, 1, 1, 1]),
        ("cmp.ne.K.o", [1, 0, 1, 0, 0, 0]),
        ("cmp.ne.K.u", [1, 0, 1, 1, 1, 1]),
        ("cmp.lt.K.o", [1, 0, 0, 0, 0, 0]),
        ("cmp.lt.K.u", [1, 0, 0, 1, 1, 1]),
        ("cmp.lte.K.o", [1, 1, 0, 0, 0, 0]),
        ("cmp.lte.K.u", [1, 1, 0, 1, 1, 1]),
    ];
    for (name, expected) in cases {
        for ((a, b), expected) in pairs.iter().zip(expected) {
            let narrow = op(&name.replace('K', "f32"), &[f(*a as f32), f(*b as f32)], 'i');
            assert_eq!(narrow, i(*expected), "{name} f32 {a} {b}");
            assert_eq!(
                op(&name.replace('K', "f64"), &[d(*a), d(*b)], 'i'),
                i(*expected),
                "{name} f64 {a} {b}"
            );
        }
    }
    assert_eq!(op("cmp.nan.f32", &[f(f32::NAN)], 'i'), i(1));
    assert_eq!(op("cmp.nan.f64", &[d(1.0)], 'i'), i(0));
    // Neighbours are not equal; the two zeros are.
    let next = f32::from_bits(1.0_f32.to_bits() + 1);
    assert_eq!(op("cmp.eq.f32.o", &[f(1.0), f(next)], 'i'), i(0));
    assert_eq!(op("cmp.lt.f32.o", &[f(1.0), f(next)], 'i'), i(1));
    assert_eq!(op("cmp.eq.f64.o", &[d(0.0), d(-0.0)], 'i'), i(1));
}

/// [vm 67]
#[test]
fn integers_to_floats() {
    for (name, value, expected) in [
        ("cast.si32.f32", i(i32::MAX), f(2147483648.0)),
        ("cast.si32.f32", i(i32::MIN), f(-2147483648.0)),
        ("cast.ui32.f32", i(-1), f(4294967296.0)),
        ("cast.si64.f32", l(i64::MAX), f(9223372036854775808.0)),
        ("cast.ui64.f32", l(-1), f(18446744073709551616.0)),
    ] {
        assert_eq!(op(name, &[value], 'f'), expected, "{name}");
    }
    for (name, value, expected) in [
        ("cast.si32.f64", i(i32::MIN), d(-2147483648.0)),
        ("cast.ui32.f64", i(-1), d(4294967295.0)),
        ("cast.si64.f64", l(i64::MIN), d(-9223372036854775808.0)),
        ("cast.ui64.f64", l(-1), d(18446744073709551616.0)),
        // Nearest even between two neighbours.
        ("cast.si64.f64", l((1 << 53) + 1), d(9007199254740992.0)),
    ] {
        assert_eq!(op(name, &[value], 'F'), expected, "{name}");
    }
}

/// [vm 67]
#[test]
fn floats_to_integers() {
    for (name, value, expected) in [
        ("cast.f32.si32", 2147483520.0, 2147483520),
        ("cast.f32.si32", 2.5, 3),
        ("cast.f32.si32", -2.5, -3),
        ("cast.f32.si32", -2147483648.0, i32::MIN),
        ("cast.f32.si32", 3e9, i32::MAX),
        ("cast.f32.si32", f32::NAN, 0),
        ("cast.f32.ui32", 4294967040.0, 0xFFFF_FF00_u32 as i32),
        ("cast.f32.ui32", -1.0, 0),
        ("cast.f32.ui32", f32::INFINITY, -1),
    ] {
        assert_eq!(op(name, &[f(value)], 'i'), i(expected), "{name} {value}");
    }
    for (name, value, expected) in [
        ("cast.f32.si64", 9223371487098961920.0, 9223371487098961920),
        ("cast.f32.si64", -9223372036854775808.0, i64::MIN),
        ("cast.f32.si64", f32::NAN, 0),
        ("cast.f32.ui64", 18446742974197923840.0, 0xFFFF_FF00_0000_0000_u64 as i64),
        ("cast.f32.ui64", -1.0, 0),
    ] {
        assert_eq!(op(name, &[f(value)], 'I'), l(expected), "{name} {value}");
    }
    // Straight from f64: a detour through f32 would round 16777217 down.
    assert_eq!(op("cast.f64.si32", &[d(16777217.0)], 'i'), i(16777217));
    assert_eq!(op("cast.f64.ui32", &[d(4294967295.0)], 'i'), i(-1));
    assert_eq!(op("cast.f64.ui64", &[d(9223372036854775808.0)], 'I'), l(i64::MIN));
    assert_eq!(op("cast.f64.si64", &[d(1e300)], 'I'), l(i64::MAX));
    assert_eq!(op("cast.f64.si32", &[d(f64::NAN)], 'i'), i(0));
    assert_eq!(op("cast.f64.ui64", &[d(-0.4)], 'I'), l(0));
}

/// [vm 68]
#[test]
fn bitcasts_keep_every_bit() {
    assert_eq!(op("bitcast.f32.i32", &[f(5.5)], 'i'), i(0x40B0_0000));
    assert_eq!(op("bitcast.i32.f32", &[i(0x40B0_0000)], 'f'), f(5.5));
    assert_eq!(op("bitcast.f64.i64", &[d(5.5)], 'I'), l(0x4016_0000_0000_0000));
    assert_eq!(op("bitcast.i64.f64", &[l(0x4016_0000_0000_0000)], 'F'), d(5.5));
    // The payload of a NaN survives loads, stores, selects, negation.
    let text = "
        %i1 = vm.bitcast.i32.f32 %i0
        %i2 = vm.neg.f32 %i1
        %i3 = vm.abs.f32 %i2
        %i4 = vm.const.i32 1
        %i5 = vm.select.f32 %i4 ? %i3 : %i4
        vm.global.store.f32 %i5, .rwdata[0]
        %i6 = vm.global.load.f32 .rwdata[0]
        %i7 = vm.bitcast.f32.i32 %i6
        %i8 = vm.bitcast.f32.i32 %i2
        vm.return %i7, %i8";
    let context = context(module().global_bytes(4).function("f", "0i_ii", text));
    let results = context.function("m.f").expect("exported").call(&[i(0x7FA1_2345)]).expect("passed");
    assert_eq!(results, [i(0x7FA1_2345), i(0xFFA1_2345_u32 as i32)]);
}

/// [vm 68] Literals with any bits.
#[test]
fn float_constants() {
    let text = "
        %i0 = vm.const.f32.zero
        %i1 = vm.const.f32 -1.5
        %i2:3 = vm.const.f64.zero
        %i4:5 = vm.const.f64 0.1
        vm.return %i0, %i1, %i2:3, %i4:5";
    assert_eq!(run("0v_ffFF", text, &[]).expect("constants"), [f(0.0), f(-1.5), d(0.0), d(0.1)]);
}

/// [vm 69]
#[test]
fn between_the_widths() {
    assert_eq!(op("trunc.f64.f32", &[d(1e300)], 'f'), f(f32::INFINITY));
    assert_eq!(op("trunc.f64.f32", &[d(1e-300)], 'f'), f(0.0));
    // Half a unit above 1 rounds to even; a hair more rounds up: rounding through a third width would lose it.
    let half = f64::from(f32::EPSILON) / 2.0;
    assert_eq!(op("trunc.f64.f32", &[d(1.0 + half)], 'f'), f(1.0));
    assert_eq!(op("trunc.f64.f32", &[d(1.0 + half + f64::EPSILON)], 'f'), f(1.0 + f32::EPSILON));
    assert_eq!(op("ext.f32.f64", &[f(0.1)], 'F'), d(f64::from(0.1_f32)));
}
