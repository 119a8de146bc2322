// Every integer instruction of the VM, in both widths, with the extremes.
//! flags: --compile-mode=vm
//! case operations_i32_small: operations_i32(7; 3; 32)
//! case relations_i32_small: relations_i32(7; 3)
//! case operations_i32_negative: operations_i32(-7; 3; 32)
//! case relations_i32_negative: relations_i32(-7; 3)
//! case operations_i32_lowest: operations_i32(-2147483648; 5; 34)
//! case relations_i32_lowest: relations_i32(-2147483648; 5)
//! case operations_i32_highest: operations_i32(2147483647; -3; 32)
//! case relations_i32_highest: relations_i32(2147483647; -3)
//! case operations_i32_ones: operations_i32(-1; 1; 30)
//! case relations_i32_ones: relations_i32(-1; 1)
//! case operations_i64_small: operations_i64(7; 3; 32)
//! case relations_i64_small: relations_i64(7; 3)
//! case operations_i64_negative: operations_i64(-7; 3; 32)
//! case relations_i64_negative: relations_i64(-7; 3)
//! case operations_i64_lowest: operations_i64(-9223372036854775808; 5; 34)
//! case relations_i64_lowest: relations_i64(-9223372036854775808; 5)
//! case operations_i64_highest: operations_i64(9223372036854775807; -3; 32)
//! case relations_i64_highest: relations_i64(9223372036854775807; -3)
//! case operations_i64_ones: operations_i64(-1; 1; 30)
//! case relations_i64_ones: relations_i64(-1; 1)
//! case extend_128: extend(128)
//! case extend_minus_129: extend(-129)
//! case extend_65535: extend(65535)
//! case extend_305419896: extend(305419896)
//! case fma_wraps: fma(2000000000; 7; 9000000000000000000; 11)
vm.module @integer_operations {
  vm.export @operations_i32
  vm.func private @operations_i32(%a: i32, %b: i32, %n: i32) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
    %add = vm.add.i32 %a, %b : i32
    %sub = vm.sub.i32 %a, %b : i32
    %mul = vm.mul.i32 %a, %b : i32
    %div_s = vm.div.i32.s %a, %b : i32
    %div_u = vm.div.i32.u %a, %b : i32
    %rem_s = vm.rem.i32.s %a, %b : i32
    %rem_u = vm.rem.i32.u %a, %b : i32
    %and = vm.and.i32 %a, %b : i32
    %or = vm.or.i32 %a, %b : i32
    %xor = vm.xor.i32 %a, %b : i32
    %min_s = vm.min.i32.s %a, %b : i32
    %min_u = vm.min.i32.u %a, %b : i32
    %max_s = vm.max.i32.s %a, %b : i32
    %max_u = vm.max.i32.u %a, %b : i32
    %not = vm.not.i32 %a : i32
    %abs = vm.abs.i32 %a : i32
    %ctlz = vm.ctlz.i32 %a : i32
    %shl = vm.shl.i32 %a, %n : i32
    %shr_s = vm.shr.i32.s %a, %n : i32
    %shr_u = vm.shr.i32.u %a, %n : i32
    vm.return %add, %sub, %mul, %div_s, %div_u, %rem_s, %rem_u, %and, %or, %xor, %min_s, %min_u, %max_s, %max_u, %not, %abs, %ctlz, %shl, %shr_s, %shr_u : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
  }
  vm.export @relations_i32
  vm.func private @relations_i32(%a: i32, %b: i32) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
    %eq = vm.cmp.eq.i32 %a, %b : i32
    %ne = vm.cmp.ne.i32 %a, %b : i32
    %lt_s = vm.cmp.lt.i32.s %a, %b : i32
    %lt_u = vm.cmp.lt.i32.u %a, %b : i32
    %lte_s = vm.cmp.lte.i32.s %a, %b : i32
    %lte_u = vm.cmp.lte.i32.u %a, %b : i32
    %gt_s = vm.cmp.gt.i32.s %a, %b : i32
    %gt_u = vm.cmp.gt.i32.u %a, %b : i32
    %gte_s = vm.cmp.gte.i32.s %a, %b : i32
    %gte_u = vm.cmp.gte.i32.u %a, %b : i32
    %nz = vm.cmp.nz.i32 %a : i32
    vm.return %eq, %ne, %lt_s, %lt_u, %lte_s, %lte_u, %gt_s, %gt_u, %gte_s, %gte_u, %nz : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
  }
  vm.export @operations_i64
  vm.func private @operations_i64(%a: i64, %b: i64, %n: i32) -> (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) {
    %add = vm.add.i64 %a, %b : i64
    %sub = vm.sub.i64 %a, %b : i64
    %mul = vm.mul.i64 %a, %b : i64
    %div_s = vm.div.i64.s %a, %b : i64
    %div_u = vm.div.i64.u %a, %b : i64
    %rem_s = vm.rem.i64.s %a, %b : i64
    %rem_u = vm.rem.i64.u %a, %b : i64
    %and = vm.and.i64 %a, %b : i64
    %or = vm.or.i64 %a, %b : i64
    %xor = vm.xor.i64 %a, %b : i64
    %min_s = vm.min.i64.s %a, %b : i64
    %min_u = vm.min.i64.u %a, %b : i64
    %max_s = vm.max.i64.s %a, %b : i64
    %max_u = vm.max.i64.u %a, %b : i64
    %not = vm.not.i64 %a : i64
    %abs = vm.abs.i64 %a : i64
    %ctlz = vm.ctlz.i64 %a : i64
    %shl = vm.shl.i64 %a, %n : i64
    %shr_s = vm.shr.i64.s %a, %n : i64
    %shr_u = vm.shr.i64.u %a, %n : i64
    vm.return %add, %sub, %mul, %div_s, %div_u, %rem_s, %rem_u, %and, %or, %xor, %min_s, %min_u, %max_s, %max_u, %not, %abs, %ctlz, %shl, %shr_s, %shr_u : i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64
  }
  vm.export @relations_i64
  vm.func private @relations_i64(%a: i64, %b: i64) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
    %eq = vm.cmp.eq.i64 %a, %b : i64
    %ne = vm.cmp.ne.i64 %a, %b : i64
    %lt_s = vm.cmp.lt.i64.s %a, %b : i64
    %lt_u = vm.cmp.lt.i64.u %a, %b : i64
    %lte_s = vm.cmp.lte.i64.s %a, %b : i64
    %lte_u = vm.cmp.lte.i64.u %a, %b : i64
    %gt_s = vm.cmp.gt.i64.s %a, %b : i64
    %gt_u = vm.cmp.gt.i64.u %a, %b : i64
    %gte_s = vm.cmp.gte.i64.s %a, %b : i64
    %gte_u = vm.cmp.gte.i64.u %a, %b : i64
    %nz = vm.cmp.nz.i64 %a : i64
    vm.return %eq, %ne, %lt_s, %lt_u, %lte_s, %lte_u, %gt_s, %gt_u, %gte_s, %gte_u, %nz : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
  }
  vm.export @extend
  vm.func private @extend(%a: i32) -> (i32, i32, i32, i32, i32, i32, i64, i64) {
    %t8 = vm.trunc.i32.i8 %a : i32 -> i32
    %t16 = vm.trunc.i32.i16 %a : i32 -> i32
    %s8 = vm.ext.i8.i32.s %a : i32 -> i32
    %u8 = vm.ext.i8.i32.u %a : i32 -> i32
    %s16 = vm.ext.i16.i32.s %a : i32 -> i32
    %u16 = vm.ext.i16.i32.u %a : i32 -> i32
    %s64 = vm.ext.i32.i64.s %a : i32 -> i64
    %u64 = vm.ext.i32.i64.u %a : i32 -> i64
    vm.return %t8, %t16, %s8, %u8, %s16, %u16, %s64, %u64 : i32, i32, i32, i32, i32, i32, i64, i64
  }
  vm.export @fma
  vm.func private @fma(%a: i32, %b: i32, %c: i64, %d: i64) -> (i32, i64) {
    %0 = vm.fma.i32 %a, %b, %a : i32
    %1 = vm.fma.i64 %c, %d, %c : i64
    vm.return %0, %1 : i32, i64
  }
}
