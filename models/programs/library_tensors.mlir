// Tensors handed from one module to another.
//! case tensors_provider: normalise(4xf32=1 2 3 4)
module @tensors {
  func.func @normalise(%a: tensor<4xf32>) -> tensor<4xf32> {
    %quarter = arith.constant dense<0.25> : tensor<4xf32>
    %r = arith.mulf %a, %quarter : tensor<4xf32>
    return %r : tensor<4xf32>
  }
}
