// Sorting, running sums, the largest element's index.
//! case sort_ascending: sort(8xi32=5 3 8 -1 0 9 3 2)
//! case sort_sorted: sort(8xi32=1 2 3 4 5 6 7 8)
//! case scan_inclusive: running_sum(6xi32=1 2 3 4 5 6)
//! case argmax_rows: argmax(2x4xf32=1 9 3 9 -5 -4 -3 -9)
//! case argmax_nan: argmax(2x4xf32=1 nan 3 2 0 0 0 0)
module @order {
  func.func @sort(%a: tensor<8xi32>) -> tensor<8xi32> {
    %r = iree_linalg_ext.sort dimension(0) outs(%a : tensor<8xi32>) {
    ^bb0(%x: i32, %y: i32):
      %less = arith.cmpi slt, %x, %y : i32
      iree_linalg_ext.yield %less : i1
    } -> tensor<8xi32>
    return %r : tensor<8xi32>
  }
  func.func @running_sum(%a: tensor<6xi32>) -> (tensor<6xi32>, tensor<i32>) {
    %e = tensor.empty() : tensor<6xi32>
    %zero = arith.constant dense<0> : tensor<i32>
    %r:2 = iree_linalg_ext.scan dimension(0) inclusive(true) ins(%a : tensor<6xi32>) outs(%e, %zero : tensor<6xi32>, tensor<i32>) {
    ^bb0(%x: i32, %y: i32):
      %s = arith.addi %x, %y : i32
      iree_linalg_ext.yield %s : i32
    } -> tensor<6xi32>, tensor<i32>
    return %r#0, %r#1 : tensor<6xi32>, tensor<i32>
  }
  func.func @argmax(%a: tensor<2x4xf32>) -> (tensor<2xi32>, tensor<2xf32>) {
    %lowest = arith.constant dense<0xFF800000> : tensor<2xf32>
    %none = arith.constant dense<-1> : tensor<2xi32>
    %r:2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%a : tensor<2x4xf32>) outs(%lowest, %none : tensor<2xf32>, tensor<2xi32>) {
    ^bb0(%x: f32, %best: f32, %index: i32):
      %i = linalg.index 1 : index
      %i32 = arith.index_cast %i : index to i32
      %better = arith.cmpf ogt, %x, %best : f32
      %v = arith.select %better, %x, %best : f32
      %w = arith.select %better, %i32, %index : i32
      linalg.yield %v, %w : f32, i32
    } -> (tensor<2xf32>, tensor<2xi32>)
    return %r#1, %r#0 : tensor<2xi32>, tensor<2xf32>
  }
}
