// Where weft deliberately does not do what the reference does; every expectation is written by hand.
//! flags: --compile-mode=vm --iree-vm-target-extension-f64
//! case differs_saturating_f32: saturating_f32(3.3e38)
//! reference differs: casts out of range are undefined there (0 and the lowest i64)
//! case differs_saturating_f32_low: saturating_f32(-inf)
//! reference differs: casts out of range are undefined there
//! case differs_saturating_nan: saturating_f32(nan)
//! reference differs: NaN gives the lowest i64 there
//! failing case differs_divide_by_zero: divide(5; 0)
//! error: INVALID_ARGUMENT
//! reference differs: the process dies there
//! failing case differs_remainder_by_zero: remainder(5; 0)
//! error: INVALID_ARGUMENT
//! reference differs: the process dies there
//! case differs_divide_lowest: divide(-2147483648; -1)
//! reference differs: the process dies there
//! case differs_not_equal_nan: not_equal(nan; 1)
//! reference differs: an ordered comparison with NaN is true there
//! case differs_switch_i64: switch_i64(1)
//! reference differs: only the low 32 bits come out there
//! case differs_round_even: round_even(-0.5)
//! reference differs: the sign of zero is lost there
//! failing case differs_load_minus_one: load(-1)
//! error: OUT_OF_RANGE
//! reference differs: the range check wraps there and the process dies
//! failing case differs_alloc_minus_one: alloc(-1)
//! error: RESOURCE_EXHAUSTED
//! reference differs: a bogus buffer is made there
//! case differs_overlapping_copy: overlapping_copy()
//! reference differs: undefined there; here as if through a second buffer
vm.module @differences {
  vm.rodata private @text "abcdefgh"
  vm.export @saturating_f32
  vm.func private @saturating_f32(%v: f32) -> (i32, i64) {
    %a = vm.cast.f32.si32 %v : f32 -> i32
    %b = vm.cast.f32.si64 %v : f32 -> i64
    vm.return %a, %b : i32, i64
  }
  vm.export @divide
  vm.func private @divide(%a: i32, %b: i32) -> i32 {
    %q = vm.div.i32.s %a, %b : i32
    vm.return %q : i32
  }
  vm.export @remainder
  vm.func private @remainder(%a: i64, %b: i64) -> i64 {
    %q = vm.rem.i64.u %a, %b : i64
    vm.return %q : i64
  }
  vm.export @not_equal
  vm.func private @not_equal(%a: f32, %b: f32) -> i32 {
    %r = vm.cmp.ne.f32.o %a, %b : f32
    vm.return %r : i32
  }
  vm.export @switch_i64
  vm.func private @switch_i64(%i: i32) -> i64 {
    %a = vm.const.i64 6000000000
    %b = vm.const.i64 7000000000
    %d = vm.const.i64 8000000000
    %r = vm.switch.i64 %i[%a, %b] else %d : i64
    vm.return %r : i64
  }
  vm.export @round_even
  vm.func private @round_even(%a: f32) -> f32 {
    %r = vm.round.f32.even %a : f32
    vm.return %r : f32
  }
  vm.export @load
  vm.func private @load(%offset: i64) -> i32 {
    %size = vm.const.i64 16
    %align = vm.const.i32 16
    %b = vm.buffer.alloc %size, %align : !vm.buffer
    %r = vm.buffer.load.i32 %b[%offset] : !vm.buffer -> i32
    vm.return %r : i32
  }
  vm.export @alloc
  vm.func private @alloc(%size: i64) -> i64 {
    %align = vm.const.i32 16
    %b = vm.buffer.alloc %size, %align : !vm.buffer
    %r = vm.buffer.length %b : !vm.buffer -> i64
    vm.return %r : i64
  }
  // The first six bytes moved up by two within one buffer.
  vm.export @overlapping_copy
  vm.func private @overlapping_copy() -> (i32, i32) {
    %c0 = vm.const.i64.zero
    %c1 = vm.const.i64 1
    %c2 = vm.const.i64 2
    %c6 = vm.const.i64 6
    %c8 = vm.const.i64 8
    %align = vm.const.i32 16
    %text = vm.const.ref.rodata @text : !vm.buffer
    %b = vm.buffer.clone %text, %c0, %c8, %align : !vm.buffer -> !vm.buffer
    vm.buffer.copy %b, %c0, %b, %c2, %c6 : !vm.buffer -> !vm.buffer
    %low = vm.buffer.load.i32 %b[%c0] : !vm.buffer -> i32
    %high = vm.buffer.load.i32 %b[%c1] : !vm.buffer -> i32
    vm.return %low, %high : i32, i32
  }
}
