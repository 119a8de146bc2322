// Kernels as bytecode that leaves the work to the functions of the native module `vmvx`.
//! flags: --iree-hal-target-device=local --iree-hal-local-target-device-backends=vmvx --iree-vmvx-enable-microkernels
//! case vmvx_microkernels_floats: floats(2x3xf32=1 -2.5 3 4 0.5 -6; 2x3xf32=2 4 -8 0.5 1 3)
//! case vmvx_microkernels_broadcast: broadcast(2x3xf32=1 2 3 4 5 6; 3xf32=10 20 30)
//! case vmvx_microkernels_integers: integers(4xi32=7 -7 2147483647 0; 4xi32=3 2 5 -1)
//! failing case vmvx_microkernels_transposed: transposed(2x3xf32=1 2 3 4 5 6)
//! error: OUT_OF_RANGE
//! case vmvx_microkernels_rows: rows(130x5xf32=1.5; 130x5xf32=0.25)
//! case vmvx_microkernels_fill: fill(3x7xf32=1)
//! case vmvx_microkernels_any: any(3x5xf32=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; 5x2xf32=1 -1 2 -2 3 -3 4 -4 5 -5)
//! tolerance: 1e-6 1e-6
//! case vmvx_microkernels_functions: functions(6xf32=0.25 1 2 4.5 9 0.001)
module @vmvx_microkernels {
  func.func @floats(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = arith.addf %a, %b : tensor<2x3xf32>
    %1 = arith.subf %a, %b : tensor<2x3xf32>
    %2 = arith.mulf %a, %b : tensor<2x3xf32>
    %3 = arith.divf %a, %b : tensor<2x3xf32>
    return %0, %1, %2, %3 : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>
  }
  func.func @broadcast(%a: tensor<2x3xf32>, %b: tensor<3xf32>) -> tensor<2x3xf32> {
    %empty = tensor.empty() : tensor<2x3xf32>
    %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
        ins(%a, %b : tensor<2x3xf32>, tensor<3xf32>) outs(%empty : tensor<2x3xf32>) {
    ^bb0(%x: f32, %y: f32, %unused: f32):
      %s = arith.addf %x, %y : f32
      linalg.yield %s : f32
    } -> tensor<2x3xf32>
    return %r : tensor<2x3xf32>
  }
  func.func @integers(%a: tensor<4xi32>, %b: tensor<4xi32>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xi32>, tensor<4xi32>, tensor<4xi32>, tensor<4xi32>) {
    %0 = arith.addi %a, %b : tensor<4xi32>
    %1 = arith.subi %a, %b : tensor<4xi32>
    %2 = arith.muli %a, %b : tensor<4xi32>
    %3 = arith.andi %a, %b : tensor<4xi32>
    %4 = arith.ori %a, %b : tensor<4xi32>
    %5 = arith.xori %a, %b : tensor<4xi32>
    return %0, %1, %2, %3, %4, %5 : tensor<4xi32>, tensor<4xi32>, tensor<4xi32>, tensor<4xi32>, tensor<4xi32>, tensor<4xi32>
  }
  // The compiler mixes up the strides of this copy, so that it would read behind its operand.
  func.func @transposed(%a: tensor<2x3xf32>) -> tensor<3x2xf32> {
    %empty = tensor.empty() : tensor<3x2xf32>
    %t = linalg.transpose ins(%a : tensor<2x3xf32>) outs(%empty : tensor<3x2xf32>) permutation = [1, 0]
    return %t : tensor<3x2xf32>
  }
  func.func @rows(%a: tensor<?x5xf32>, %b: tensor<?x5xf32>) -> tensor<?x5xf32> {
    %r = arith.mulf %a, %b : tensor<?x5xf32>
    return %r : tensor<?x5xf32>
  }
  func.func @fill(%a: tensor<3x7xf32>) -> tensor<3xf32> {
    %zero = arith.constant 0.0 : f32
    %empty = tensor.empty() : tensor<3xf32>
    %filled = linalg.fill ins(%zero : f32) outs(%empty : tensor<3xf32>) -> tensor<3xf32>
    %r = linalg.reduce ins(%a : tensor<3x7xf32>) outs(%filled : tensor<3xf32>) dimensions = [1]
        (%x: f32, %sum: f32) {
          %s = arith.addf %x, %sum : f32
          linalg.yield %s : f32
        }
    return %r : tensor<3xf32>
  }
  func.func @functions(%a: tensor<6xf32>) -> (tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) {
    %0 = math.exp %a : tensor<6xf32>
    %1 = math.log %a : tensor<6xf32>
    %2 = math.rsqrt %a : tensor<6xf32>
    %3 = math.floor %a : tensor<6xf32>
    %4 = math.ceil %a : tensor<6xf32>
    %n = arith.negf %a : tensor<6xf32>
    %5 = math.absf %n : tensor<6xf32>
    return %0, %1, %2, %3, %4, %5 : tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>
  }
  func.func @any(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>) -> tensor<?x?xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %m = tensor.dim %a, %c0 : tensor<?x?xf32>
    %n = tensor.dim %b, %c1 : tensor<?x?xf32>
    %empty = tensor.empty(%m, %n) : tensor<?x?xf32>
    %filled = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x?xf32>) -> tensor<?x?xf32>
    %r = linalg.matmul ins(%a, %b : tensor<?x?xf32>, tensor<?x?xf32>) outs(%filled : tensor<?x?xf32>) -> tensor<?x?xf32>
    return %r : tensor<?x?xf32>
  }
}
