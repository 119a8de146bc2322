// A one-dimensional convolution written as a generic contraction, in integers.
//! case convolution_1d: smooth(8xi32=0 0 0 9 0 0 3 0)
#window = affine_map<(d0, d1) -> (d0 + d1)>
#weight = affine_map<(d0, d1) -> (d1)>
#out = affine_map<(d0, d1) -> (d0)>
module @convolution {
  func.func @smooth(%a: tensor<8xi32>) -> tensor<6xi32> {
    %w = arith.constant dense<[1, 2, 1]> : tensor<3xi32>
    %s = arith.constant dense<0> : tensor<6xi32>
    %r = linalg.generic {indexing_maps = [#window, #weight, #out], iterator_types = ["parallel", "reduction"]}
      ins(%a, %w : tensor<8xi32>, tensor<3xi32>) outs(%s : tensor<6xi32>) {
    ^bb0(%x: i32, %y: i32, %acc: i32):
      %p = arith.muli %x, %y : i32
      %t = arith.addi %acc, %p : i32
      linalg.yield %t : i32
    } -> tensor<6xi32>
    return %r : tensor<6xi32>
  }
}
