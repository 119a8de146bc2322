// Softmax over the last dimension, any number of rows.
//! tolerance: 1e-6 1e-5
//! case softmax_two_rows: softmax(2x4xf32=1 2 3 4 -1 -1 -1 -1)
//! case softmax_large_values: softmax(1x4xf32=1000 1001 999 -1000)
//! case softmax_no_rows: softmax(0x4xf32)
module @softmax {
  func.func @softmax(%a: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %c0 = arith.constant 0 : index
    %rows = tensor.dim %a, %c0 : tensor<?x4xf32>
    %empty = tensor.empty(%rows) : tensor<?x4xf32>
    %result = linalg.softmax dimension(1) ins(%a : tensor<?x4xf32>) outs(%empty : tensor<?x4xf32>) -> tensor<?x4xf32>
    return %result : tensor<?x4xf32>
  }
}
