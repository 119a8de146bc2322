// P1: one dispatch of one workgroup over four floats.
//! case p1: p1(4xf32=-1)
module @p1 {
  func.func @p1(%a: tensor<4xf32>) -> tensor<4xf32> {
    %r = math.absf %a : tensor<4xf32>
    return %r : tensor<4xf32>
  }
}
