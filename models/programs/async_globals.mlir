// State behind fences.
//! flags: --iree-execution-model=async-external
//! case async_accumulate: accumulate(3xf32=1 2 3)
//! case async_total: total()
module @async {
  util.global private mutable @sum = dense<0.5> : tensor<3xf32>
  func.func @accumulate(%a: tensor<3xf32>) -> tensor<3xf32> {
    %old = util.global.load @sum : tensor<3xf32>
    %new = arith.addf %old, %a : tensor<3xf32>
    util.global.store %new, @sum : tensor<3xf32>
    return %new : tensor<3xf32>
  }
  func.func @total() -> tensor<3xf32> {
    %sum = util.global.load @sum : tensor<3xf32>
    return %sum : tensor<3xf32>
  }
}
