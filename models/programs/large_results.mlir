// Results of many elements, computed by many workgroups; the text stops after 1024 elements.
//! case large_table: table()
//! case large_row: row()
//! case large_matmul_sum: matmul_sum()
//! run flags: --output_max_element_count=13
//! case large_table_short: table()
//! run flags: none
//! case large_three_dimensional: cube()
module @large {
  func.func @table() -> tensor<40x40xi32> {
    %e = tensor.empty() : tensor<40x40xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} outs(%e : tensor<40x40xi32>) {
    ^bb0(%unused: i32):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %p = arith.muli %i, %j : index
      %v = arith.index_cast %p : index to i32
      linalg.yield %v : i32
    } -> tensor<40x40xi32>
    return %r : tensor<40x40xi32>
  }
  func.func @row() -> tensor<65536xi32> {
    %e = tensor.empty() : tensor<65536xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<65536xi32>) {
    ^bb0(%unused: i32):
      %i = linalg.index 0 : index
      %v = arith.index_cast %i : index to i32
      %w = arith.muli %v, %v : i32
      linalg.yield %w : i32
    } -> tensor<65536xi32>
    return %r : tensor<65536xi32>
  }
  func.func @matmul_sum() -> tensor<i64> {
    %e = tensor.empty() : tensor<150x130xi64>
    %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} outs(%e : tensor<150x130xi64>) {
    ^bb0(%unused: i64):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %p = arith.addi %i, %j : index
      %v = arith.index_cast %p : index to i64
      linalg.yield %v : i64
    } -> tensor<150x130xi64>
    %f = tensor.empty() : tensor<130x70xi64>
    %b = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} outs(%f : tensor<130x70xi64>) {
    ^bb0(%unused: i64):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %p = arith.subi %i, %j : index
      %v = arith.index_cast %p : index to i64
      linalg.yield %v : i64
    } -> tensor<130x70xi64>
    %s = arith.constant dense<0> : tensor<150x70xi64>
    %m = linalg.matmul ins(%a, %b : tensor<150x130xi64>, tensor<130x70xi64>) outs(%s : tensor<150x70xi64>) -> tensor<150x70xi64>
    %z = arith.constant dense<0> : tensor<i64>
    %r = linalg.reduce ins(%m : tensor<150x70xi64>) outs(%z : tensor<i64>) dimensions = [0, 1] (%x: i64, %y: i64) {
      %t = arith.addi %x, %y : i64
      linalg.yield %t : i64
    }
    return %r : tensor<i64>
  }
  func.func @cube() -> tensor<3x20x20xi16> {
    %e = tensor.empty() : tensor<3x20x20xi16>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} outs(%e : tensor<3x20x20xi16>) {
    ^bb0(%unused: i16):
      %i = linalg.index 0 : index
      %j = linalg.index 2 : index
      %p = arith.addi %i, %j : index
      %v = arith.index_cast %p : index to i16
      linalg.yield %v : i16
    } -> tensor<3x20x20xi16>
    return %r : tensor<3x20x20xi16>
  }
}
