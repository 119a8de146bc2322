// Trace points: the values go to the debug sink (stderr), the results are unchanged.
//! case traced_twice: run(3xi32=1 2 3)
module @traced {
  func.func @run(%a: tensor<3xi32>) -> tensor<3xi32> {
    %b = arith.addi %a, %a : tensor<3xi32>
    flow.tensor.trace "input" = [%a : tensor<3xi32>]
    flow.tensor.trace "both" = [%a : tensor<3xi32>, %b : tensor<3xi32>]
    %c = arith.muli %b, %a : tensor<3xi32>
    return %c : tensor<3xi32>
  }
}
