// An exported function with an argument makes the module unfit as a test: the whole run is refused.
//! refused: INVALID_ARGUMENT
module @with_arguments {
  func.func @fine() {
    %one = arith.constant 1 : i32
    check.expect_true(%one) : i32
    return
  }
  func.func @needs_input(%a: i32) {
    check.expect_true(%a) : i32
    return
  }
}
