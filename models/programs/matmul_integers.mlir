// i8 by i8 into i32, the quantised product.
//! case matmul_i8: matmul(2x4xi8=1 -2 3 -4 127 127 127 127; 4x2xi8=1 -128 1 127 1 0 1 2)
module @matmul {
  func.func @matmul(%a: tensor<2x4xi8>, %b: tensor<4x2xi8>) -> tensor<2x2xi32> {
    %zero = arith.constant dense<0> : tensor<2x2xi32>
    %result = linalg.matmul ins(%a, %b : tensor<2x4xi8>, tensor<4x2xi8>) outs(%zero : tensor<2x2xi32>) -> tensor<2x2xi32>
    return %result : tensor<2x2xi32>
  }
}
