// Conversions between integers and floats on the host, which round to nearest, ties away from zero.
//! flags: --compile-mode=vm --iree-vm-target-extension-f64
//! case f32_to_integers_half: f32_to_integers(2.5)
//! case f32_to_integers_negative: f32_to_integers(-2.5)
//! case f32_to_integers_small: f32_to_integers(-0.3)
//! case f64_to_integers_half: f64_to_integers(3.5)
//! case f64_to_integers_large: f64_to_integers(4503599627370497.5)
//! case integers_to_floats: integers_to_floats(-1; 9007199254740993)
//! case float_widths: float_widths(0.1)
//! case float_bits: bits(1078530011; 4614256656552045848)
//! case remainder_f32: remainder(5.5; 2)
//! case remainder_f32_negative: remainder(-3; -2)
vm.module @conversions {
  vm.export @f32_to_integers
  vm.func private @f32_to_integers(%v: f32) -> (i32, i64) {
    %a = vm.cast.f32.si32 %v : f32 -> i32
    %b = vm.cast.f32.si64 %v : f32 -> i64
    vm.return %a, %b : i32, i64
  }
  vm.export @f64_to_integers
  vm.func private @f64_to_integers(%v: f64) -> i64 {
    %b = vm.cast.f64.si64 %v : f64 -> i64
    vm.return %b : i64
  }
  vm.export @integers_to_floats
  vm.func private @integers_to_floats(%a: i32, %b: i64) -> (f32, f32, f32, f64, f64) {
    %0 = vm.cast.si32.f32 %a : i32 -> f32
    %1 = vm.cast.ui32.f32 %a : i32 -> f32
    %2 = vm.cast.si64.f32 %b : i64 -> f32
    %3 = vm.cast.si64.f64 %b : i64 -> f64
    %4 = vm.cast.ui64.f64 %b : i64 -> f64
    vm.return %0, %1, %2, %3, %4 : f32, f32, f32, f64, f64
  }
  vm.export @float_widths
  vm.func private @float_widths(%a: f64) -> (f32, f64) {
    %0 = vm.trunc.f64.f32 %a : f64 -> f32
    %1 = vm.ext.f32.f64 %0 : f32 -> f64
    %2 = vm.sub.f64 %1, %a : f64
    vm.return %0, %2 : f32, f64
  }
  vm.export @bits
  vm.func private @bits(%a: i32, %b: i64) -> (f32, f64) {
    %0 = vm.bitcast.i32.f32 %a : i32 -> f32
    %1 = vm.bitcast.i64.f64 %b : i64 -> f64
    vm.return %0, %1 : f32, f64
  }
  vm.export @remainder
  vm.func private @remainder(%a: f32, %b: f32) -> f32 {
    %0 = vm.rem.f32 %a, %b : f32
    vm.return %0 : f32
  }
}
