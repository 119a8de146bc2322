// Inputs from files: npy of every kind, several arrays in one file, raw bytes.
//! case npy_f32: f32(@data/matrix_f32.npy)
//! case npy_i32: i32(@data/vector_i32.npy)
//! case npy_i32_next: two_i32(@data/vectors_i32.npy; +data/vectors_i32.npy)
//! case npy_i32_all: two_i32(*data/vectors_i32.npy)
//! case npy_rewound: two_i32(@data/vectors_i32.npy; @data/vectors_i32.npy)
//! case npy_bool: boolean(@data/bool.npy)
//! case npy_u8: u8(@data/u8.npy)
//! case npy_f16: f16(@data/f16.npy)
//! case npy_complex: complex(@data/complex64.npy)
//! case npy_scalar: rank_zero(@data/scalar_i32.npy)
//! case raw_f32: f32(2x2xf32=@data/four_f32.bin)
//! case raw_i32_parts: two_i32(2xi32=@data/four_i32.bin; 2xi32=+data/four_i32.bin)
//! failing case raw_short: f32(2x2xf32=@data/short.bin)
//! error: OUT_OF_RANGE
//! failing case npy_missing: f32(@data/none.npy)
//! error: data/none.npy
//! failing case npy_exhausted: two_i32(@data/vector_i32.npy; +data/vector_i32.npy)
//! error: OUT_OF_RANGE
//! failing case npy_fortran: f32(@data/fortran.npy)
//! error: UNIMPLEMENTED
//! failing case npy_big_endian: f32(@data/big_endian.npy)
//! error: UNIMPLEMENTED
module @files {
  func.func @f32(%a: tensor<2x2xf32>) -> tensor<2x2xf32> {
    %r = arith.addf %a, %a : tensor<2x2xf32>
    return %r : tensor<2x2xf32>
  }
  func.func @i32(%a: tensor<2xi32>) -> tensor<2xi32> {
    %r = arith.addi %a, %a : tensor<2xi32>
    return %r : tensor<2xi32>
  }
  func.func @two_i32(%a: tensor<2xi32>, %b: tensor<2xi32>) -> tensor<2xi32> {
    %r = arith.subi %a, %b : tensor<2xi32>
    return %r : tensor<2xi32>
  }
  func.func @boolean(%a: tensor<3xi1>) -> tensor<3xi1> {
    return %a : tensor<3xi1>
  }
  func.func @u8(%a: tensor<2x2xui8>) -> tensor<2x2xui8> {
    return %a : tensor<2x2xui8>
  }
  func.func @f16(%a: tensor<3xf16>) -> tensor<3xf16> {
    return %a : tensor<3xf16>
  }
  func.func @complex(%a: tensor<2xcomplex<f32>>) -> tensor<2xcomplex<f32>> {
    return %a : tensor<2xcomplex<f32>>
  }
  func.func @rank_zero(%a: tensor<i32>) -> tensor<i32> {
    %r = arith.addi %a, %a : tensor<i32>
    return %r : tensor<i32>
  }
}
