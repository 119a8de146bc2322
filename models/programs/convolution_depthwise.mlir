// A depthwise convolution, and one over channels first.
//! case depthwise: depthwise(1x4x4x2xf32=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32; 2x2x2xf32=1 0 0 1 0 1 1 0)
//! case channels_first: channels_first(1x2x3x3xf32=1 2 3 4 5 6 7 8 9 9 8 7 6 5 4 3 2 1; 1x2x2x2xf32=1 1 1 1 -1 -1 -1 -1)
module @convolution {
  func.func @depthwise(%a: tensor<1x4x4x2xf32>, %f: tensor<2x2x2xf32>) -> tensor<1x3x3x2xf32> {
    %s = arith.constant dense<0.0> : tensor<1x3x3x2xf32>
    %r = linalg.depthwise_conv_2d_nhwc_hwc {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%a, %f : tensor<1x4x4x2xf32>, tensor<2x2x2xf32>) outs(%s : tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
    return %r : tensor<1x3x3x2xf32>
  }
  func.func @channels_first(%a: tensor<1x2x3x3xf32>, %f: tensor<1x2x2x2xf32>) -> tensor<1x1x2x2xf32> {
    %s = arith.constant dense<0.5> : tensor<1x1x2x2xf32>
    %r = linalg.conv_2d_nchw_fchw {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%a, %f : tensor<1x2x3x3xf32>, tensor<1x2x2x2xf32>) outs(%s : tensor<1x1x2x2xf32>) -> tensor<1x1x2x2xf32>
    return %r : tensor<1x1x2x2xf32>
  }
}
