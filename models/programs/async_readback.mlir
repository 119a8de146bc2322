// Fences and decisions on the host within one call.
//! flags: --iree-execution-model=async-external
//! case async_readback_positive: step(3xi32=5 6 7)
//! case async_readback_negative: step(3xi32=-5 6 7)
//! failing case async_assert_fails: guarded(2xi32=0 1)
//! error: the first element is zero
//! case async_assert_holds: guarded(2xi32=1 1)
module @async {
  func.func @step(%a: tensor<3xi32>) -> tensor<3xi32> {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0 : i32
    %b = arith.addi %a, %a : tensor<3xi32>
    %first = tensor.extract %b[%c0] : tensor<3xi32>
    %positive = arith.cmpi sgt, %first, %zero : i32
    %r = scf.if %positive -> tensor<3xi32> {
      %0 = arith.muli %b, %a : tensor<3xi32>
      scf.yield %0 : tensor<3xi32>
    } else {
      scf.yield %b : tensor<3xi32>
    }
    return %r : tensor<3xi32>
  }
  func.func @guarded(%a: tensor<2xi32>) -> tensor<2xi32> {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0 : i32
    %first = tensor.extract %a[%c0] : tensor<2xi32>
    %ok = arith.cmpi ne, %first, %zero : i32
    cf.assert %ok, "the first element is zero"
    %r = arith.addi %a, %a : tensor<2xi32>
    return %r : tensor<2xi32>
  }
}
