// P4: a matrix product of 512x512x512, 64 workgroups.
//! run flags: --output_max_element_count=8
//! case p4: p4(512x512xf32=1; 512x512xf32=2)
module @p4 {
  func.func @p4(%a: tensor<512x512xf32>, %b: tensor<512x512xf32>) -> tensor<512x512xf32> {
    %zero = arith.constant dense<0.0> : tensor<512x512xf32>
    %r = linalg.matmul ins(%a, %b : tensor<512x512xf32>, tensor<512x512xf32>) outs(%zero : tensor<512x512xf32>) -> tensor<512x512xf32>
    return %r : tensor<512x512xf32>
  }
}
