// Results that are filled with a value from an argument: patterns of 1, 2, 4 and 8 bytes, lengths fixed and dynamic.
//! flags: --iree-input-demote-f64-to-f32=false
//! case fill_i8: fill_i8(-3; 5)
//! case fill_i16: fill_i16(-300; 4)
//! case fill_i32: fill_i32(70000; 3)
//! case fill_i64: fill_i64(-5000000000; 3)
//! case fill_f32: fill_f32(0.1; 2)
//! case fill_none: fill_i32(1; 0)
//! case fill_many: fill_i8(1; 2000)
//! run flags: --output_max_element_count=5
//! case fill_elided: fill_i32(8; 9)
//! run flags: --output_max_element_count=0
//! case fill_elided_wholly: fill_i32(8; 9)
module @fills {
  func.func @fill_i8(%value: i32, %n: index) -> tensor<?xi8> {
    %v = arith.trunci %value : i32 to i8
    %e = tensor.empty(%n) : tensor<?xi8>
    %r = linalg.fill ins(%v : i8) outs(%e : tensor<?xi8>) -> tensor<?xi8>
    return %r : tensor<?xi8>
  }
  func.func @fill_i16(%value: i32, %n: index) -> tensor<?xi16> {
    %v = arith.trunci %value : i32 to i16
    %e = tensor.empty(%n) : tensor<?xi16>
    %r = linalg.fill ins(%v : i16) outs(%e : tensor<?xi16>) -> tensor<?xi16>
    return %r : tensor<?xi16>
  }
  func.func @fill_i32(%value: i32, %n: index) -> tensor<?xi32> {
    %e = tensor.empty(%n) : tensor<?xi32>
    %r = linalg.fill ins(%value : i32) outs(%e : tensor<?xi32>) -> tensor<?xi32>
    return %r : tensor<?xi32>
  }
  func.func @fill_i64(%value: i64, %n: index) -> tensor<?xi64> {
    %e = tensor.empty(%n) : tensor<?xi64>
    %r = linalg.fill ins(%value : i64) outs(%e : tensor<?xi64>) -> tensor<?xi64>
    return %r : tensor<?xi64>
  }
  func.func @fill_f32(%value: f32, %n: index) -> tensor<?xf32> {
    %e = tensor.empty(%n) : tensor<?xf32>
    %r = linalg.fill ins(%value : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    return %r : tensor<?xf32>
  }
}
