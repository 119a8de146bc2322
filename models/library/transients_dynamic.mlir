// As transients.mlir, with scratch storage whose size depends on an argument.
module @tr {
  func.func @f(%a: tensor<?x64xf32>, %b: tensor<64x64xf32>, %t: !hal.buffer {iree.abi.transients}) -> tensor<?x64xf32> {
    %c0 = arith.constant 0.0 : f32
    %i = arith.constant 0 : index
    %n = tensor.dim %a, %i : tensor<?x64xf32>
    %e = tensor.empty(%n) : tensor<?x64xf32>
    %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<?x64xf32>) -> tensor<?x64xf32>
    %m = linalg.matmul ins(%a, %b : tensor<?x64xf32>, tensor<64x64xf32>) outs(%z : tensor<?x64xf32>) -> tensor<?x64xf32>
    %m2 = linalg.matmul ins(%m, %b : tensor<?x64xf32>, tensor<64x64xf32>) outs(%z : tensor<?x64xf32>) -> tensor<?x64xf32>
    return %m2 : tensor<?x64xf32>
  }
}
