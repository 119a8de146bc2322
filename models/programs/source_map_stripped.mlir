// The same as elsewhere, without debug information in the module.
//! flags: --iree-vm-bytecode-module-strip-source-map
//! case stripped_add: add(2xi32=1 2)
//! failing case stripped_assert: check(0)
//! error: zero is not allowed
module @stripped {
  func.func @add(%a: tensor<2xi32>) -> tensor<2xi32> {
    %r = arith.addi %a, %a : tensor<2xi32>
    return %r : tensor<2xi32>
  }
  func.func @check(%a: i32) -> i32 {
    %zero = arith.constant 0 : i32
    %ok = arith.cmpi ne, %a, %zero : i32
    cf.assert %ok, "zero is not allowed"
    return %a : i32
  }
}
