// Every f32 and f64 instruction of the VM: comparisons of both kinds, functions, switches and selects.
//! flags: --compile-mode=vm --iree-vm-target-extension-f64
//! case compare_f32_less: compare_f32(-1.5; 2)
//! case compare_f32_equal: compare_f32(2; 2)
//! case compare_f32_greater: compare_f32(3; -2)
//! case compare_f32_nan: compare_f32(nan; 1)
//! case compare_f32_nan_right: compare_f32(1; nan)
//! case compare_f32_zeros: compare_f32(0; -0)
//! case compare_f32_infinite: compare_f32(inf; 1e30)
//! case choose_f32_0: choose_f32(0)
//! case choose_f32_1: choose_f32(1)
//! case choose_f32_2: choose_f32(2)
//! case choose_f32_minus: choose_f32(-1)
//! case compare_f64_less: compare_f64(-1.5; 2)
//! case compare_f64_equal: compare_f64(2; 2)
//! case compare_f64_greater: compare_f64(3; -2)
//! case compare_f64_nan: compare_f64(nan; 1)
//! case compare_f64_nan_right: compare_f64(1; nan)
//! case compare_f64_zeros: compare_f64(0; -0)
//! case compare_f64_infinite: compare_f64(inf; 1e30)
//! case choose_f64_0: choose_f64(0)
//! case choose_f64_1: choose_f64(1)
//! case choose_f64_2: choose_f64(2)
//! case choose_f64_minus: choose_f64(-1)
//! tolerance: 1e-7 1e-5
//! case functions_f32_half: functions_f32(0.5; 2)
//! case functions_f32_large: functions_f32(20.25; -1.5)
//! case functions_f32_one: functions_f32(1; 0.75)
//! case functions_f32_tie: functions_f32(2.5; 2)
//! case functions_f64_half: functions_f64(0.5; 2)
//! case functions_f64_large: functions_f64(20.25; -1.5)
//! case functions_f64_one: functions_f64(1; 0.75)
//! case functions_f64_tie: functions_f64(2.5; 2)
vm.module @float_operations {
  vm.export @compare_f32
  vm.func private @compare_f32(%a: f32, %b: f32) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
    %eqo = vm.cmp.eq.f32.o %a, %b : f32
    %lto = vm.cmp.lt.f32.o %a, %b : f32
    %lteo = vm.cmp.lte.f32.o %a, %b : f32
    %gto = vm.cmp.gt.f32.o %a, %b : f32
    %gteo = vm.cmp.gte.f32.o %a, %b : f32
    %equ = vm.cmp.eq.f32.u %a, %b : f32
    %neu = vm.cmp.ne.f32.u %a, %b : f32
    %ltu = vm.cmp.lt.f32.u %a, %b : f32
    %lteu = vm.cmp.lte.f32.u %a, %b : f32
    %gtu = vm.cmp.gt.f32.u %a, %b : f32
    %gteu = vm.cmp.gte.f32.u %a, %b : f32
    %nan = vm.cmp.nan.f32 %a : f32
    vm.return %eqo, %lto, %lteo, %gto, %gteo, %equ, %neu, %ltu, %lteu, %gtu, %gteu, %nan : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
  }
  vm.export @functions_f32
  vm.func private @functions_f32(%a: f32, %b: f32) -> (f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32) {
    %abs = vm.abs.f32 %a : f32
    %neg = vm.neg.f32 %a : f32
    %ceil = vm.ceil.f32 %a : f32
    %floor = vm.floor.f32 %a : f32
    %round = vm.round.f32 %a : f32
    %atan = vm.atan.f32 %a : f32
    %cos = vm.cos.f32 %a : f32
    %sin = vm.sin.f32 %a : f32
    %exp = vm.exp.f32 %a : f32
    %exp2 = vm.exp2.f32 %a : f32
    %expm1 = vm.expm1.f32 %a : f32
    %log = vm.log.f32 %a : f32
    %log10 = vm.log10.f32 %a : f32
    %log1p = vm.log1p.f32 %a : f32
    %log2 = vm.log2.f32 %a : f32
    %rsqrt = vm.rsqrt.f32 %a : f32
    %sqrt = vm.sqrt.f32 %a : f32
    %tanh = vm.tanh.f32 %a : f32
    %erf = vm.erf.f32 %a : f32
    %add = vm.add.f32 %a, %b : f32
    %sub = vm.sub.f32 %a, %b : f32
    %mul = vm.mul.f32 %a, %b : f32
    %div = vm.div.f32 %a, %b : f32
    %rem = vm.rem.f32 %a, %b : f32
    %pow = vm.pow.f32 %a, %b : f32
    %atan2 = vm.atan2.f32 %a, %b : f32
    %min = vm.min.f32 %a, %b : f32
    %max = vm.max.f32 %a, %b : f32
    %fma = vm.fma.f32 %a, %b, %a : f32
    %even = vm.round.f32.even %a : f32
    vm.return %abs, %neg, %ceil, %floor, %round, %atan, %cos, %sin, %exp, %exp2, %expm1, %log, %log10, %log1p, %log2, %rsqrt, %sqrt, %tanh, %erf, %add, %sub, %mul, %div, %rem, %pow, %atan2, %min, %max, %fma, %even : f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32
  }
  vm.export @choose_f32
  vm.func private @choose_f32(%i: i32) -> (f32, f32) {
    %a = vm.const.f32 1.5
    %b = vm.const.f32 -2.25
    %d = vm.const.f32 100.0
    %r = vm.switch.f32 %i[%a, %b] else %d : f32
    %s = vm.select.f32 %i, %a, %b : f32
    vm.return %r, %s : f32, f32
  }
  vm.export @compare_f64
  vm.func private @compare_f64(%a: f64, %b: f64) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
    %eqo = vm.cmp.eq.f64.o %a, %b : f64
    %lto = vm.cmp.lt.f64.o %a, %b : f64
    %lteo = vm.cmp.lte.f64.o %a, %b : f64
    %gto = vm.cmp.gt.f64.o %a, %b : f64
    %gteo = vm.cmp.gte.f64.o %a, %b : f64
    %equ = vm.cmp.eq.f64.u %a, %b : f64
    %neu = vm.cmp.ne.f64.u %a, %b : f64
    %ltu = vm.cmp.lt.f64.u %a, %b : f64
    %lteu = vm.cmp.lte.f64.u %a, %b : f64
    %gtu = vm.cmp.gt.f64.u %a, %b : f64
    %gteu = vm.cmp.gte.f64.u %a, %b : f64
    %nan = vm.cmp.nan.f64 %a : f64
    vm.return %eqo, %lto, %lteo, %gto, %gteo, %equ, %neu, %ltu, %lteu, %gtu, %gteu, %nan : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
  }
  vm.export @functions_f64
  vm.func private @functions_f64(%a: f64, %b: f64) -> (f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64) {
    %abs = vm.abs.f64 %a : f64
    %neg = vm.neg.f64 %a : f64
    %ceil = vm.ceil.f64 %a : f64
    %floor = vm.floor.f64 %a : f64
    %round = vm.round.f64 %a : f64
    %atan = vm.atan.f64 %a : f64
    %cos = vm.cos.f64 %a : f64
    %sin = vm.sin.f64 %a : f64
    %exp = vm.exp.f64 %a : f64
    %exp2 = vm.exp2.f64 %a : f64
    %expm1 = vm.expm1.f64 %a : f64
    %log = vm.log.f64 %a : f64
    %log10 = vm.log10.f64 %a : f64
    %log1p = vm.log1p.f64 %a : f64
    %log2 = vm.log2.f64 %a : f64
    %rsqrt = vm.rsqrt.f64 %a : f64
    %sqrt = vm.sqrt.f64 %a : f64
    %tanh = vm.tanh.f64 %a : f64
    %erf = vm.erf.f64 %a : f64
    %add = vm.add.f64 %a, %b : f64
    %sub = vm.sub.f64 %a, %b : f64
    %mul = vm.mul.f64 %a, %b : f64
    %div = vm.div.f64 %a, %b : f64
    %rem = vm.rem.f64 %a, %b : f64
    %pow = vm.pow.f64 %a, %b : f64
    %atan2 = vm.atan2.f64 %a, %b : f64
    %min = vm.min.f64 %a, %b : f64
    %max = vm.max.f64 %a, %b : f64
    %fma = vm.fma.f64 %a, %b, %a : f64
    %even = vm.round.f64.even %a : f64
    vm.return %abs, %neg, %ceil, %floor, %round, %atan, %cos, %sin, %exp, %exp2, %expm1, %log, %log10, %log1p, %log2, %rsqrt, %sqrt, %tanh, %erf, %add, %sub, %mul, %div, %rem, %pow, %atan2, %min, %max, %fma, %even : f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64
  }
  vm.export @choose_f64
  vm.func private @choose_f64(%i: i32) -> (f64, f64) {
    %a = vm.const.f64 1.5
    %b = vm.const.f64 -2.25
    %d = vm.const.f64 100.0
    %r = vm.switch.f64 %i[%a, %b] else %d : f64
    %s = vm.select.f64 %i, %a, %b : f64
    vm.return %r, %s : f64, f64
  }
}
