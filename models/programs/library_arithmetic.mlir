// The provider: its functions are imported by library_user.
//! case library_alone: triple(14)
//! failing case library_function_required: (14)
//! error: more than one exported function present
module @library {
  func.func @triple(%a: i32) -> i32 {
    %c3 = arith.constant 3 : i32
    %r = arith.muli %a, %c3 : i32
    return %r : i32
  }
  func.func @widen(%a: i32) -> i64 {
    %r = arith.extsi %a : i32 to i64
    return %r : i64
  }
}
