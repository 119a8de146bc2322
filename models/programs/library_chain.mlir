// A third module over the second: three in one context.
//! modules: library_arithmetic.vmfb library_user.vmfb library_chain.vmfb
//! case modules_three: chain(2)
module @chain {
  util.func private @user.nine_times(%a: i32) -> (i32, i64)
  util.func private @library.triple(%a: i32) -> i32
  util.func public @chain(%a: i32) -> i64 {
    %0:2 = util.call @user.nine_times(%a) : (i32) -> (i32, i64)
    %1 = util.call @library.triple(%0#0) : (i32) -> i32
    %2 = arith.extsi %1 : i32 to i64
    %3 = arith.addi %2, %0#1 : i64
    util.return %3 : i64
  }
}
