// Operations with kernels of their own: Fourier transform, the largest k, an exclusive scan, a triangular mask, a cumulative product.
//! tolerance: 1e-5 1e-5
//! case special_top_k: top_k(1x6xf32=3 9 1 8 2 7)
//! case special_scan_exclusive: scan_exclusive(2x3xf32=1 2 3 4 5 6)
//! case special_triangle: triangle(3x3xi32=1 2 3 4 5 6 7 8 9)
//! case special_one_hot: one_hot(3xi32=2 0 3)
module @special {
  func.func @top_k(%a: tensor<1x6xf32>) -> (tensor<1x3xf32>, tensor<1x3xi32>) {
    %lowest = arith.constant dense<0xFF800000> : tensor<1x3xf32>
    %none = arith.constant dense<0> : tensor<1x3xi32>
    %r:2 = iree_linalg_ext.topk dimension(1) ins(%a : tensor<1x6xf32>) outs(%lowest, %none : tensor<1x3xf32>, tensor<1x3xi32>) {
    ^bb0(%x: f32, %y: f32):
      %more = arith.cmpf ogt, %x, %y : f32
      iree_linalg_ext.yield %more : i1
    } -> tensor<1x3xf32>, tensor<1x3xi32>
    return %r#0, %r#1 : tensor<1x3xf32>, tensor<1x3xi32>
  }
  func.func @scan_exclusive(%a: tensor<2x3xf32>) -> tensor<2x3xf32> {
    %e = tensor.empty() : tensor<2x3xf32>
    %one = arith.constant dense<1.0> : tensor<2xf32>
    %r:2 = iree_linalg_ext.scan dimension(1) inclusive(false) ins(%a : tensor<2x3xf32>) outs(%e, %one : tensor<2x3xf32>, tensor<2xf32>) {
    ^bb0(%x: f32, %y: f32):
      %p = arith.mulf %x, %y : f32
      iree_linalg_ext.yield %p : f32
    } -> tensor<2x3xf32>, tensor<2xf32>
    return %r#0 : tensor<2x3xf32>
  }
  func.func @triangle(%a: tensor<3x3xi32>) -> tensor<3x3xi32> {
    %e = tensor.empty() : tensor<3x3xi32>
    %zero = arith.constant 0 : i32
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<3x3xi32>) outs(%e : tensor<3x3xi32>) {
    ^bb0(%x: i32, %unused: i32):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %keep = arith.cmpi ule, %j, %i : index
      %v = arith.select %keep, %x, %zero : i32
      linalg.yield %v : i32
    } -> tensor<3x3xi32>
    return %r : tensor<3x3xi32>
  }
  func.func @one_hot(%a: tensor<3xi32>) -> tensor<3x4xi1> {
    %e = tensor.empty() : tensor<3x4xi1>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<3xi32>) outs(%e : tensor<3x4xi1>) {
    ^bb0(%x: i32, %unused: i1):
      %j = linalg.index 1 : index
      %j32 = arith.index_cast %j : index to i32
      %v = arith.cmpi eq, %x, %j32 : i32
      linalg.yield %v : i1
    } -> tensor<3x4xi1>
    return %r : tensor<3x4xi1>
  }
}
