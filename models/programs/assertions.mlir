// Failures that a program asks for, with its own message.
//! case assert_holds: positive(5)
//! failing case assert_fails: positive(-5)
//! error: expected a positive number
//! case assert_data_holds: data_positive(2xi32=1 2)
//! failing case assert_data_fails: data_positive(2xi32=-1 2)
//! error: expected positive data
//! failing case assert_nested: nested(-1)
//! error: expected a positive number
module @assertions {
  func.func @positive(%a: i32) -> i32 {
    %zero = arith.constant 0 : i32
    %ok = arith.cmpi sgt, %a, %zero : i32
    cf.assert %ok, "expected a positive number"
    return %a : i32
  }
  func.func @data_positive(%a: tensor<2xi32>) -> tensor<2xi32> {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0 : i32
    %first = tensor.extract %a[%c0] : tensor<2xi32>
    %ok = arith.cmpi sgt, %first, %zero : i32
    cf.assert %ok, "expected positive data"
    %r = arith.addi %a, %a : tensor<2xi32>
    return %r : tensor<2xi32>
  }
  util.func private @inner(%a: i32) -> i32 attributes {inlining_policy = #util.inline.never} {
    %r = func.call @positive(%a) : (i32) -> i32
    util.return %r : i32
  }
  util.func public @nested(%a: i32) -> i32 {
    %0 = util.call @inner(%a) : (i32) -> i32
    %1 = arith.addi %0, %0 : i32
    util.return %1 : i32
  }
}
