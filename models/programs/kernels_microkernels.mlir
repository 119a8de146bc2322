// Matrix products through the compiler's microkernels, which look at the processor data they are given.
//! flags: --iree-llvmcpu-enable-ukernels=all --iree-opt-data-tiling
//! case microkernel_f32: f32(3x5xf32=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; 5x2xf32=1 0 0 1 1 1 -1 2 3 -3)
//! case microkernel_i8: i8(3x5xi8=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; 5x2xi8=1 0 0 1 1 1 -1 2 3 -3)
module @microkernels {
  func.func @f32(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>) -> tensor<?x?xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %m = tensor.dim %a, %c0 : tensor<?x?xf32>
    %n = tensor.dim %b, %c1 : tensor<?x?xf32>
    %e = tensor.empty(%m, %n) : tensor<?x?xf32>
    %s = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?xf32>) -> tensor<?x?xf32>
    %r = linalg.matmul ins(%a, %b : tensor<?x?xf32>, tensor<?x?xf32>) outs(%s : tensor<?x?xf32>) -> tensor<?x?xf32>
    return %r : tensor<?x?xf32>
  }
  func.func @i8(%a: tensor<?x?xi8>, %b: tensor<?x?xi8>) -> tensor<?x?xi32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0 : i32
    %m = tensor.dim %a, %c0 : tensor<?x?xi8>
    %n = tensor.dim %b, %c1 : tensor<?x?xi8>
    %e = tensor.empty(%m, %n) : tensor<?x?xi32>
    %s = linalg.fill ins(%zero : i32) outs(%e : tensor<?x?xi32>) -> tensor<?x?xi32>
    %r = linalg.matmul ins(%a, %b : tensor<?x?xi8>, tensor<?x?xi8>) outs(%s : tensor<?x?xi32>) -> tensor<?x?xi32>
    return %r : tensor<?x?xi32>
  }
}
