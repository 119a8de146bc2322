// Layout changes of ranks 0 to 5, and how each rank prints.
//! case transpose_matrix: transpose(2x3xi32=1 2 3 4 5 6)
//! case reverse_axes: reverse_axes(2x3x2xi32=1 2 3 4 5 6 7 8 9 10 11 12)
//! case to_rank_zero: to_rank_zero(1x1xi32=42)
//! case to_rank_five: to_rank_five(16xi32=0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
//! case to_rank_four: to_rank_four(12xi32=0 1 2 3 4 5 6 7 8 9 10 11)
module @layout {
  func.func @transpose(%a: tensor<2x3xi32>) -> tensor<3x2xi32> {
    %empty = tensor.empty() : tensor<3x2xi32>
    %result = linalg.transpose ins(%a : tensor<2x3xi32>) outs(%empty : tensor<3x2xi32>) permutation = [1, 0]
    return %result : tensor<3x2xi32>
  }
  func.func @reverse_axes(%a: tensor<2x3x2xi32>) -> tensor<2x3x2xi32> {
    %empty = tensor.empty() : tensor<2x3x2xi32>
    %result = linalg.transpose ins(%a : tensor<2x3x2xi32>) outs(%empty : tensor<2x3x2xi32>) permutation = [2, 1, 0]
    return %result : tensor<2x3x2xi32>
  }
  func.func @to_rank_zero(%a: tensor<1x1xi32>) -> tensor<i32> {
    %result = tensor.collapse_shape %a [] : tensor<1x1xi32> into tensor<i32>
    return %result : tensor<i32>
  }
  func.func @to_rank_five(%a: tensor<16xi32>) -> tensor<1x2x2x2x2xi32> {
    %result = tensor.expand_shape %a [[0, 1, 2, 3, 4]] output_shape [1, 2, 2, 2, 2] : tensor<16xi32> into tensor<1x2x2x2x2xi32>
    return %result : tensor<1x2x2x2x2xi32>
  }
  func.func @to_rank_four(%a: tensor<12xi32>) -> tensor<2x1x3x2xi32> {
    %result = tensor.expand_shape %a [[0, 1, 2, 3]] output_shape [2, 1, 3, 2] : tensor<12xi32> into tensor<2x1x3x2xi32>
    return %result : tensor<2x1x3x2xi32>
  }
}
