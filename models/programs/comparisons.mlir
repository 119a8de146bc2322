// Comparisons give booleans, which print as bytes; selection by booleans.
//! case compare_floats: floats(4xf32=1 2 nan -0; 4xf32=2 1 1 0)
//! case compare_integers: integers(3xi32=-1 5 7; 3xi32=1 5 -7)
//! case select_elements: choose(4xi1=01 00 01 00; 4xi32=1 2 3 4; 4xi32=-1 -2 -3 -4)
//! case any_and_all: any_and_all(4xi1=01 00 01 00)
module @comparisons {
  func.func @floats(%a: tensor<4xf32>, %b: tensor<4xf32>) -> (tensor<4xi1>, tensor<4xi1>, tensor<4xi1>) {
    %lt = arith.cmpf olt, %a, %b : tensor<4xf32>
    %eq = arith.cmpf oeq, %a, %b : tensor<4xf32>
    %un = arith.cmpf uno, %a, %b : tensor<4xf32>
    return %lt, %eq, %un : tensor<4xi1>, tensor<4xi1>, tensor<4xi1>
  }
  func.func @integers(%a: tensor<3xi32>, %b: tensor<3xi32>) -> (tensor<3xi1>, tensor<3xi1>) {
    %slt = arith.cmpi slt, %a, %b : tensor<3xi32>
    %ult = arith.cmpi ult, %a, %b : tensor<3xi32>
    return %slt, %ult : tensor<3xi1>, tensor<3xi1>
  }
  func.func @choose(%c: tensor<4xi1>, %a: tensor<4xi32>, %b: tensor<4xi32>) -> tensor<4xi32> {
    %r = arith.select %c, %a, %b : tensor<4xi1>, tensor<4xi32>
    return %r : tensor<4xi32>
  }
  func.func @any_and_all(%a: tensor<4xi1>) -> (tensor<i1>, tensor<i1>) {
    %no = arith.constant dense<false> : tensor<i1>
    %yes = arith.constant dense<true> : tensor<i1>
    %any = linalg.reduce ins(%a : tensor<4xi1>) outs(%no : tensor<i1>) dimensions = [0] (%x: i1, %y: i1) {
      %o = arith.ori %x, %y : i1
      linalg.yield %o : i1
    }
    %all = linalg.reduce ins(%a : tensor<4xi1>) outs(%yes : tensor<i1>) dimensions = [0] (%x: i1, %y: i1) {
      %o = arith.andi %x, %y : i1
      linalg.yield %o : i1
    }
    return %any, %all : tensor<i1>, tensor<i1>
  }
}
