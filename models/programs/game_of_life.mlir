// Generations of a 6x6 board: neighbours with wrap-around, a loop on the host over kernels.
//! case life_glider: run(6x6xi8=0 1 0 0 0 0 0 0 1 0 0 0 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0; 4)
//! case life_blinker: run(6x6xi8=0 0 0 0 0 0 0 0 1 0 0 0 0 0 1 0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0; 1)
//! case life_untouched: run(6x6xi8=1; 0)
module @life {
  func.func @run(%board: tensor<6x6xi8>, %generations: index) -> tensor<6x6xi8> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %r = scf.for %i = %c0 to %generations step %c1 iter_args(%b = %board) -> tensor<6x6xi8> {
      %next = func.call @generation(%b) : (tensor<6x6xi8>) -> tensor<6x6xi8>
      scf.yield %next : tensor<6x6xi8>
    }
    return %r : tensor<6x6xi8>
  }
  func.func private @generation(%b: tensor<6x6xi8>) -> tensor<6x6xi8> {
    %zero = arith.constant dense<0> : tensor<6x6xi8>
    %window = tensor.empty() : tensor<3x3xi8>
    %sums = linalg.generic {indexing_maps = [affine_map<(y, x, dy, dx) -> (dy, dx)>, affine_map<(y, x, dy, dx) -> (y, x)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
      ins(%window : tensor<3x3xi8>) outs(%zero : tensor<6x6xi8>) {
    ^bb0(%unused: i8, %acc: i8):
      %c5 = arith.constant 5 : index
      %c6 = arith.constant 6 : index
      %y = linalg.index 0 : index
      %x = linalg.index 1 : index
      %dy = linalg.index 2 : index
      %dx = linalg.index 3 : index
      %y0 = arith.addi %y, %dy : index
      %y1 = arith.addi %y0, %c5 : index
      %y2 = arith.remui %y1, %c6 : index
      %x0 = arith.addi %x, %dx : index
      %x1 = arith.addi %x0, %c5 : index
      %x2 = arith.remui %x1, %c6 : index
      %v = tensor.extract %b[%y2, %x2] : tensor<6x6xi8>
      %s = arith.addi %acc, %v : i8
      linalg.yield %s : i8
    } -> tensor<6x6xi8>
    %e = tensor.empty() : tensor<6x6xi8>
    %r = linalg.generic {indexing_maps = [affine_map<(y, x) -> (y, x)>, affine_map<(y, x) -> (y, x)>, affine_map<(y, x) -> (y, x)>], iterator_types = ["parallel", "parallel"]}
      ins(%b, %sums : tensor<6x6xi8>, tensor<6x6xi8>) outs(%e : tensor<6x6xi8>) {
    ^bb0(%self: i8, %around: i8, %unused: i8):
      %c3 = arith.constant 3 : i8
      %neighbours = arith.subi %around, %self : i8
      %three = arith.cmpi eq, %neighbours, %c3 : i8
      %stay = arith.ori %neighbours, %self : i8
      %alive = arith.cmpi eq, %stay, %c3 : i8
      %live = arith.ori %three, %alive : i1
      %v = arith.extui %live : i1 to i8
      linalg.yield %v : i8
    } -> tensor<6x6xi8>
    return %r : tensor<6x6xi8>
  }
}
