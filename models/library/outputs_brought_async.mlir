// `outputs_brought`, for callers that do not wait. The compiler refuses functions that give tensors and numbers here.
//! flags: --iree-execution-model=async-external
module @outputs_brought_async {
  func.func @two(%a: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xi32>) {
    %0 = arith.addf %a, %a : tensor<4xf32>
    %1 = arith.fptosi %a : tensor<4xf32> to tensor<4xi32>
    return %0, %1 : tensor<4xf32>, tensor<4xi32>
  }
  func.func @counting(%n: index) -> tensor<?xi32> {
    %e = tensor.empty(%n) : tensor<?xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<?xi32>) {
    ^bb0(%unused: i32):
      %i = linalg.index 0 : index
      %v = arith.index_cast %i : index to i32
      linalg.yield %v : i32
    } -> tensor<?xi32>
    return %r : tensor<?xi32>
  }
  func.func @stored(%a: tensor<4xf32>, %out: tensor<4xf32> {iree.abi.output = 1 : index}, %b: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %0 = arith.addf %a, %b : tensor<4xf32>
    %1 = arith.mulf %a, %b : tensor<4xf32>
    return %0, %1 : tensor<4xf32>, tensor<4xf32>
  }
  func.func @plain(%out: !hal.buffer {iree.abi.output = 0 : index}, %a: tensor<4xf32>) -> tensor<4xf32> {
    %r = arith.addf %a, %a : tensor<4xf32>
    return %r : tensor<4xf32>
  }
  func.func @same(%a: tensor<2xi32>, %b: tensor<2xi32>) -> (tensor<2xi32>, tensor<2xi32>) {
    return %a, %b : tensor<2xi32>, tensor<2xi32>
  }
}
