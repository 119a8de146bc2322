// Indices from data: gathering rows, scattering with unique indices, a histogram.
//! case gather_rows: gather(4x2xf32=0 1 10 11 20 21 30 31; 3xi32=3 0 3)
//! case scatter_updates: scatter(5xi32=1 1 1 1 1; 2xi32=4 0; 2xi32=40 50)
//! case histogram: histogram(8xi32=0 1 1 3 3 3 2 0)
module @indexed {
  func.func @gather(%table: tensor<4x2xf32>, %indices: tensor<3xi32>) -> tensor<3x2xf32> {
    %e = tensor.empty() : tensor<3x2xf32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%indices : tensor<3xi32>) outs(%e : tensor<3x2xf32>) {
    ^bb0(%index: i32, %unused: f32):
      %row = arith.index_cast %index : i32 to index
      %column = linalg.index 1 : index
      %v = tensor.extract %table[%row, %column] : tensor<4x2xf32>
      linalg.yield %v : f32
    } -> tensor<3x2xf32>
    return %r : tensor<3x2xf32>
  }
  func.func @scatter(%target: tensor<5xi32>, %where: tensor<2xi32>, %updates: tensor<2xi32>) -> tensor<5xi32> {
    %indices = tensor.expand_shape %where [[0, 1]] output_shape [2, 1] : tensor<2xi32> into tensor<2x1xi32>
    %r = iree_linalg_ext.scatter dimension_map = [0] unique_indices(true)
      ins(%updates, %indices : tensor<2xi32>, tensor<2x1xi32>) outs(%target : tensor<5xi32>) {
    ^bb0(%update: i32, %old: i32):
      iree_linalg_ext.yield %update : i32
    } -> tensor<5xi32>
    return %r : tensor<5xi32>
  }
  func.func @histogram(%data: tensor<8xi32>) -> tensor<4xi32> {
    %zero = arith.constant dense<0> : tensor<4xi32>
    %c1 = arith.constant 1 : i32
    %c0 = arith.constant 0 : i32
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%data : tensor<8xi32>) outs(%zero : tensor<4xi32>) {
    ^bb0(%value: i32, %count: i32):
      %bin = linalg.index 0 : index
      %bin32 = arith.index_cast %bin : index to i32
      %hit = arith.cmpi eq, %value, %bin32 : i32
      %one = arith.select %hit, %c1, %c0 : i32
      %sum = arith.addi %count, %one : i32
      linalg.yield %sum : i32
    } -> tensor<4xi32>
    return %r : tensor<4xi32>
  }
}
