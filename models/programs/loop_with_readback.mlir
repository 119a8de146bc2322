// A loop on the host whose end is decided by what a dispatch computed.
//! case readback_halve: halve_until_small(4xf32=1 2 3 400)
//! case readback_already_small: halve_until_small(4xf32=0.1 0.2 0.3 0.4)
module @readback {
  func.func @halve_until_small(%a: tensor<4xf32>) -> (tensor<4xf32>, i32) {
    %half = arith.constant dense<0.5> : tensor<4xf32>
    %one = arith.constant 1.0 : f32
    %zero_steps = arith.constant 0 : i32
    %one_step = arith.constant 1 : i32
    %lowest = arith.constant dense<0.0> : tensor<f32>
    %result:2 = scf.while (%value = %a, %steps = %zero_steps) : (tensor<4xf32>, i32) -> (tensor<4xf32>, i32) {
      %max = linalg.reduce ins(%value : tensor<4xf32>) outs(%lowest : tensor<f32>) dimensions = [0] (%x: f32, %y: f32) {
        %m = arith.maximumf %x, %y : f32
        linalg.yield %m : f32
      }
      %largest = tensor.extract %max[] : tensor<f32>
      %more = arith.cmpf ogt, %largest, %one : f32
      scf.condition(%more) %value, %steps : tensor<4xf32>, i32
    } do {
    ^bb0(%value: tensor<4xf32>, %steps: i32):
      %next = arith.mulf %value, %half : tensor<4xf32>
      %count = arith.addi %steps, %one_step : i32
      scf.yield %next, %count : tensor<4xf32>, i32
    }
    return %result#0, %result#1 : tensor<4xf32>, i32
  }
}
