// Two kernels for the dispatch tests: `add` (three bindings, no constants) and `dyn` (two bindings; the element count in
// two constants). Compiled like models/programs; see models/README.md.
module @disp {
  func.func @add(%a: tensor<4xi32>, %b: tensor<4xi32>) -> tensor<4xi32> {
    %0 = arith.addi %a, %b : tensor<4xi32>
    return %0 : tensor<4xi32>
  }
  func.func @dyn(%a: tensor<?xi32>) -> tensor<?xi32> {
    %0 = arith.addi %a, %a : tensor<?xi32>
    return %0 : tensor<?xi32>
  }
}
