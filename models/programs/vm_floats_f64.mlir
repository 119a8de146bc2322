// Host arithmetic in f64: the second floating-point extension, kept by a compiler flag.
//! flags: --iree-input-demote-f64-to-f32=false --iree-vm-target-extension-f64
//! case f64_arithmetic: arithmetic(7.5; -2.25)
//! case f64_arithmetic_precise: arithmetic(9007199254740993; 3)
//! case f64_rounding: rounding(2.5)
//! case f64_compare_nan: compare(nan; 1)
//! case f64_compare_less: compare(-1e300; 1e300)
//! case f64_extremes: extremes(3; -4)
//! case f64_widen: widen(0.1)
//! tolerance: 1e-6 1e-5
//! case f64_elementary: elementary(0.5)
//! case f64_trigonometry: trigonometry(0.75; 1.25)
module @floats {
  func.func @arithmetic(%a: f64, %b: f64) -> (f64, f64, f64, f64, f64, f64, f64) {
    %add = arith.addf %a, %b : f64
    %sub = arith.subf %a, %b : f64
    %mul = arith.mulf %a, %b : f64
    %div = arith.divf %a, %b : f64
    %neg = arith.negf %a : f64
    %abs = math.absf %b : f64
    %fma = math.fma %a, %b, %a : f64
    return %add, %sub, %mul, %div, %neg, %abs, %fma : f64, f64, f64, f64, f64, f64, f64
  }
  func.func @rounding(%a: f64) -> (f64, f64, f64, f64) {
    %floor = math.floor %a : f64
    %ceil = math.ceil %a : f64
    %round = math.round %a : f64
    %even = math.roundeven %a : f64
    return %floor, %ceil, %round, %even : f64, f64, f64, f64
  }
  func.func @compare(%a: f64, %b: f64) -> (i32, i32, i32) {
    %oeq = arith.cmpf oeq, %a, %b : f64
    %olt = arith.cmpf olt, %a, %b : f64
    %uno = arith.cmpf uno, %a, %b : f64
    %0 = arith.extui %oeq : i1 to i32
    %1 = arith.extui %olt : i1 to i32
    %2 = arith.extui %uno : i1 to i32
    return %0, %1, %2 : i32, i32, i32
  }
  func.func @extremes(%a: f64, %b: f64) -> (f64, f64) {
    %min = arith.minimumf %a, %b : f64
    %max = arith.maximumf %a, %b : f64
    return %min, %max : f64, f64
  }
  func.func @widen(%a: f32) -> f64 {
    %wide = arith.extf %a : f32 to f64
    %three = arith.constant 3.0 : f64
    %product = arith.mulf %wide, %three : f64
    return %product : f64
  }
  func.func @elementary(%a: f64) -> (f64, f64, f64, f64, f64, f64) {
    %exp = math.exp %a : f64
    %log = math.log %a : f64
    %log1p = math.log1p %a : f64
    %sqrt = math.sqrt %a : f64
    %rsqrt = math.rsqrt %a : f64
    %erf = math.erf %a : f64
    return %exp, %log, %log1p, %sqrt, %rsqrt, %erf : f64, f64, f64, f64, f64, f64
  }
  func.func @trigonometry(%a: f64, %b: f64) -> (f64, f64, f64, f64) {
    %sin = math.sin %a : f64
    %cos = math.cos %b : f64
    %tanh = math.tanh %a : f64
    %pow = math.powf %a, %b : f64
    return %sin, %cos, %tanh, %pow : f64, f64, f64, f64
  }
}
