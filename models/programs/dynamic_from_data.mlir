// A result whose size is decided by the data: counted in a kernel, read back, allocated, filled.
//! case positive_some: positive(6xi32=5 -1 0 7 -3 2)
//! case positive_none: positive(6xi32=-5 -1 0 -7 -3 -2)
//! case iota_data: iota(4)
module @data {
  func.func @positive(%a: tensor<6xi32>) -> tensor<?xi32> {
    %c0 = arith.constant 0 : index
    %zero = arith.constant dense<0> : tensor<i32>
    %count = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%a : tensor<6xi32>) outs(%zero : tensor<i32>) {
    ^bb0(%x: i32, %n: i32):
      %z = arith.constant 0 : i32
      %p = arith.cmpi sgt, %x, %z : i32
      %one = arith.extui %p : i1 to i32
      %s = arith.addi %n, %one : i32
      linalg.yield %s : i32
    } -> tensor<i32>
    %n32 = tensor.extract %count[] : tensor<i32>
    %n = arith.index_cast %n32 : i32 to index
    %r = func.call @iota(%n) : (index) -> tensor<?xi32>
    return %r : tensor<?xi32>
  }
  func.func @iota(%n: index) -> tensor<?xi32> {
    %e = tensor.empty(%n) : tensor<?xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<?xi32>) {
    ^bb0(%unused: i32):
      %i = linalg.index 0 : index
      %v = arith.index_cast %i : index to i32
      linalg.yield %v : i32
    } -> tensor<?xi32>
    return %r : tensor<?xi32>
  }
}
