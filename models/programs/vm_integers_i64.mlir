// The same in 64 bits.
//! case i64_arithmetic: arithmetic(6000000000; -7)
//! case i64_arithmetic_wraps: arithmetic(9223372036854775807; 3)
//! case i64_bits: bits(0x0123456789ABCDEF; 36)
//! case i64_counts: counts(1099511627776)
//! case i64_counts_zero: counts(0)
//! case i64_compare: compare(-4294967296; 4294967296)
//! case i64_extremes: extremes(-8; 3000000000)
//! case i64_truncate: truncate(81985529216486895)
module @integers {
  func.func @arithmetic(%a: i64, %b: i64) -> (i64, i64, i64, i64, i64, i64, i64) {
    %add = arith.addi %a, %b : i64
    %sub = arith.subi %a, %b : i64
    %mul = arith.muli %a, %b : i64
    %divs = arith.divsi %a, %b : i64
    %divu = arith.divui %a, %b : i64
    %rems = arith.remsi %a, %b : i64
    %remu = arith.remui %a, %b : i64
    return %add, %sub, %mul, %divs, %divu, %rems, %remu : i64, i64, i64, i64, i64, i64, i64
  }
  func.func @bits(%a: i64, %b: i64) -> (i64, i64, i64, i64, i64, i64) {
    %and = arith.andi %a, %b : i64
    %or = arith.ori %a, %b : i64
    %xor = arith.xori %a, %b : i64
    %shl = arith.shli %a, %b : i64
    %shrs = arith.shrsi %a, %b : i64
    %shru = arith.shrui %a, %b : i64
    return %and, %or, %xor, %shl, %shrs, %shru : i64, i64, i64, i64, i64, i64
  }
  func.func @counts(%a: i64) -> (i64, i64) {
    %ctlz = math.ctlz %a : i64
    %abs = math.absi %a : i64
    return %ctlz, %abs : i64, i64
  }
  func.func @compare(%a: i64, %b: i64) -> (i32, i32, i32, i32, i32, i32) {
    %eq = arith.cmpi eq, %a, %b : i64
    %ne = arith.cmpi ne, %a, %b : i64
    %sle = arith.cmpi sle, %a, %b : i64
    %sgt = arith.cmpi sgt, %a, %b : i64
    %ule = arith.cmpi ule, %a, %b : i64
    %ugt = arith.cmpi ugt, %a, %b : i64
    %0 = arith.extui %eq : i1 to i32
    %1 = arith.extui %ne : i1 to i32
    %2 = arith.extui %sle : i1 to i32
    %3 = arith.extui %sgt : i1 to i32
    %4 = arith.extui %ule : i1 to i32
    %5 = arith.extui %ugt : i1 to i32
    return %0, %1, %2, %3, %4, %5 : i32, i32, i32, i32, i32, i32
  }
  func.func @extremes(%a: i64, %b: i64) -> (i64, i64, i64, i64) {
    %mins = arith.minsi %a, %b : i64
    %maxs = arith.maxsi %a, %b : i64
    %minu = arith.minui %a, %b : i64
    %maxu = arith.maxui %a, %b : i64
    return %mins, %maxs, %minu, %maxu : i64, i64, i64, i64
  }
  func.func @truncate(%a: i64) -> (i32, i32, i32) {
    %i8 = arith.trunci %a : i64 to i8
    %i16 = arith.trunci %a : i64 to i16
    %i32 = arith.trunci %a : i64 to i32
    %0 = arith.extsi %i8 : i8 to i32
    %1 = arith.extui %i16 : i16 to i32
    return %0, %1, %i32 : i32, i32, i32
  }
}
