// Every 32-bit integer operation that a scalar program can reach, several functions in one module.
//! case i32_arithmetic: arithmetic(17; -5)
//! case i32_arithmetic_wraps: arithmetic(2147483647; 2)
//! case i32_arithmetic_hex_input: arithmetic(0x7B; 0xFFFFFFFF)
//! case i32_bits: bits(0x0F0F1234; 5)
//! case i32_bits_negative: bits(-123456789; 31)
//! case i32_counts: counts(40)
//! case i32_counts_zero: counts(0)
//! case i32_counts_minus_one: counts(-1)
//! case i32_compare_less: compare(-1; 1)
//! case i32_compare_equal: compare(7; 7)
//! case i32_extremes: extremes(-8; 3)
//! case i32_narrow: narrow(-559038737)
module @integers {
  func.func @arithmetic(%a: i32, %b: i32) -> (i32, i32, i32, i32, i32, i32, i32) {
    %add = arith.addi %a, %b : i32
    %sub = arith.subi %a, %b : i32
    %mul = arith.muli %a, %b : i32
    %divs = arith.divsi %a, %b : i32
    %divu = arith.divui %a, %b : i32
    %rems = arith.remsi %a, %b : i32
    %remu = arith.remui %a, %b : i32
    return %add, %sub, %mul, %divs, %divu, %rems, %remu : i32, i32, i32, i32, i32, i32, i32
  }
  func.func @bits(%a: i32, %b: i32) -> (i32, i32, i32, i32, i32, i32) {
    %and = arith.andi %a, %b : i32
    %or = arith.ori %a, %b : i32
    %xor = arith.xori %a, %b : i32
    %shl = arith.shli %a, %b : i32
    %shrs = arith.shrsi %a, %b : i32
    %shru = arith.shrui %a, %b : i32
    return %and, %or, %xor, %shl, %shrs, %shru : i32, i32, i32, i32, i32, i32
  }
  func.func @counts(%a: i32) -> (i32, i32) {
    %ctlz = math.ctlz %a : i32
    %abs = math.absi %a : i32
    return %ctlz, %abs : i32, i32
  }
  func.func @compare(%a: i32, %b: i32) -> (i32, i32, i32, i32, i32, i32) {
    %eq = arith.cmpi eq, %a, %b : i32
    %ne = arith.cmpi ne, %a, %b : i32
    %slt = arith.cmpi slt, %a, %b : i32
    %sge = arith.cmpi sge, %a, %b : i32
    %ult = arith.cmpi ult, %a, %b : i32
    %uge = arith.cmpi uge, %a, %b : i32
    %0 = arith.extui %eq : i1 to i32
    %1 = arith.extui %ne : i1 to i32
    %2 = arith.extui %slt : i1 to i32
    %3 = arith.extui %sge : i1 to i32
    %4 = arith.extui %ult : i1 to i32
    %5 = arith.extsi %uge : i1 to i32
    return %0, %1, %2, %3, %4, %5 : i32, i32, i32, i32, i32, i32
  }
  func.func @extremes(%a: i32, %b: i32) -> (i32, i32, i32, i32) {
    %mins = arith.minsi %a, %b : i32
    %maxs = arith.maxsi %a, %b : i32
    %minu = arith.minui %a, %b : i32
    %maxu = arith.maxui %a, %b : i32
    return %mins, %maxs, %minu, %maxu : i32, i32, i32, i32
  }
  func.func @narrow(%a: i32) -> (i32, i32, i32, i32, i64, i64) {
    %i8 = arith.trunci %a : i32 to i8
    %i16 = arith.trunci %a : i32 to i16
    %s8 = arith.extsi %i8 : i8 to i32
    %u8 = arith.extui %i8 : i8 to i32
    %s16 = arith.extsi %i16 : i16 to i32
    %u16 = arith.extui %i16 : i16 to i32
    %s64 = arith.extsi %a : i32 to i64
    %u64 = arith.extui %a : i32 to i64
    return %s8, %u8, %s16, %u16, %s64, %u64 : i32, i32, i32, i32, i64, i64
  }
}
