// Expectations that do not hold, and what must be said about each. The run as a whole fails.
//! fails: true_of_zero
//! message: Expected 0 to be nonzero.
//! fails: false_of_number
//! message: Expected 42 to be zero.
//! fails: all_true_with_zero
//! message: element #3 doesn't match
//! fails: equal_contents
//! message: Expected equality of these values. Contents does not match.
//! message: 3xi32=1 2 3
//! message: 3xi32=1 2 4
//! fails: equal_signs_of_zero
//! message: Contents does not match.
//! fails: almost_equal_f32
//! message: Expected near equality of these values. Contents does not match to tolerance parameters
//! message: The first failure occurs at index 3 as the lhs value 4 differs from the rhs value 42 by 3.800e+01.
//! fails: almost_equal_f64
//! message: Expected near equality of these values.
//! fails: almost_equal_f16
//! message: Expected near equality of these values.
//! fails: almost_equal_bf16
//! message: Expected near equality of these values.
//! fails: almost_equal_float8
//! message: Expected near equality of these values.
//! fails: almost_equal_infinities
//! message: Expected near equality of these values.
//! fails: almost_equal_not_a_number
//! message: Expected near equality of these values.
//! fails: two_failures
//! message: Expected 0 to be nonzero.
//! message: Expected 5 to be zero.
//! fails: assertion
//! message: this test stops here
//! passes: between_failures
//! flags: --iree-input-demote-f64-to-f32=false
module @failing {
  func.func @true_of_zero() {
    %zero = arith.constant 0 : i32
    check.expect_true(%zero) : i32
    return
  }
  func.func @false_of_number() {
    %number = arith.constant 42 : i32
    check.expect_false(%number) : i32
    return
  }
  func.func @all_true_with_zero() {
    %a = util.unfoldable_constant dense<[1, 2, 3, 0, 5]> : tensor<5xi32>
    check.expect_all_true(%a) : tensor<5xi32>
    return
  }
  func.func @equal_contents() {
    %a = util.unfoldable_constant dense<[1, 2, 3]> : tensor<3xi32>
    check.expect_eq_const(%a, dense<[1, 2, 4]> : tensor<3xi32>) : tensor<3xi32>
    return
  }
  func.func @equal_signs_of_zero() {
    %a = util.unfoldable_constant dense<[0.0, 1.0]> : tensor<2xf32>
    check.expect_eq_const(%a, dense<[-0.0, 1.0]> : tensor<2xf32>) : tensor<2xf32>
    return
  }
  func.func @almost_equal_f32() {
    %a = util.unfoldable_constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
    check.expect_almost_eq_const(%a, dense<[1.0, 2.0, 3.0, 42.0]> : tensor<4xf32>) : tensor<4xf32>
    return
  }
  func.func @almost_equal_f64() {
    %a = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xf64>
    check.expect_almost_eq_const(%a, dense<[1.0, 2.001]> : tensor<2xf64>) : tensor<2xf64>
    return
  }
  func.func @almost_equal_f16() {
    %a = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xf16>
    check.expect_almost_eq_const(%a, dense<[1.0, 2.5]> : tensor<2xf16>) : tensor<2xf16>
    return
  }
  func.func @almost_equal_bf16() {
    %a = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xbf16>
    check.expect_almost_eq_const(%a, dense<[1.0, 2.5]> : tensor<2xbf16>) : tensor<2xbf16>
    return
  }
  func.func @almost_equal_float8() {
    %a = util.unfoldable_constant dense<[1.0, 2.0]> : tensor<2xf8E5M2>
    check.expect_almost_eq_const(%a, dense<[1.0, 2.5]> : tensor<2xf8E5M2>) : tensor<2xf8E5M2>
    return
  }
  func.func @almost_equal_infinities() {
    %a = util.unfoldable_constant dense<[0x7F800000, 1.0]> : tensor<2xf32>
    check.expect_almost_eq_const(%a, dense<[0xFF800000, 1.0]> : tensor<2xf32>) : tensor<2xf32>
    return
  }
  func.func @almost_equal_not_a_number() {
    %a = util.unfoldable_constant dense<[0x7FC00000, 1.0]> : tensor<2xf32>
    check.expect_almost_eq_const(%a, dense<[1.0, 1.0]> : tensor<2xf32>, atol 1000.0) : tensor<2xf32>
    return
  }
  func.func @two_failures() {
    %zero = arith.constant 0 : i32
    %five = arith.constant 5 : i32
    check.expect_true(%zero) : i32
    check.expect_false(%five) : i32
    return
  }
  func.func @assertion() {
    %zero = util.unfoldable_constant 0 : i32
    %one = arith.constant 1 : i32
    %ok = arith.cmpi eq, %zero, %one : i32
    cf.assert %ok, "this test stops here"
    return
  }
  func.func @between_failures() {
    %one = arith.constant 1 : i32
    check.expect_true(%one) : i32
    return
  }
}
