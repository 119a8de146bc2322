// The same for callers that enqueue.
//! flags: --iree-execution-model=async-external
//! case benchmarks_async_doubled: doubled()
module @benchmarks_async {
  func.func @doubled() -> tensor<4xf32> {
    %one = util.unfoldable_constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
    %sum = arith.addf %one, %one : tensor<4xf32>
    return %sum : tensor<4xf32>
  }
}
