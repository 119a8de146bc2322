// A loop whose length depends on its data; 64-bit arithmetic; two results.
//! case collatz_27: collatz(27)
//! case collatz_1: collatz(1)
//! case collatz_837799: collatz(837799)
module @collatz {
  // Steps until 1, and the highest value on the way.
  func.func @collatz(%start: i64) -> (i32, i64) {
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %c2 = arith.constant 2 : i64
    %c3 = arith.constant 3 : i64
    %zero = arith.constant 0 : i32
    %one = arith.constant 1 : i32
    %result:3 = scf.while (%value = %start, %steps = %zero, %high = %start) : (i64, i32, i64) -> (i64, i32, i64) {
      %more = arith.cmpi ne, %value, %c1 : i64
      scf.condition(%more) %value, %steps, %high : i64, i32, i64
    } do {
    ^bb0(%value: i64, %steps: i32, %high: i64):
      %bit = arith.andi %value, %c1 : i64
      %even = arith.cmpi eq, %bit, %c0 : i64
      %next = scf.if %even -> i64 {
        %half = arith.divui %value, %c2 : i64
        scf.yield %half : i64
      } else {
        %triple = arith.muli %value, %c3 : i64
        %plus = arith.addi %triple, %c1 : i64
        scf.yield %plus : i64
      }
      %new_high = arith.maxui %next, %high : i64
      %new_steps = arith.addi %steps, %one : i32
      scf.yield %next, %new_steps, %new_high : i64, i32, i64
    }
    return %result#1, %result#2 : i32, i64
  }
}
