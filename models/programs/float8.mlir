// The 8-bit floats: constants, storage, widening and narrowing.
//! case float8_e5m2: widen_e5m2(6xf8E5M2=1 -2 0.3 57344 inf nan)
//! case float8_e4m3fn: widen_e4m3fn(6xf8E4M3FN=1 -2 0.3 448 449 nan)
//! case float8_e5m2fnuz: widen_e5m2fnuz(5xf8E5M2FNUZ=1 -2 0.3 57344 nan)
//! case float8_e4m3fnuz: widen_e4m3fnuz(5xf8E4M3FNUZ=1 -2 0.3 240 nan)
//! case float8_narrow_e5m2: narrow_e5m2(5xf32=1.1 -3.3 100000 0.0001 nan)
//! case float8_narrow_e4m3fn: narrow_e4m3fn(5xf32=1.1 -3.3 440 0.01 nan)
//! case float8_constants: constants()
//! case float8_exponent_only: exponents(4xf8E8M0FNU=1 0.1 3 1024)
module @float8 {
  func.func @widen_e5m2(%a: tensor<6xf8E5M2>) -> tensor<6xf32> {
    %r = arith.extf %a : tensor<6xf8E5M2> to tensor<6xf32>
    return %r : tensor<6xf32>
  }
  func.func @widen_e4m3fn(%a: tensor<6xf8E4M3FN>) -> tensor<6xf32> {
    %r = arith.extf %a : tensor<6xf8E4M3FN> to tensor<6xf32>
    return %r : tensor<6xf32>
  }
  func.func @widen_e5m2fnuz(%a: tensor<5xf8E5M2FNUZ>) -> tensor<5xf32> {
    %r = arith.extf %a : tensor<5xf8E5M2FNUZ> to tensor<5xf32>
    return %r : tensor<5xf32>
  }
  func.func @widen_e4m3fnuz(%a: tensor<5xf8E4M3FNUZ>) -> tensor<5xf32> {
    %r = arith.extf %a : tensor<5xf8E4M3FNUZ> to tensor<5xf32>
    return %r : tensor<5xf32>
  }
  func.func @narrow_e5m2(%a: tensor<5xf32>) -> tensor<5xf8E5M2> {
    %r = arith.truncf %a : tensor<5xf32> to tensor<5xf8E5M2>
    return %r : tensor<5xf8E5M2>
  }
  func.func @narrow_e4m3fn(%a: tensor<5xf32>) -> tensor<5xf8E4M3FN> {
    %r = arith.truncf %a : tensor<5xf32> to tensor<5xf8E4M3FN>
    return %r : tensor<5xf8E4M3FN>
  }
  func.func @constants() -> (tensor<3xf8E5M2>, tensor<3xf8E4M3FN>, tensor<3xf8E5M2FNUZ>, tensor<3xf8E4M3FNUZ>) {
    %a = arith.constant dense<[0.5, -1.75, 49152.0]> : tensor<3xf8E5M2>
    %b = arith.constant dense<[0.5, -1.875, 416.0]> : tensor<3xf8E4M3FN>
    %c = arith.constant dense<[0.5, -1.75, 49152.0]> : tensor<3xf8E5M2FNUZ>
    %d = arith.constant dense<[0.5, -1.875, 224.0]> : tensor<3xf8E4M3FNUZ>
    return %a, %b, %c, %d : tensor<3xf8E5M2>, tensor<3xf8E4M3FN>, tensor<3xf8E5M2FNUZ>, tensor<3xf8E4M3FNUZ>
  }
  func.func @exponents(%a: tensor<4xf8E8M0FNU>) -> tensor<4xf8E8M0FNU> {
    return %a : tensor<4xf8E8M0FNU>
  }
}
