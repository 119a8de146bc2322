// Host arithmetic in f32. The elementary functions come from the host's library, hence a tolerance.
//! case f32_arithmetic: arithmetic(7.5; -2.25)
//! case f32_arithmetic_large: arithmetic(3.4e38; 2)
//! case f32_arithmetic_zero: arithmetic(1; 0)
//! case f32_rounding: rounding(2.5)
//! case f32_rounding_negative: rounding(-3.5)
//! case f32_rounding_small: rounding(0.499)
//! case f32_compare_nan: compare(nan; 1)
//! case f32_compare_less: compare(-1; 1)
//! case f32_compare_equal: compare(2; 2)
//! case f32_extremes: extremes(3; -4)
//! case f32_extremes_nan: extremes(nan; 4)
//! case f32_casts: casts(-7.75)
//! case f32_from_integer: from_integer(-3; 16777217)
//! tolerance: 1e-6 1e-5
//! case f32_elementary: elementary(0.5)
//! case f32_elementary_two: elementary(2)
//! case f32_trigonometry: trigonometry(0.75)
//! case f32_power: power(1.5; 3.5)
module @floats {
  func.func @arithmetic(%a: f32, %b: f32) -> (f32, f32, f32, f32, f32, f32, f32) {
    %add = arith.addf %a, %b : f32
    %sub = arith.subf %a, %b : f32
    %mul = arith.mulf %a, %b : f32
    %div = arith.divf %a, %b : f32
    %neg = arith.negf %a : f32
    %abs = math.absf %b : f32
    %fma = math.fma %a, %b, %a : f32
    return %add, %sub, %mul, %div, %neg, %abs, %fma : f32, f32, f32, f32, f32, f32, f32
  }
  func.func @rounding(%a: f32) -> (f32, f32, f32, f32) {
    %floor = math.floor %a : f32
    %ceil = math.ceil %a : f32
    %round = math.round %a : f32
    %even = math.roundeven %a : f32
    return %floor, %ceil, %round, %even : f32, f32, f32, f32
  }
  func.func @compare(%a: f32, %b: f32) -> (i32, i32, i32, i32, i32, i32) {
    %oeq = arith.cmpf oeq, %a, %b : f32
    %une = arith.cmpf une, %a, %b : f32
    %olt = arith.cmpf olt, %a, %b : f32
    %ule = arith.cmpf ule, %a, %b : f32
    %uno = arith.cmpf uno, %a, %b : f32
    %ogt = arith.cmpf ogt, %a, %b : f32
    %0 = arith.extui %oeq : i1 to i32
    %1 = arith.extui %une : i1 to i32
    %2 = arith.extui %olt : i1 to i32
    %3 = arith.extui %ule : i1 to i32
    %4 = arith.extui %uno : i1 to i32
    %5 = arith.extui %ogt : i1 to i32
    return %0, %1, %2, %3, %4, %5 : i32, i32, i32, i32, i32, i32
  }
  func.func @extremes(%a: f32, %b: f32) -> (f32, f32) {
    %min = arith.minimumf %a, %b : f32
    %max = arith.maximumf %a, %b : f32
    return %min, %max : f32, f32
  }
  func.func @casts(%a: f32) -> (i32, i32) {
    %s = arith.fptosi %a : f32 to i32
    %bits = arith.bitcast %a : f32 to i32
    return %s, %bits : i32, i32
  }
  func.func @from_integer(%a: i32, %b: i32) -> (f32, f32, f32) {
    %s = arith.sitofp %a : i32 to f32
    %u = arith.uitofp %b : i32 to f32
    %bits = arith.bitcast %b : i32 to f32
    return %s, %u, %bits : f32, f32, f32
  }
  func.func @elementary(%a: f32) -> (f32, f32, f32, f32, f32, f32, f32, f32, f32, f32) {
    %exp = math.exp %a : f32
    %exp2 = math.exp2 %a : f32
    %expm1 = math.expm1 %a : f32
    %log = math.log %a : f32
    %log2 = math.log2 %a : f32
    %log10 = math.log10 %a : f32
    %log1p = math.log1p %a : f32
    %sqrt = math.sqrt %a : f32
    %rsqrt = math.rsqrt %a : f32
    %erf = math.erf %a : f32
    return %exp, %exp2, %expm1, %log, %log2, %log10, %log1p, %sqrt, %rsqrt, %erf : f32, f32, f32, f32, f32, f32, f32, f32, f32, f32
  }
  func.func @trigonometry(%a: f32) -> (f32, f32, f32, f32) {
    %sin = math.sin %a : f32
    %cos = math.cos %a : f32
    %tanh = math.tanh %a : f32
    %atan = math.atan %a : f32
    return %sin, %cos, %tanh, %atan : f32, f32, f32, f32
  }
  func.func @power(%a: f32, %b: f32) -> (f32, f32) {
    %pow = math.powf %a, %b : f32
    %atan2 = math.atan2 %a, %b : f32
    return %pow, %atan2 : f32, f32
  }
}
