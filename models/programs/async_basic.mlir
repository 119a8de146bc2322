// Exports that take a wait and a signal fence.
//! flags: --iree-execution-model=async-external
//! case async_add: add(4xf32=1 2 3 4; 4xf32=10 20 30 40)
//! case async_two_steps: two_steps(4xf32=1 2 3 4)
//! case async_scalar: scalar(20)
//! case async_identity: identity(2xi32=1 2)
//! case async_constant: constant()
//! case async_nothing: nothing()
//! case async_loop: loop(3xi32=1 2 3; 5)
//! case async_several: several(3xi32=1 2 3)
module @async {
  func.func @add(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
    %r = arith.addf %a, %b : tensor<4xf32>
    return %r : tensor<4xf32>
  }
  func.func @two_steps(%a: tensor<4xf32>) -> tensor<f32> {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %b = arith.mulf %a, %a : tensor<4xf32>
    %r = linalg.reduce ins(%b : tensor<4xf32>) outs(%zero : tensor<f32>) dimensions = [0] (%x: f32, %y: f32) {
      %s = arith.addf %x, %y : f32
      linalg.yield %s : f32
    }
    return %r : tensor<f32>
  }
  func.func @scalar(%a: i32) -> i32 {
    %r = arith.addi %a, %a : i32
    return %r : i32
  }
  func.func @identity(%a: tensor<2xi32>) -> tensor<2xi32> {
    return %a : tensor<2xi32>
  }
  func.func @constant() -> tensor<3xi16> {
    %r = arith.constant dense<[1, 2, 3]> : tensor<3xi16>
    return %r : tensor<3xi16>
  }
  func.func @nothing() {
    return
  }
  func.func @loop(%a: tensor<3xi32>, %n: index) -> tensor<3xi32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %a) -> tensor<3xi32> {
      %0 = arith.addi %x, %a : tensor<3xi32>
      scf.yield %0 : tensor<3xi32>
    }
    return %r : tensor<3xi32>
  }
  func.func @several(%a: tensor<3xi32>) -> (tensor<3xi32>, tensor<3xi32>) {
    %0 = arith.addi %a, %a : tensor<3xi32>
    %1 = arith.muli %a, %a : tensor<3xi32>
    return %0, %1 : tensor<3xi32>, tensor<3xi32>
  }
}
