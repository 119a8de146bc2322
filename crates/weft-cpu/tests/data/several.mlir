func.func @two(%a: tensor<6x5x4xf32>) -> (tensor<6x5x4xf32>, tensor<6x5x4xf32>) {
  %n = arith.negf %a : tensor<6x5x4xf32>
  %0 = util.optimization_barrier %n : tensor<6x5x4xf32>
  %d = arith.addf %a, %a : tensor<6x5x4xf32>
  %1 = util.optimization_barrier %d : tensor<6x5x4xf32>
  return %0, %1 : tensor<6x5x4xf32>, tensor<6x5x4xf32>
}
func.func @local(%a: tensor<64x64xf32>, %b: tensor<64x64xf32>) -> tensor<64xf32> {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%c0 : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %m = linalg.matmul ins(%a, %b : tensor<64x64xf32>, tensor<64x64xf32>) outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  %e1 = tensor.empty() : tensor<64xf32>
  %f1 = linalg.fill ins(%c0 : f32) outs(%e1 : tensor<64xf32>) -> tensor<64xf32>
  %r = linalg.reduce ins(%m : tensor<64x64xf32>) outs(%f1 : tensor<64xf32>) dimensions = [1] (%in: f32, %init: f32) { %s = arith.addf %in, %init : f32
   linalg.yield %s : f32 }
  return %r : tensor<64xf32>
}
func.func @rem(%a: tensor<16xf32>, %b: tensor<16xf32>) -> tensor<16xf32> {
  %0 = arith.remf %a, %b : tensor<16xf32>
  return %0 : tensor<16xf32>
}
