// A batch of products.
//! case matmul_batch_two: matmul(2x2x3xf32=1 2 3 4 5 6 -1 -2 -3 -4 -5 -6; 2x3x2xf32=1 2 3 4 5 6 6 5 4 3 2 1)
module @matmul {
  func.func @matmul(%a: tensor<2x2x3xf32>, %b: tensor<2x3x2xf32>) -> tensor<2x2x2xf32> {
    %zero = arith.constant dense<0.0> : tensor<2x2x2xf32>
    %result = linalg.batch_matmul ins(%a, %b : tensor<2x2x3xf32>, tensor<2x3x2xf32>) outs(%zero : tensor<2x2x2xf32>) -> tensor<2x2x2xf32>
    return %result : tensor<2x2x2xf32>
  }
}
