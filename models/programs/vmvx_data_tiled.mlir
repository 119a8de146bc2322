// Matrix products as bytecode: operands are packed into tiles, multiplied tile by tile, and unpacked again.
//! flags: --iree-hal-target-device=local --iree-hal-local-target-device-backends=vmvx --iree-vmvx-enable-microkernels
//! flags: --iree-dispatch-creation-data-tiling
//! case vmvx_data_tiled_small: small(2x3xf32=1 2 3 4 5 6; 3x4xf32=1 0 2 0 0 1 0 2 1 1 1 1)
//! case vmvx_data_tiled_odd: odd(17x19xf32=0.5; 19x37xf32=2)
//! case vmvx_data_tiled_any: any(3x5xf32=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; 5x2xf32=1 -1 2 -2 3 -3 4 -4 5 -5)
//! case vmvx_data_tiled_any_wide: any(33x2xf32=3; 2x20xf32=0.25)
//! case vmvx_data_tiled_bytes: bytes(3x4xi8=1 -2 3 -4 127 -128 0 1 5 6 7 8; 4x2xi8=1 2 -3 4 127 -128 9 -1)
//! case vmvx_data_tiled_onto: onto(2x2xf32=1 2 3 4; 2x2xf32=1 0 0 1; 2x2xf32=100 200 300 400)
module @vmvx_data_tiled {
  func.func @small(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) -> tensor<2x4xf32> {
    %zero = arith.constant dense<0.0> : tensor<2x4xf32>
    %r = linalg.matmul ins(%a, %b : tensor<2x3xf32>, tensor<3x4xf32>) outs(%zero : tensor<2x4xf32>) -> tensor<2x4xf32>
    return %r : tensor<2x4xf32>
  }
  func.func @odd(%a: tensor<17x19xf32>, %b: tensor<19x37xf32>) -> tensor<17x37xf32> {
    %zero = arith.constant dense<0.0> : tensor<17x37xf32>
    %r = linalg.matmul ins(%a, %b : tensor<17x19xf32>, tensor<19x37xf32>) outs(%zero : tensor<17x37xf32>) -> tensor<17x37xf32>
    return %r : tensor<17x37xf32>
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
  func.func @bytes(%a: tensor<3x4xi8>, %b: tensor<4x2xi8>) -> tensor<3x2xi32> {
    %zero = arith.constant dense<0> : tensor<3x2xi32>
    %r = linalg.matmul ins(%a, %b : tensor<3x4xi8>, tensor<4x2xi8>) outs(%zero : tensor<3x2xi32>) -> tensor<3x2xi32>
    return %r : tensor<3x2xi32>
  }
  func.func @onto(%a: tensor<2x2xf32>, %b: tensor<2x2xf32>, %c: tensor<2x2xf32>) -> tensor<2x2xf32> {
    %r = linalg.matmul ins(%a, %b : tensor<2x2xf32>, tensor<2x2xf32>) outs(%c : tensor<2x2xf32>) -> tensor<2x2xf32>
    return %r : tensor<2x2xf32>
  }
}
