// Globals computed before the first call: scalars from scalars, tensors by kernels, one after another.
//! case initialised_scalar: scalar()
//! case initialised_tensor: tensor()
//! failing case initialised_missing_function: missing()
//! error: NOT_FOUND
module @initialisers {
  util.global private @base : i32
  util.global private @derived : i32
  util.global private @table : tensor<6xi32>
  util.initializer {
    %c6 = arith.constant 6 : i32
    util.global.store %c6, @base : i32
    util.return
  }
  util.initializer {
    %base = util.global.load @base : i32
    %c7 = arith.constant 7 : i32
    %r = arith.muli %base, %c7 : i32
    util.global.store %r, @derived : i32
    util.return
  }
  util.initializer {
    %e = tensor.empty() : tensor<6xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<6xi32>) {
    ^bb0(%unused: i32):
      %i = linalg.index 0 : index
      %v = arith.index_cast %i : index to i32
      %w = arith.muli %v, %v : i32
      linalg.yield %w : i32
    } -> tensor<6xi32>
    util.global.store %r, @table : tensor<6xi32>
    util.return
  }
  func.func @scalar() -> (i32, i32) {
    %base = util.global.load @base : i32
    %derived = util.global.load @derived : i32
    return %base, %derived : i32, i32
  }
  func.func @tensor() -> tensor<6xi32> {
    %r = util.global.load @table : tensor<6xi32>
    return %r : tensor<6xi32>
  }
}
