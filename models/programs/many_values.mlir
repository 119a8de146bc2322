// Twelve tensors in, nine out: long lists of bindings and results.
//! case many_inputs: sum(i32=1; i32=2; i32=3; i32=4; i32=5; i32=6; i32=7; i32=8; i32=9; i32=10; i32=11; i32=12)
//! case many_outputs: spread(2xi32=1 2)
module @many {
  func.func @sum(%a: tensor<i32>, %b: tensor<i32>, %c: tensor<i32>, %d: tensor<i32>, %e: tensor<i32>, %f: tensor<i32>,
                 %g: tensor<i32>, %h: tensor<i32>, %i: tensor<i32>, %j: tensor<i32>, %k: tensor<i32>, %l: tensor<i32>) -> tensor<i32> {
    %0 = arith.addi %a, %b : tensor<i32>
    %1 = arith.addi %0, %c : tensor<i32>
    %2 = arith.addi %1, %d : tensor<i32>
    %3 = arith.addi %2, %e : tensor<i32>
    %4 = arith.addi %3, %f : tensor<i32>
    %5 = arith.addi %4, %g : tensor<i32>
    %6 = arith.addi %5, %h : tensor<i32>
    %7 = arith.addi %6, %i : tensor<i32>
    %8 = arith.addi %7, %j : tensor<i32>
    %9 = arith.addi %8, %k : tensor<i32>
    %10 = arith.addi %9, %l : tensor<i32>
    return %10 : tensor<i32>
  }
  func.func @spread(%a: tensor<2xi32>) -> (tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>) {
    %b = arith.addi %a, %a : tensor<2xi32>
    %c = arith.addi %b, %a : tensor<2xi32>
    %d = arith.addi %c, %a : tensor<2xi32>
    %e = arith.addi %d, %a : tensor<2xi32>
    %f = arith.addi %e, %a : tensor<2xi32>
    %g = arith.addi %f, %a : tensor<2xi32>
    %h = arith.addi %g, %a : tensor<2xi32>
    %i = arith.addi %h, %a : tensor<2xi32>
    return %a, %b, %c, %d, %e, %f, %g, %h, %i : tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>, tensor<2xi32>
  }
}
