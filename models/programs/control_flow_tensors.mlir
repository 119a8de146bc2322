// Branches on the host between different kernels: if, for, switch, early exit.
//! case branch_positive: branch(3xf32=1 2 3; 1)
//! case branch_negative: branch(3xf32=1 2 3; 0)
//! case repeat_none: repeat(3xf32=1 2 3; 0)
//! case repeat_ten: repeat(3xf32=1 2 3; 10)
//! case choose_first: choose(2xi32=6 3; 0)
//! case choose_second: choose(2xi32=6 3; 1)
//! case choose_third: choose(2xi32=6 3; 2)
//! case choose_other: choose(2xi32=6 3; 77)
//! case branch_on_data_true: on_data(3xi32=1 2 300)
//! case branch_on_data_false: on_data(3xi32=1 2 3)
module @control {
  func.func @branch(%a: tensor<3xf32>, %flag: i1) -> tensor<3xf32> {
    %r = scf.if %flag -> tensor<3xf32> {
      %0 = arith.addf %a, %a : tensor<3xf32>
      scf.yield %0 : tensor<3xf32>
    } else {
      %0 = arith.negf %a : tensor<3xf32>
      scf.yield %0 : tensor<3xf32>
    }
    return %r : tensor<3xf32>
  }
  func.func @repeat(%a: tensor<3xf32>, %n: index) -> tensor<3xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %a) -> tensor<3xf32> {
      %0 = arith.addf %x, %a : tensor<3xf32>
      scf.yield %0 : tensor<3xf32>
    }
    return %r : tensor<3xf32>
  }
  func.func @choose(%a: tensor<2xi32>, %which: i32) -> tensor<2xi32> {
    %two = arith.constant dense<2> : tensor<2xi32>
    cf.switch %which : i32, [
      default: ^other,
      0: ^add,
      1: ^multiply,
      2: ^divide
    ]
  ^add:
    %0 = arith.addi %a, %two : tensor<2xi32>
    return %0 : tensor<2xi32>
  ^multiply:
    %1 = arith.muli %a, %two : tensor<2xi32>
    return %1 : tensor<2xi32>
  ^divide:
    %2 = arith.divsi %a, %two : tensor<2xi32>
    return %2 : tensor<2xi32>
  ^other:
    return %a : tensor<2xi32>
  }
  func.func @on_data(%a: tensor<3xi32>) -> tensor<3xi32> {
    %c2 = arith.constant 2 : index
    %hundred = arith.constant 100 : i32
    %last = tensor.extract %a[%c2] : tensor<3xi32>
    %big = arith.cmpi sgt, %last, %hundred : i32
    %r = scf.if %big -> tensor<3xi32> {
      %0 = arith.subi %a, %a : tensor<3xi32>
      scf.yield %0 : tensor<3xi32>
    } else {
      %0 = arith.muli %a, %a : tensor<3xi32>
      scf.yield %0 : tensor<3xi32>
    }
    return %r : tensor<3xi32>
  }
}
