// Host indices of 32 bits.
//! flags: --iree-vm-target-index-bits=32
//! case index32_dims: dims(3x4xf32)
//! case index32_fill: iota(5)
module @index32 {
  func.func @dims(%a: tensor<?x?xf32>) -> index {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %0 = tensor.dim %a, %c0 : tensor<?x?xf32>
    %1 = tensor.dim %a, %c1 : tensor<?x?xf32>
    %2 = arith.muli %0, %1 : index
    return %2 : index
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
