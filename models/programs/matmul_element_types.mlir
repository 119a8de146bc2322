// Matrix products in every arithmetic: f16, bf16, f64, i16, i64, complex, and narrow inputs summed wider.
//! flags: --iree-input-demote-f64-to-f32=false
//! tolerance: 1e-6 1e-3
//! case matmul_f16: f16(2x2xf16=1 0.5 -1 2; 2x2xf16=2 1 0.25 3)
//! case matmul_bf16_into_f32: bf16(2x2xbf16=1 0.5 -1 2; 2x2xbf16=2 1 0.25 3)
//! tolerance: exact
//! case matmul_f64: f64(2x2xf64=1 0.5 -1 2; 2x2xf64=2 1 0.25 3)
//! case matmul_i16: i16(2x2xi16=100 2 3 4; 2x2xi16=300 6 7 8)
//! case matmul_i64: i64(2x2xi64=3000000000 2 3 4; 2x2xi64=5 6 7 8)
//! case matmul_complex: complex(1x2xcf64=0000803F00000000 000000000000803F; 2x1xcf64=0000004000000000 0000803F0000803F)
//! case matmul_boolean: boolean(2x2xi1=01 00 01 01; 2x2xi1=00 01 01 00)
module @matmul {
  func.func @f16(%a: tensor<2x2xf16>, %b: tensor<2x2xf16>) -> tensor<2x2xf16> {
    %s = arith.constant dense<0.0> : tensor<2x2xf16>
    %r = linalg.matmul ins(%a, %b : tensor<2x2xf16>, tensor<2x2xf16>) outs(%s : tensor<2x2xf16>) -> tensor<2x2xf16>
    return %r : tensor<2x2xf16>
  }
  func.func @bf16(%a: tensor<2x2xbf16>, %b: tensor<2x2xbf16>) -> tensor<2x2xf32> {
    %s = arith.constant dense<0.0> : tensor<2x2xf32>
    %r = linalg.matmul ins(%a, %b : tensor<2x2xbf16>, tensor<2x2xbf16>) outs(%s : tensor<2x2xf32>) -> tensor<2x2xf32>
    return %r : tensor<2x2xf32>
  }
  func.func @f64(%a: tensor<2x2xf64>, %b: tensor<2x2xf64>) -> tensor<2x2xf64> {
    %s = arith.constant dense<0.0> : tensor<2x2xf64>
    %r = linalg.matmul ins(%a, %b : tensor<2x2xf64>, tensor<2x2xf64>) outs(%s : tensor<2x2xf64>) -> tensor<2x2xf64>
    return %r : tensor<2x2xf64>
  }
  func.func @i16(%a: tensor<2x2xi16>, %b: tensor<2x2xi16>) -> tensor<2x2xi16> {
    %s = arith.constant dense<0> : tensor<2x2xi16>
    %r = linalg.matmul ins(%a, %b : tensor<2x2xi16>, tensor<2x2xi16>) outs(%s : tensor<2x2xi16>) -> tensor<2x2xi16>
    return %r : tensor<2x2xi16>
  }
  func.func @i64(%a: tensor<2x2xi64>, %b: tensor<2x2xi64>) -> tensor<2x2xi64> {
    %s = arith.constant dense<0> : tensor<2x2xi64>
    %r = linalg.matmul ins(%a, %b : tensor<2x2xi64>, tensor<2x2xi64>) outs(%s : tensor<2x2xi64>) -> tensor<2x2xi64>
    return %r : tensor<2x2xi64>
  }
  func.func @complex(%a: tensor<1x2xcomplex<f32>>, %b: tensor<2x1xcomplex<f32>>) -> tensor<1x1xcomplex<f32>> {
    %s = arith.constant dense<(0.0, 0.0)> : tensor<1x1xcomplex<f32>>
    %r = linalg.matmul ins(%a, %b : tensor<1x2xcomplex<f32>>, tensor<2x1xcomplex<f32>>) outs(%s : tensor<1x1xcomplex<f32>>) -> tensor<1x1xcomplex<f32>>
    return %r : tensor<1x1xcomplex<f32>>
  }
  func.func @boolean(%a: tensor<2x2xi1>, %b: tensor<2x2xi1>) -> tensor<2x2xi1> {
    %s = arith.constant dense<false> : tensor<2x2xi1>
    %r = linalg.matmul ins(%a, %b : tensor<2x2xi1>, tensor<2x2xi1>) outs(%s : tensor<2x2xi1>) -> tensor<2x2xi1>
    return %r : tensor<2x2xi1>
  }
}
