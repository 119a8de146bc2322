// Arguments and results that are not tensors, alone and mixed with tensors.
//! flags: --iree-input-demote-f64-to-f32=false --iree-vm-target-extension-f64
//! case scalar_kinds: kinds(-5; 6000000000; 1.5; 2.5)
//! case scalar_kinds_extreme: kinds(2147483647; -9223372036854775808; inf; 1e300)
//! case scalar_narrow: narrow(200; 40000; 1)
//! case scalar_scale: scale(3xf32=1 2 3; 0.5)
//! case scalar_index: index(4)
//! failing case scalar_unparsable: kinds(abc; 1; 1; 1)
//! error: INVALID_ARGUMENT
module @scalars {
  func.func @kinds(%a: i32, %b: i64, %c: f32, %d: f64) -> (i32, i64, f32, f64) {
    %0 = arith.addi %a, %a : i32
    %1 = arith.addi %b, %b : i64
    %2 = arith.addf %c, %c : f32
    %3 = arith.addf %d, %d : f64
    return %0, %1, %2, %3 : i32, i64, f32, f64
  }
  func.func @narrow(%a: i8, %b: i16, %c: i1) -> (i8, i16, i1) {
    %one8 = arith.constant 1 : i8
    %one16 = arith.constant 1 : i16
    %true = arith.constant true
    %0 = arith.addi %a, %one8 : i8
    %1 = arith.addi %b, %one16 : i16
    %2 = arith.xori %c, %true : i1
    return %0, %1, %2 : i8, i16, i1
  }
  func.func @scale(%a: tensor<3xf32>, %by: f32) -> tensor<3xf32> {
    %e = tensor.empty() : tensor<3xf32>
    %s = linalg.fill ins(%by : f32) outs(%e : tensor<3xf32>) -> tensor<3xf32>
    %r = arith.mulf %a, %s : tensor<3xf32>
    return %r : tensor<3xf32>
  }
  func.func @index(%a: index) -> index {
    %r = arith.muli %a, %a : index
    return %r : index
  }
}
