//! Integer arithmetic, comparisons, shifts, narrow conversions.

use crate::support::*;
use weft_vm::Value;

const I32_MIN: i32 = i32::MIN;
const I64_MIN: i64 = i64::MIN;

/// The result of one instruction on constants: operands arrive as arguments, so nothing is folded.
fn op(mnemonic: &str, arguments: &[Value]) -> Value {
    let result = try_op(mnemonic, arguments);
    result.unwrap_or_else(|status| panic!("{mnemonic} {arguments:?}: {status}"))
}

fn try_op(mnemonic: &str, arguments: &[Value]) -> Result<Value> {
    let mut cconv = String::from("0");
    let mut operands = Vec::new();
    let mut next = 0;
    for argument in arguments {
        match argument {
            Value::I32(_) => {
                cconv.push('i');
                operands.push(format!("%i{next}"));
                next += 1;
            }
            Value::I64(_) => {
                cconv.push('I');
                next += next % 2;
                operands.push(format!("%i{next}:{}", next + 1));
                next += 2;
            }
            other => panic!("{other:?} is no integer"),
        }
    }
    let wide = result_is_wide(mnemonic);
    cconv.push_str(if wide { "_I" } else { "_i" });
    let result = if wide { "%i8:9" } else { "%i8" };
    let text = format!("{result} = vm.{mnemonic} {}\n vm.return {result}", operands.join(", "));
    Ok(run(&cconv, &text, arguments)?.remove(0))
}

fn result_is_wide(mnemonic: &str) -> bool {
    if mnemonic.starts_with("cmp.") {
        return false;
    }
    mnemonic.contains(".i32.i64") || (mnemonic.contains("i64") && !mnemonic.contains("i64.i32"))
}

/// [vm 57] [vm 58]
#[test]
fn arithmetic_of_both_widths() {
    // mnemonic without width, operands, result; run in 32 and 64 bits.
    let same: &[(&str, &str, &[i64], i64)] = &[
        ("add", "", &[7, 5], 12),
        ("add", "", &[-1, 1], 0),
        ("sub", "", &[3, 5], -2),
        ("mul", "", &[-6, 7], -42),
        ("div", ".s", &[7, 2], 3),
        ("div", ".s", &[-7, 2], -3),
        ("div", ".s", &[7, -2], -3),
        ("div", ".u", &[7, 2], 3),
        ("rem", ".s", &[-7, 2], -1),
        ("rem", ".s", &[7, -2], 1),
        ("rem", ".u", &[7, 3], 1),
        ("fma", "", &[3, 4, 5], 17),
        ("fma", "", &[-1, 4, 5], 1),
        ("abs", "", &[-5], 5),
        ("abs", "", &[5], 5),
        ("min", ".s", &[-1, 1], -1),
        ("max", ".s", &[-1, 1], 1),
        ("min", ".u", &[-1, 1], 1),
        ("max", ".u", &[-1, 1], -1),
        ("not", "", &[0], -1),
        ("not", "", &[5], -6),
        ("and", "", &[12, 10], 8),
        ("or", "", &[12, 10], 14),
        ("xor", "", &[12, 10], 6),
    ];
    for (name, suffix, operands, expected) in same {
        let narrow: Vec<Value> = operands.iter().map(|&value| i(value as i32)).collect();
        assert_eq!(
            op(&format!("{name}.i32{suffix}"), &narrow),
            i(*expected as i32),
            "{name}.i32 {operands:?}"
        );
        let wide: Vec<Value> = operands.iter().map(|&value| l(value)).collect();
        assert_eq!(op(&format!("{name}.i64{suffix}"), &wide), l(*expected), "{name}.i64 {operands:?}");
    }
    for (value, zeros) in [(0, 32), (1, 31), (-1, 0)] {
        assert_eq!(op("ctlz.i32", &[i(value)]), i(zeros));
    }
    for (value, zeros) in [(0, 64), (1, 63), (-1, 0)] {
        assert_eq!(op("ctlz.i64", &[l(value)]), l(zeros));
    }
    assert_eq!(op("div.i32.u", &[i(-1), i(2)]), i(i32::MAX));
    assert_eq!(op("div.i64.u", &[l(-1), l(2)]), l(i64::MAX));
    assert_eq!(op("rem.i64.u", &[l(-1), l(10)]), l(5));
    assert_eq!(op("mul.i64", &[l(0x1_0000_0001), l(3)]), l(0x3_0000_0003));
    assert_eq!(op("xor.i64", &[l(0xF_0000_0000), l(1)]), l(0xF_0000_0001));
}

/// [vm 58]
#[test]
fn arithmetic_wraps() {
    assert_eq!(op("add.i32", &[i(i32::MAX), i(1)]), i(I32_MIN));
    assert_eq!(op("sub.i32", &[i(I32_MIN), i(1)]), i(i32::MAX));
    assert_eq!(op("mul.i32", &[i(0x10000), i(0x10000)]), i(0));
    assert_eq!(op("add.i64", &[l(i64::MAX), l(1)]), l(I64_MIN));
    assert_eq!(op("sub.i64", &[l(I64_MIN), l(1)]), l(i64::MAX));
    assert_eq!(op("mul.i64", &[l(1 << 32), l(1 << 32)]), l(0));
    assert_eq!(op("fma.i32", &[i(i32::MAX), i(2), i(3)]), i(1));
    assert_eq!(op("abs.i32", &[i(I32_MIN)]), i(I32_MIN));
    assert_eq!(op("abs.i64", &[l(I64_MIN)]), l(I64_MIN));
    assert_eq!(op("div.i32.s", &[i(I32_MIN), i(-1)]), i(I32_MIN));
    assert_eq!(op("div.i64.s", &[l(I64_MIN), l(-1)]), l(I64_MIN));
    assert_eq!(op("rem.i32.s", &[i(I32_MIN), i(-1)]), i(0));
    assert_eq!(op("rem.i64.s", &[l(I64_MIN), l(-1)]), l(0));
}

/// [vm 59] All eight forms; the context works afterwards.
#[test]
fn division_by_zero_is_an_error_of_the_call() {
    for name in ["div", "rem"] {
        for sign in ["s", "u"] {
            let narrow = try_op(&format!("{name}.i32.{sign}"), &[i(1), i(0)]);
            let status = narrow.expect_err("division by zero");
            assert_eq!(
                (status.code(), &*status.message()),
                (Code::InvalidArgument, "integer division by zero")
            );
            assert_eq!(code(try_op(&format!("{name}.i64.{sign}"), &[l(1), l(0)])), Code::InvalidArgument);
        }
    }
    let divide = function("0ii_i", "%i2 = vm.div.i32.s %i0, %i1 \n vm.return %i2");
    assert_eq!(code(divide.call(&[i(1), i(0)])), Code::InvalidArgument);
    assert_eq!(divide.call(&[i(8), i(2)]).expect("a quotient"), [i(4)]);
}

/// [vm 60]
#[test]
fn shift_amounts_are_masked() {
    for (amount, left, arithmetic, logical) in [
        (0, -8, -8, 0xFFFF_FFF8_u32 as i32),
        (1, -16, -4, 0x7FFF_FFFC),
        (31, 0, -1, 1),
        (32, -8, -8, -8),
        (63, 0, -1, 1),
        (64, -8, -8, -8),
        (-1, 0, -1, 1),
    ] {
        assert_eq!(op("shl.i32", &[i(-8), i(amount)]), i(left), "{amount}");
        assert_eq!(op("shr.i32.s", &[i(-8), i(amount)]), i(arithmetic), "{amount}");
        assert_eq!(op("shr.i32.u", &[i(-8), i(amount)]), i(logical), "{amount}");
    }
    for (amount, left, arithmetic, logical) in [
        (0, -8, -8, -8),
        (1, -16, -4, 0x7FFF_FFFF_FFFF_FFFC),
        (31, -8 << 31, -1, 0x1_FFFF_FFFF),
        (32, -8 << 32, -1, 0xFFFF_FFFF),
        (63, 0, -1, 1),
        (64, -8, -8, -8),
        (-1, 0, -1, 1),
    ] {
        assert_eq!(op("shl.i64", &[l(-8), i(amount)]), l(left), "{amount}");
        assert_eq!(op("shr.i64.s", &[l(-8), i(amount)]), l(arithmetic), "{amount}");
        assert_eq!(op("shr.i64.u", &[l(-8), i(amount)]), l(logical), "{amount}");
    }
    assert_eq!(op("shr.i32.s", &[i(-1), i(5)]), i(-1));
    assert_eq!(op("shr.i64.s", &[l(-1), i(40)]), l(-1));
}

/// [vm 61]
#[test]
fn comparisons() {
    for (a, b, signed, unsigned) in
        [(2, -2, 0, 1), (-2, 2, 1, 0), (I32_MIN, i32::MAX, 1, 0), (3, 3, 0, 0), (0, -1, 0, 1)]
    {
        let (wide_a, wide_b) = (i64::from(a), i64::from(b));
        assert_eq!(op("cmp.lt.i32.s", &[i(a), i(b)]), i(signed));
        assert_eq!(op("cmp.lt.i32.u", &[i(a), i(b)]), i(unsigned));
        assert_eq!(op("cmp.lt.i64.s", &[l(wide_a), l(wide_b)]), i(signed));
        assert_eq!(op("cmp.lt.i64.u", &[l(wide_a), l(wide_b)]), i(unsigned));
        assert_eq!(op("cmp.eq.i32", &[i(a), i(b)]), i((a == b).into()));
        assert_eq!(op("cmp.ne.i32", &[i(a), i(b)]), i((a != b).into()));
        assert_eq!(op("cmp.eq.i64", &[l(wide_a), l(wide_b)]), i((a == b).into()));
        assert_eq!(op("cmp.ne.i64", &[l(wide_a), l(wide_b)]), i((a != b).into()));
    }
    assert_eq!(op("cmp.lt.i64.s", &[l(I64_MIN), l(i64::MAX)]), i(1));
    // Equal low halves.
    assert_eq!(op("cmp.eq.i64", &[l(0x1_0000_0001), l(0x2_0000_0001)]), i(0));
    assert_eq!(op("cmp.ne.i64", &[l(0x1_0000_0001), l(0x2_0000_0001)]), i(1));
    assert_eq!(op("cmp.nz.i64", &[l(1 << 40)]), i(1));
    for (value, expected) in [(0, 0), (1, 1), (-1, 1), (I32_MIN, 1)] {
        assert_eq!(op("cmp.nz.i32", &[i(value)]), i(expected));
        assert_eq!(op("cmp.nz.i64", &[l(value.into())]), i(expected));
    }
}

/// [vm 61] As lowered: a <= b is not (b < a), a > b is b < a, a >= b is not (a < b).
#[test]
fn other_orders_are_lowered_to_less_than() {
    let text = "
        %i8 = vm.const.i32 1
        %i2 = vm.cmp.lt.i32.s %i1, %i0
        %i3 = vm.xor.i32 %i2, %i8
        %i4 = vm.cmp.lt.i32.s %i0, %i1
        %i5 = vm.xor.i32 %i4, %i8
        vm.return %i3, %i2, %i5";
    let orders = function("0ii_iii", text);
    for (a, b) in [(1, 2), (2, 1), (2, 2), (I32_MIN, i32::MAX)] {
        let expected = [i((a <= b).into()), i((a > b).into()), i((a >= b).into())];
        assert_eq!(orders.call(&[i(a), i(b)]).expect("compared"), expected);
    }
}

/// [vm 62]
#[test]
fn narrow_conversions() {
    assert_eq!(op("trunc.i32.i8", &[i(0x7FFF_FFFF)]), i(0xFF));
    assert_eq!(op("trunc.i32.i16", &[i(0x7FFF_FFFF)]), i(0xFFFF));
    assert_eq!(op("trunc.i64.i32", &[l(0x1234_5678_9ABC_DEF0)]), i(0x9ABC_DEF0_u32 as i32));
    for (value, s8, u8, s16, u16) in [
        (0x80, -128, 128, 128, 128),
        (0x7F, 127, 127, 127, 127),
        (0xFFFF_8081_u32 as i32, -127, 129, -32639, 32897),
    ] {
        assert_eq!(op("ext.i8.i32.s", &[i(value)]), i(s8));
        assert_eq!(op("ext.i8.i32.u", &[i(value)]), i(u8));
        assert_eq!(op("ext.i16.i32.s", &[i(value)]), i(s16));
        assert_eq!(op("ext.i16.i32.u", &[i(value)]), i(u16));
    }
    assert_eq!(op("ext.i32.i64.s", &[i(-2)]), l(-2));
    assert_eq!(op("ext.i32.i64.u", &[i(-2)]), l(0xFFFF_FFFE));
    assert_eq!(op("ext.i32.i64.s", &[i(2)]), l(2));
}

/// [vm 57] Constants, including those that look like opcodes.
#[test]
fn constants() {
    let text = "
        %i0 = vm.const.i32.zero
        %i1 = vm.const.i32 2038004089
        %i2:3 = vm.const.i64.zero
        %i4:5 = vm.const.i64 -2
        vm.return %i0, %i1, %i2:3, %i4:5";
    assert_eq!(run("0v_iiII", text, &[]).expect("constants"), [i(0), i(0x7979_7979), l(0), l(-2)]);
}
