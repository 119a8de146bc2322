// Independent work in one call, scheduled for as much concurrency as possible: several streams of commands, joined fences.
//! flags: --iree-stream-partitioning-favor=max-concurrency
//! case concurrent_four: four(8xf32=1 2 3 4 5 6 7 8)
module @concurrent {
  func.func @four(%a: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<2x4xf32>) {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %0 = arith.addf %a, %a : tensor<8xf32>
    %1 = arith.mulf %a, %a : tensor<8xf32>
    %2 = linalg.reduce ins(%1 : tensor<8xf32>) outs(%zero : tensor<f32>) dimensions = [0] (%x: f32, %y: f32) {
      %t = arith.addf %x, %y : f32
      linalg.yield %t : f32
    }
    %3 = tensor.expand_shape %0 [[0, 1]] output_shape [2, 4] : tensor<8xf32> into tensor<2x4xf32>
    %4 = arith.mulf %3, %3 : tensor<2x4xf32>
    return %0, %1, %2, %4 : tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<2x4xf32>
  }
}
