// The smallest tensor program: one dispatch on four elements; and a few more of the kind.
//! case abs_four: abs(4xf32=-1 2 -3.5 0)
//! case abs_splat: abs(4xf32=-7)
//! case abs_zeroed: abs(4xf32)
//! case multiply_four: multiply(4xf32=1 2 3 4; 4xf32=10 20 30 40)
//! case special_values: multiply(4xf32=inf nan -inf 1e30; 4xf32=2 1 0 1e30)
//! failing case multiply_wrong_shape: multiply(4xf32=1 2 3 4; 5xf32=1)
//! error: INVALID_ARGUMENT
//! failing case multiply_wrong_type: multiply(4xf32=1 2 3 4; 4xi32=1)
//! error: INVALID_ARGUMENT
//! failing case multiply_missing_input: multiply(4xf32=1 2 3 4)
//! error: INVALID_ARGUMENT
//! failing case multiply_extra_input: multiply(4xf32=1; 4xf32=1; 4xf32=1)
//! error: INVALID_ARGUMENT
//! failing case multiply_no_such_function: divide(4xf32=1; 4xf32=1)
//! error: NOT_FOUND
module @elementwise {
  func.func @abs(%input: tensor<4xf32>) -> tensor<4xf32> {
    %result = math.absf %input : tensor<4xf32>
    return %result : tensor<4xf32>
  }
  func.func @multiply(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
    %result = arith.mulf %a, %b : tensor<4xf32>
    return %result : tensor<4xf32>
  }
}
