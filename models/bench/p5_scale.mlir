// P5: 16 Mi floats times a constant: 64 MiB in, 64 MiB out, 4096 workgroups. Bandwidth, and what fresh memory costs.
//! run flags: --output_max_element_count=8
//! case p5: p5(16777216xf32=1)
module @p5 {
  func.func @p5(%a: tensor<16777216xf32>) -> tensor<16777216xf32> {
    %factor = arith.constant dense<3.0> : tensor<16777216xf32>
    %r = arith.mulf %a, %factor : tensor<16777216xf32>
    return %r : tensor<16777216xf32>
  }
}
