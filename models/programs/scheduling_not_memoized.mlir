// Command buffers recorded at every call with direct bindings instead of once with a table.
//! flags: --iree-hal-memoization=false --iree-hal-indirect-command-buffers=false
//! case not_memoized: run(4xf32=1 2 3 4)
//! case not_memoized_loop: loop(4xf32=1 2 3 4; 3)
module @not_memoized {
  func.func @run(%a: tensor<4xf32>) -> (tensor<4xf32>, tensor<f32>) {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %b = arith.mulf %a, %a : tensor<4xf32>
    %s = linalg.reduce ins(%b : tensor<4xf32>) outs(%zero : tensor<f32>) dimensions = [0] (%x: f32, %y: f32) {
      %t = arith.addf %x, %y : f32
      linalg.yield %t : f32
    }
    return %b, %s : tensor<4xf32>, tensor<f32>
  }
  func.func @loop(%a: tensor<4xf32>, %n: index) -> tensor<4xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %a) -> tensor<4xf32> {
      %0 = arith.addf %x, %a : tensor<4xf32>
      scf.yield %0 : tensor<4xf32>
    }
    return %r : tensor<4xf32>
  }
}
