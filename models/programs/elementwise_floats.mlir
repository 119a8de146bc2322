// One function for each wide floating-point type.
//! flags: --iree-input-demote-f64-to-f32=false
//! case double_f16: double_f16(6xf16=0.1 -1 65504 1e-8 inf 0.333)
//! case double_bf16: double_bf16(4xbf16=0.1 -1 3e38 1.01)
//! case double_f32: double_f32(6xf32=0.1 1e10 1e-5 999999.5 123456789 -0)
//! case double_f64: double_f64(6xf64=0.1 1e300 1e-5 -inf 123456789 1e-310)
//! case widen_f16: widen_f16(4xf16=0.1 -2.5 65504 nan)
//! case narrow_f64: narrow_f64(4xf64=0.1 -2.5 1e39 3.14159265358979)
module @elementwise {
  func.func @double_f16(%a: tensor<6xf16>) -> tensor<6xf16> {
    %sum = arith.addf %a, %a : tensor<6xf16>
    return %sum : tensor<6xf16>
  }
  func.func @double_bf16(%a: tensor<4xbf16>) -> tensor<4xbf16> {
    %sum = arith.addf %a, %a : tensor<4xbf16>
    return %sum : tensor<4xbf16>
  }
  func.func @double_f32(%a: tensor<6xf32>) -> tensor<6xf32> {
    %sum = arith.addf %a, %a : tensor<6xf32>
    return %sum : tensor<6xf32>
  }
  func.func @double_f64(%a: tensor<6xf64>) -> tensor<6xf64> {
    %sum = arith.addf %a, %a : tensor<6xf64>
    return %sum : tensor<6xf64>
  }
  func.func @widen_f16(%a: tensor<4xf16>) -> tensor<4xf32> {
    %wide = arith.extf %a : tensor<4xf16> to tensor<4xf32>
    return %wide : tensor<4xf32>
  }
  func.func @narrow_f64(%a: tensor<4xf64>) -> tensor<4xf32> {
    %narrow = arith.truncf %a : tensor<4xf64> to tensor<4xf32>
    return %narrow : tensor<4xf32>
  }
}
