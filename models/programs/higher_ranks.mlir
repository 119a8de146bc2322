// Ranks 5 and 6, with extents of one, and a reduction over the outermost and innermost of them.
//! case rank_six: rank_six(1x2x1x2x1x2xi32=1 2 3 4 5 6 7 8)
//! case rank_five_sum: rank_five_sum(2x1x2x1x2xi32=1 2 3 4 5 6 7 8)
//! case rank_five_dynamic: rank_five_dynamic(1x2x1x2x2xf32=1 2 3 4 5 6 7 8)
module @ranks {
  func.func @rank_six(%a: tensor<1x2x1x2x1x2xi32>) -> tensor<1x2x1x2x1x2xi32> {
    %r = arith.muli %a, %a : tensor<1x2x1x2x1x2xi32>
    return %r : tensor<1x2x1x2x1x2xi32>
  }
  func.func @rank_five_sum(%a: tensor<2x1x2x1x2xi32>) -> tensor<1x2x1xi32> {
    %zero = arith.constant dense<0> : tensor<1x2x1xi32>
    %r = linalg.reduce ins(%a : tensor<2x1x2x1x2xi32>) outs(%zero : tensor<1x2x1xi32>) dimensions = [0, 4] (%x: i32, %y: i32) {
      %s = arith.addi %x, %y : i32
      linalg.yield %s : i32
    }
    return %r : tensor<1x2x1xi32>
  }
  func.func @rank_five_dynamic(%a: tensor<?x?x?x?x?xf32>) -> tensor<?x?x?x?x?xf32> {
    %r = arith.addf %a, %a : tensor<?x?x?x?x?xf32>
    return %r : tensor<?x?x?x?x?xf32>
  }
}
