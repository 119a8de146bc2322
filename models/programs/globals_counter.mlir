// State that lives as long as its context: an initialiser, and changes that are visible within one call.
//! case counter_bump: bump(5)
//! case counter_bump_negative: bump(-5)
//! case counter_read: read()
//! case counter_bump_thrice: bump_thrice()
module @globals {
  util.global private mutable @count = 100 : i32
  util.global private mutable @wide = 5000000000 : i64
  util.global private mutable @scale = 1.5 : f32
  func.func @bump(%by: i32) -> (i32, i64, f32) {
    %old = util.global.load @count : i32
    %new = arith.addi %old, %by : i32
    util.global.store %new, @count : i32
    %wide = util.global.load @wide : i64
    %by64 = arith.extsi %by : i32 to i64
    %new_wide = arith.subi %wide, %by64 : i64
    util.global.store %new_wide, @wide : i64
    %scale = util.global.load @scale : f32
    %new_scale = arith.addf %scale, %scale : f32
    util.global.store %new_scale, @scale : f32
    return %new, %new_wide, %new_scale : i32, i64, f32
  }
  func.func @read() -> (i32, i64, f32) {
    %count = util.global.load @count : i32
    %wide = util.global.load @wide : i64
    %scale = util.global.load @scale : f32
    return %count, %wide, %scale : i32, i64, f32
  }
  func.func @bump_thrice() -> i32 {
    %one = arith.constant 1 : i32
    %a:3 = call @bump(%one) : (i32) -> (i32, i64, f32)
    %b:3 = call @bump(%one) : (i32) -> (i32, i64, f32)
    %c:3 = call @bump(%one) : (i32) -> (i32, i64, f32)
    return %c#0 : i32
  }
}
