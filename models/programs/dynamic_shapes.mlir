// Shapes known only when called: dimensions as results, broadcasts, reshapes, checks between arguments.
//! case dynamic_add: add(3xf32=1 2 3; 3xf32=10 20 30)
//! case dynamic_add_one: add(1xf32=1; 1xf32=10)
//! case dynamic_add_none: add(0xf32; 0xf32)
//! case dynamic_dims: dims(2x0x5xi8)
//! case dynamic_dims_large: dims(7x3x1xi8)
//! case dynamic_outer: outer(2xi32=1 2; 3xi32=10 20 30)
//! case dynamic_flatten: flatten(2x3xi32=1 2 3 4 5 6)
//! case dynamic_rows: sum_rows(3x4xf32=1 2 3 4 5 6 7 8 9 10 11 12)
//! case dynamic_half_static: half_static(2x3xi32=1 2 3 4 5 6)
//! failing case dynamic_half_static_mismatch: half_static(2x4xi32=1 2 3 4 5 6 7 8)
//! error: INVALID_ARGUMENT
#map = affine_map<(d0) -> (d0)>
module @dynamic {
  func.func @add(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
    %r = arith.addf %a, %b : tensor<?xf32>
    return %r : tensor<?xf32>
  }
  func.func @dims(%a: tensor<?x?x?xi8>) -> (index, index, index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %0 = tensor.dim %a, %c0 : tensor<?x?x?xi8>
    %1 = tensor.dim %a, %c1 : tensor<?x?x?xi8>
    %2 = tensor.dim %a, %c2 : tensor<?x?x?xi8>
    return %0, %1, %2 : index, index, index
  }
  func.func @outer(%a: tensor<?xi32>, %b: tensor<?xi32>) -> tensor<?x?xi32> {
    %c0 = arith.constant 0 : index
    %m = tensor.dim %a, %c0 : tensor<?xi32>
    %n = tensor.dim %b, %c0 : tensor<?xi32>
    %e = tensor.empty(%m, %n) : tensor<?x?xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%a, %b : tensor<?xi32>, tensor<?xi32>) outs(%e : tensor<?x?xi32>) {
    ^bb0(%x: i32, %y: i32, %unused: i32):
      %p = arith.muli %x, %y : i32
      linalg.yield %p : i32
    } -> tensor<?x?xi32>
    return %r : tensor<?x?xi32>
  }
  func.func @flatten(%a: tensor<?x?xi32>) -> tensor<?xi32> {
    %r = tensor.collapse_shape %a [[0, 1]] : tensor<?x?xi32> into tensor<?xi32>
    return %r : tensor<?xi32>
  }
  func.func @sum_rows(%a: tensor<?x?xf32>) -> tensor<?xf32> {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %m = tensor.dim %a, %c0 : tensor<?x?xf32>
    %e = tensor.empty(%m) : tensor<?xf32>
    %s = linalg.fill ins(%zero : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    %r = linalg.reduce ins(%a : tensor<?x?xf32>) outs(%s : tensor<?xf32>) dimensions = [1] (%x: f32, %y: f32) {
      %t = arith.addf %x, %y : f32
      linalg.yield %t : f32
    }
    return %r : tensor<?xf32>
  }
  func.func @half_static(%a: tensor<?x3xi32>) -> tensor<?x3xi32> {
    %r = arith.addi %a, %a : tensor<?x3xi32>
    return %r : tensor<?x3xi32>
  }
}
