// Expectations that hold: every kind of expectation, the element types each supports.
//! passes: true_and_false
//! passes: all_true_widths
//! passes: all_true_floats
//! passes: all_true_rank_three
//! passes: equal_constants
//! passes: equal_element_types
//! passes: equal_empty
//! passes: equal_not_a_number
//! passes: almost_equal_f32
//! passes: almost_equal_f64
//! passes: almost_equal_f16
//! passes: almost_equal_bf16
//! passes: almost_equal_float8
//! passes: almost_equal_infinities
//! passes: almost_equal_relative
//! passes: computed_sum
//! passes: computed_dynamic
//! flags: --iree-input-demote-f64-to-f32=false
module @passing {
  func.func @true_and_false() {
    %one = arith.constant 1 : i32
    %minus = arith.constant -7 : i32
    %zero = arith.constant 0 : i32
    check.expect_true(%one) : i32
    check.expect_true(%minus) : i32
    check.expect_false(%zero) : i32
    return
  }
  func.func @all_true_widths() {
    %a = util.unfoldable_constant dense<[1, -1, 127]> : tensor<3xi8>
    %b = util.unfoldable_constant dense<[1, -1, 256]> : tensor<3xi16>
    %c = util.unfoldable_constant dense<[1, -1, 65536]> : tensor<3xi32>
    %d = util.unfoldable_constant dense<[1, -1, 4294967296]> : tensor<3xi64>
    check.expect_all_true(%a) : tensor<3xi8>
    check.expect_all_true(%b) : tensor<3xi16>
    check.expect_all_true(%c) : tensor<3xi32>
    check.expect_all_true(%d) : tensor<3xi64>
    return
  }
  func.func @all_true_floats() {
    %first = arith.constant 0 : index
    %a = util.unfoldable_constant dense<[1.0, -0.5, 0x7FC00000]> : tensor<3xf32>
    %b = util.unfoldable_constant dense<[1.0, -0.5, 1.0e-300]> : tensor<3xf64>
    %device = hal.devices.get %first : !hal.device
    %va = hal.tensor.export %a : tensor<3xf32> -> !hal.buffer_view
    %vb = hal.tensor.export %b : tensor<3xf64> -> !hal.buffer_view
    check.expect_all_true<%device>(%va) : !hal.buffer_view
    check.expect_all_true<%device>(%vb) : !hal.buffer_view
    return
  }
  func.func @all_true_rank_three() {
    %a = util.unfoldable_constant dense<[[[1, 2], [3, 4]]]> : tensor<1x2x2xi32>
    check.expect_all_true(%a) : tensor<1x2x2xi32>
    return
  }
  func.func @equal_constants() {
    %a = util.unfoldable_constant dense<[1, 2, 3]> : tensor<3xi32>
    check.expect_eq_const(%a, dense<[1, 2, 3]> : tensor<3xi32>) : tensor<3xi32>
    return
  }
  func.func @equal_element_types() {
    %a = util.unfoldable_constant dense<[true, false]> : tensor<2xi1>
    check.expect_eq_const(%a, dense<[true, false]> : tensor<2xi1>) : tensor<2xi1>
    %b = util.unfoldable_constant dense<[1, -2]> : tensor<2xi8>
    check.expect_eq_const(%b, dense<[1, -2]> : tensor<2xi8>) : tensor<2xi8>
    %c = util.unfoldable_constant dense<[1.5, -2.0]> : tensor<2xf16>
    check.expect_eq_const(%c, dense<[1.5, -2.0]> : tensor<2xf16>) : tensor<2xf16>
    %d = util.unfoldable_constant dense<[1.5, -2.0]> : tensor<2xf64>
    check.expect_eq_const(%d, dense<[1.5, -2.0]> : tensor<2xf64>) : tensor<2xf64>
    return
  }
  func.func @equal_empty() {
    %a = util.unfoldable_constant dense<> : tensor<0x3xi32>
    check.expect_eq_const(%a, dense<> : tensor<0x3xi32>) : tensor<0x3xi32>
    return
  }
  func.func @equal_not_a_number() {
    %a = util.unfoldable_constant dense<[0x7FC00000, 1.0]> : tensor<2xf32>
    check.expect_eq(%a, %a) : tensor<2xf32>
    return
  }
  func.func @almost_equal_f32() {
    %a = util.unfoldable_constant dense<[1.0, 2.0, 0x7FC00000]> : tensor<3xf32>
    check.expect_almost_eq_const(%a, dense<[1.00005, 2.0, 0x7FC00000]> : tensor<3xf32>) : tensor<3xf32>
    return
  }
  func.func @almost_equal_f64() {
    %a = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xf64>
    check.expect_almost_eq_const(%a, dense<[1.00005, 2.0]> : tensor<2xf64>) : tensor<2xf64>
    return
  }
  func.func @almost_equal_f16() {
    %a = util.unfoldable_constant dense<[1.0, 10000.0]> : tensor<2xf16>
    check.expect_almost_eq_const(%a, dense<[1.0, 10008.0]> : tensor<2xf16>, atol 10.0) : tensor<2xf16>
    return
  }
  func.func @almost_equal_bf16() {
    %a = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xbf16>
    check.expect_almost_eq_const(%a, dense<[1.0078125, 2.0]> : tensor<2xbf16>, atol 1.0e-2) : tensor<2xbf16>
    return
  }
  func.func @almost_equal_float8() {
    %a = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xf8E5M2>
    check.expect_almost_eq_const(%a, dense<[1.25, 2.0]> : tensor<2xf8E5M2>, atol 0.3) : tensor<2xf8E5M2>
    %b = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xf8E4M3FN>
    check.expect_almost_eq_const(%b, dense<[1.125, 2.0]> : tensor<2xf8E4M3FN>, atol 0.3) : tensor<2xf8E4M3FN>
    %c = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xf8E5M2FNUZ>
    check.expect_almost_eq_const(%c, dense<[1.25, 2.0]> : tensor<2xf8E5M2FNUZ>, atol 0.3) : tensor<2xf8E5M2FNUZ>
    %d = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xf8E4M3FNUZ>
    check.expect_almost_eq_const(%d, dense<[1.125, 2.0]> : tensor<2xf8E4M3FNUZ>, atol 0.3) : tensor<2xf8E4M3FNUZ>
    return
  }
  func.func @almost_equal_infinities() {
    %a = util.unfoldable_constant dense<[0x7F800000, 0xFF800000]> : tensor<2xf32>
    check.expect_almost_eq_const(%a, dense<[0x7F800000, 0xFF800000]> : tensor<2xf32>) : tensor<2xf32>
    return
  }
  func.func @almost_equal_relative() {
    %a = util.unfoldable_constant dense<[1000.0, 1.0e6]> : tensor<2xf32>
    check.expect_almost_eq_const(%a, dense<[1001.0, 1.001e6]> : tensor<2xf32>, atol 0.0, rtol 2.0e-3) : tensor<2xf32>
    return
  }
  func.func @computed_sum() {
    %a = util.unfoldable_constant dense<[1, 2, 3, 4]> : tensor<4xi32>
    %zero = arith.constant dense<0> : tensor<i32>
    %sum = linalg.reduce ins(%a : tensor<4xi32>) outs(%zero : tensor<i32>) dimensions = [0] (%x: i32, %y: i32) {
      %s = arith.addi %x, %y : i32
      linalg.yield %s : i32
    }
    check.expect_eq_const(%sum, dense<10> : tensor<i32>) : tensor<i32>
    return
  }
  func.func @computed_dynamic() {
    %n = util.unfoldable_constant 3 : index
    %two = arith.constant 2.0 : f32
    %e = tensor.empty(%n) : tensor<?xf32>
    %f = linalg.fill ins(%two : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    %g = arith.mulf %f, %f : tensor<?xf32>
    %c = tensor.cast %g : tensor<?xf32> to tensor<3xf32>
    check.expect_almost_eq_const(%c, dense<4.0> : tensor<3xf32>) : tensor<3xf32>
    return
  }
}
