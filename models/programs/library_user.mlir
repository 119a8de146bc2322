// The user: two modules in one context, in the right order and in the wrong one, complete and not.
//! modules: library_arithmetic.vmfb library_user.vmfb
//! case modules_two: nine_times(5)
//! case modules_function_omitted: (6)
//! modules: library_user.vmfb library_arithmetic.vmfb
//! failing case modules_wrong_order: nine_times(5)
//! error: NOT_FOUND
//! modules: library_user.vmfb
//! failing case modules_missing: nine_times(5)
//! error: NOT_FOUND
//! modules: vm_fibonacci.vmfb library_user.vmfb
//! failing case modules_other: nine_times(5)
//! error: NOT_FOUND
module @user {
  util.func private @library.triple(%a: i32) -> i32
  util.func private @library.widen(%a: i32) -> i64
  util.func public @nine_times(%a: i32) -> (i32, i64) {
    %0 = util.call @library.triple(%a) : (i32) -> i32
    %1 = util.call @library.triple(%0) : (i32) -> i32
    %2 = util.call @library.widen(%1) : (i32) -> i64
    util.return %1, %2 : i32, i64
  }
}
