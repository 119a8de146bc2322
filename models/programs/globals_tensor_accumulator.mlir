// A mutable tensor global: every call adds to it.
//! case accumulate_once: accumulate(4xf32=1 2 3 4)
//! case accumulate_total: total()
//! case accumulate_twice: accumulate_twice(4xf32=1 2 3 4)
module @accumulator {
  util.global private mutable @sum = dense<[10.0, 20.0, 30.0, 40.0]> : tensor<4xf32>
  func.func @accumulate(%a: tensor<4xf32>) -> tensor<4xf32> {
    %old = util.global.load @sum : tensor<4xf32>
    %new = arith.addf %old, %a : tensor<4xf32>
    util.global.store %new, @sum : tensor<4xf32>
    return %new : tensor<4xf32>
  }
  func.func @total() -> tensor<4xf32> {
    %sum = util.global.load @sum : tensor<4xf32>
    return %sum : tensor<4xf32>
  }
  func.func @accumulate_twice(%a: tensor<4xf32>) -> tensor<4xf32> {
    %0 = call @accumulate(%a) : (tensor<4xf32>) -> tensor<4xf32>
    %1 = call @accumulate(%a) : (tensor<4xf32>) -> tensor<4xf32>
    return %1 : tensor<4xf32>
  }
}
