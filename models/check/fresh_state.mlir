// Every test starts with globals as the initialiser leaves them, whatever ran before.
//! passes: first
//! passes: second
module @fresh_state {
  util.global private mutable @count = 5 : i32
  func.func @first() {
    %old = util.global.load @count : i32
    %one = arith.constant 1 : i32
    %new = arith.addi %old, %one : i32
    util.global.store %new, @count : i32
    %six = arith.constant 6 : i32
    %is_six = arith.cmpi eq, %new, %six : i32
    %result = arith.extui %is_six : i1 to i32
    check.expect_true(%result) : i32
    return
  }
  func.func @second() {
    func.call @first() : () -> ()
    return
  }
}
