// Matrix product with a bias, sizes fixed.
//! case matmul_2x3x4: matmul(2x3xf32=1 2 3 4 5 6; 3x4xf32=1 0 0 1 0 1 0 1 0 0 1 1)
//! case matmul_splats: matmul(2x3xf32=0.5; 3x4xf32=-2)
module @matmul {
  func.func @matmul(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) -> tensor<2x4xf32> {
    %bias = arith.constant dense<[[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 12.0, 13.0]]> : tensor<2x4xf32>
    %result = linalg.matmul ins(%a, %b : tensor<2x3xf32>, tensor<3x4xf32>) outs(%bias : tensor<2x4xf32>) -> tensor<2x4xf32>
    return %result : tensor<2x4xf32>
  }
}
