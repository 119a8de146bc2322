// 3x3 convolution with padding and stride.
//! case convolution_ones: convolve(1x5x5x1xf32=1; 3x3x1x2xf32=1)
//! case convolution_edges: convolve(1x5x5x1xf32=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; 3x3x1x2xf32=0 1 0 0 0 -1 1 1 0 0 -1 -1 0 1 0 0 0 -1)
module @convolution {
  func.func @convolve(%image: tensor<1x5x5x1xf32>, %filter: tensor<3x3x1x2xf32>) -> tensor<1x3x3x2xf32> {
    %zero = arith.constant 0.0 : f32
    %padded = tensor.pad %image low[0, 1, 1, 0] high[0, 1, 1, 0] {
    ^bb0(%n: index, %y: index, %x: index, %c: index):
      tensor.yield %zero : f32
    } : tensor<1x5x5x1xf32> to tensor<1x7x7x1xf32>
    %start = arith.constant dense<0.0> : tensor<1x3x3x2xf32>
    %result = linalg.conv_2d_nhwc_hwcf {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
      ins(%padded, %filter : tensor<1x7x7x1xf32>, tensor<3x3x1x2xf32>) outs(%start : tensor<1x3x3x2xf32>) -> tensor<1x3x3x2xf32>
    return %result : tensor<1x3x3x2xf32>
  }
}
