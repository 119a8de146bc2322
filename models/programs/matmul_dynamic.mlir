// Matrix product of any size: shapes are checked and computed on the host.
//! case matmul_dynamic_square: matmul(2x2xf32=1 2 3 4; 2x2xf32=5 6 7 8)
//! case matmul_dynamic_row: matmul(1x5xf32=1 2 3 4 5; 5x3xf32=1)
//! case matmul_dynamic_large: matmul(33x17xf32=1; 17x29xf32=2)
//! case matmul_dynamic_empty: matmul(0x4xf32; 4x2xf32=1)
//! failing case matmul_dynamic_rank: matmul(4xf32=1; 4x2xf32=1)
//! error: INVALID_ARGUMENT
module @matmul {
  func.func @matmul(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>) -> tensor<?x?xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %rows = tensor.dim %a, %c0 : tensor<?x?xf32>
    %columns = tensor.dim %b, %c1 : tensor<?x?xf32>
    %empty = tensor.empty(%rows, %columns) : tensor<?x?xf32>
    %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x?xf32>) -> tensor<?x?xf32>
    %result = linalg.matmul ins(%a, %b : tensor<?x?xf32>, tensor<?x?xf32>) outs(%start : tensor<?x?xf32>) -> tensor<?x?xf32>
    return %result : tensor<?x?xf32>
  }
}
