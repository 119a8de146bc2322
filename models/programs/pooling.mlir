// Pooling windows: maximum, minimum, sum; with stride and dilation.
//! case pool_max: max(1x4x4x1xf32=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
//! case pool_sum: sum(1x4x4x1xf32=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
//! case pool_min_dilated: min_dilated(1x4x4x1xf32=16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1)
module @pooling {
  func.func @max(%a: tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> {
    %w = tensor.empty() : tensor<2x2xf32>
    %s = arith.constant dense<0xFF800000> : tensor<1x2x2x1xf32>
    %r = linalg.pooling_nhwc_max {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%a, %w : tensor<1x4x4x1xf32>, tensor<2x2xf32>) outs(%s : tensor<1x2x2x1xf32>) -> tensor<1x2x2x1xf32>
    return %r : tensor<1x2x2x1xf32>
  }
  func.func @sum(%a: tensor<1x4x4x1xf32>) -> tensor<1x3x3x1xf32> {
    %w = tensor.empty() : tensor<2x2xf32>
    %s = arith.constant dense<0.0> : tensor<1x3x3x1xf32>
    %r = linalg.pooling_nhwc_sum {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%a, %w : tensor<1x4x4x1xf32>, tensor<2x2xf32>) outs(%s : tensor<1x3x3x1xf32>) -> tensor<1x3x3x1xf32>
    return %r : tensor<1x3x3x1xf32>
  }
  func.func @min_dilated(%a: tensor<1x4x4x1xf32>) -> tensor<1x2x2x1xf32> {
    %w = tensor.empty() : tensor<2x2xf32>
    %s = arith.constant dense<0x7F800000> : tensor<1x2x2x1xf32>
    %r = linalg.pooling_nhwc_min {strides = dense<1> : tensor<2xi64>, dilations = dense<2> : tensor<2xi64>}
      ins(%a, %w : tensor<1x4x4x1xf32>, tensor<2x2xf32>) outs(%s : tensor<1x2x2x1xf32>) -> tensor<1x2x2x1xf32>
    return %r : tensor<1x2x2x1xf32>
  }
}
