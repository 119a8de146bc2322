// Tensor code: imports with spans, yieldable calls, executables as external constants, several exports.
#id = affine_map<(d0) -> (d0)>

func.func @matmul(%a: tensor<4x?xf32>, %b: tensor<?x4xf32>) -> tensor<4x4xf32> {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = linalg.matmul ins(%a, %b : tensor<4x?xf32>, tensor<?x4xf32>) outs(%f : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %r : tensor<4x4xf32>
}

func.func @shift(%x: tensor<8xi32>) -> (tensor<8xi32>, i32) {
  %table = arith.constant dense<[1, 2, 3, 4, 5, 6, 7, 8]> : tensor<8xi32>
  %e = tensor.empty() : tensor<8xi32>
  %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
    ins(%x, %table : tensor<8xi32>, tensor<8xi32>) outs(%e : tensor<8xi32>) {
    ^bb0(%a: i32, %b: i32, %out: i32):
      %s = arith.addi %a, %b : i32
      linalg.yield %s : i32
    } -> tensor<8xi32>
  %c3 = arith.constant 3 : index
  %third = tensor.extract %sum[%c3] : tensor<8xi32>
  return %sum, %third : tensor<8xi32>, i32
}
