// Expectations of the check module over every type that it compares; functions named failing_* fail once for each line.
module @expectations {
  func.func @scalars() {
    %one = util.unfoldable_constant 1 : i32
    %zero = util.unfoldable_constant 0 : i32
    check.expect_true(%one) : i32
    check.expect_false(%zero) : i32
    return
  }
  func.func @all_true() {
    %a = util.unfoldable_constant dense<[1, 2, 3]> : tensor<3xi32>
    check.expect_all_true(%a) : tensor<3xi32>
    return
  }
  func.func @equal() {
    %a = util.unfoldable_constant dense<[1, 2, 3]> : tensor<3xi16>
    %b = util.unfoldable_constant dense<[1, 2, 3]> : tensor<3xi16>
    check.expect_eq(%a, %b) : tensor<3xi16>
    %c = arith.addi %a, %b : tensor<3xi16>
    %d = util.unfoldable_constant dense<[2, 4, 6]> : tensor<3xi16>
    check.expect_eq(%c, %d) : tensor<3xi16>
    return
  }
  func.func @almost_equal() {
    %a = util.unfoldable_constant dense<[1.0, 0.99999, 0.00001]> : tensor<3xf32>
    %b = util.unfoldable_constant dense<[1.0, 1.0, 0.0]> : tensor<3xf32>
    check.expect_almost_eq(%a, %b) : tensor<3xf32>
    %c = util.unfoldable_constant dense<[1.0, 0.5]> : tensor<2xf16>
    check.expect_almost_eq(%c, %c) : tensor<2xf16>
    %d = util.unfoldable_constant dense<[1.0, 0.5]> : tensor<2xbf16>
    check.expect_almost_eq(%d, %d) : tensor<2xbf16>
    %e = util.unfoldable_constant dense<[1.0, 0.5]> : tensor<2xf8E5M2>
    check.expect_almost_eq(%e, %e) : tensor<2xf8E5M2>
    %f = util.unfoldable_constant dense<[1.0, 0.5]> : tensor<2xf8E4M3FNUZ>
    check.expect_almost_eq(%f, %f) : tensor<2xf8E4M3FNUZ>
    return
  }
  func.func @failing_scalars() {
    %zero = util.unfoldable_constant 0 : i32
    %many = util.unfoldable_constant 42 : i32
    check.expect_true(%zero) : i32
    check.expect_false(%many) : i32
    return
  }
  func.func @failing_tensors() {
    %a = util.unfoldable_constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
    %b = util.unfoldable_constant dense<[1.0, 2.0, 3.0, 42.0]> : tensor<4xf32>
    %c = util.unfoldable_constant dense<[1, 2, 3, 0]> : tensor<4xi32>
    check.expect_almost_eq(%a, %b, atol 0.1) : tensor<4xf32>
    check.expect_eq(%a, %b) : tensor<4xf32>
    check.expect_all_true(%c) : tensor<4xi32>
    return
  }
}
