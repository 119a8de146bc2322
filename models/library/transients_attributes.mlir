// Scratch storage whose argument bears another attribute, which is printed first.
module @tr {
  func.func @f(%a: tensor<64x64xf32>, %b: tensor<64x64xf32>, %t: !hal.buffer {aaa.first = 1 : i32, iree.abi.transients}) -> tensor<64x64xf32> {
    %c0 = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64x64xf32>
    %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
    %m = linalg.matmul ins(%a, %b : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
    %m2 = linalg.matmul ins(%m, %b : tensor<64x64xf32>, tensor<64x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
    return %m2 : tensor<64x64xf32>
  }
}
