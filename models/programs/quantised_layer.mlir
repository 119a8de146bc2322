// An 8-bit layer: integer product, rescaling in f32, clamping back to i8.
//! case quantised_small: layer(1x4xi8=10 -20 30 -40)
//! case quantised_saturates: layer(1x4xi8=127 127 127 127)
module @quantised {
  func.func @layer(%a: tensor<1x4xi8>) -> (tensor<1x3xi8>, tensor<1x3xi32>) {
    %w = arith.constant dense<[[1, 2, 3], [4, 5, 6], [-7, 8, 9], [10, -11, 12]]> : tensor<4x3xi8>
    %zero = arith.constant dense<0> : tensor<1x3xi32>
    %sum = linalg.matmul ins(%a, %w : tensor<1x4xi8>, tensor<4x3xi8>) outs(%zero : tensor<1x3xi32>) -> tensor<1x3xi32>
    %e = tensor.empty() : tensor<1x3xi8>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%sum : tensor<1x3xi32>) outs(%e : tensor<1x3xi8>) {
    ^bb0(%x: i32, %unused: i8):
      %scale = arith.constant 0.125 : f32
      %low = arith.constant -128.0 : f32
      %high = arith.constant 127.0 : f32
      %f = arith.sitofp %x : i32 to f32
      %s = arith.mulf %f, %scale : f32
      %n = math.roundeven %s : f32
      %c = arith.maximumf %n, %low : f32
      %d = arith.minimumf %c, %high : f32
      %i = arith.fptosi %d : f32 to i8
      linalg.yield %i : i8
    } -> tensor<1x3xi8>
    return %r, %sum : tensor<1x3xi8>, tensor<1x3xi32>
  }
}
