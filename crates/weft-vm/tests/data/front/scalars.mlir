// Scalar code: loops, switches, 64-bit block arguments, globals, both float widths, a message with odd characters.
util.global private mutable @counter = 5 : i64
util.global private mutable @scale = 1.5 : f32

func.func @loop(%n: i32) -> i32 {
  %c0 = arith.constant 0 : i32
  %c1 = arith.constant 1 : i64
  %z = arith.constant 0 : i64
  %w = arith.extsi %n : i32 to i64
  %r:2 = scf.while (%i = %z, %sum = %c0) : (i64, i32) -> (i64, i32) {
    %more = arith.cmpi slt, %i, %w : i64
    scf.condition(%more) %i, %sum : i64, i32
  } do {
  ^bb0(%i: i64, %sum: i32):
    %t = arith.trunci %i : i64 to i32
    %sq = arith.muli %t, %t : i32
    %next = arith.addi %sum, %sq : i32
    %j = arith.addi %i, %c1 : i64
    scf.yield %j, %next : i64, i32
  }
  return %r#1 : i32
}

func.func @choose(%k: index, %a: i32, %b: i64) -> (i32, i64) {
  %r:2 = scf.index_switch %k -> i32, i64
  case 0 {
    %x = arith.addi %a, %a : i32
    scf.yield %x, %b : i32, i64
  }
  case 1 {
    %y = arith.muli %b, %b : i64
    scf.yield %a, %y : i32, i64
  }
  case 2 {
    %ten = arith.constant 10 : i32
    %q = arith.divsi %a, %ten : i32
    scf.yield %q, %b : i32, i64
  }
  default {
    %m = arith.constant -1 : i32
    %n = arith.constant -77777777777 : i64
    scf.yield %m, %n : i32, i64
  }
  return %r#0, %r#1 : i32, i64
}

func.func @bump(%by: i64, %factor: f32) -> (i64, f32) {
  %old = util.global.load @counter : i64
  %new = arith.addi %old, %by : i64
  util.global.store %new, @counter : i64
  %s = util.global.load @scale : f32
  %p = arith.mulf %s, %factor : f32
  util.global.store %p, @scale : f32
  return %new, %p : i64, f32
}

func.func @wide(%x: f64, %y: f64) -> (f64, i64) {
  %third = arith.constant 0.33333333333333331 : f64
  %a = arith.mulf %x, %third : f64
  %b = math.sqrt %a : f64
  %c = arith.cmpf olt, %b, %y : f64
  %d = arith.select %c, %b, %y : f64
  %i = arith.bitcast %x : f64 to i64
  return %d, %i : f64, i64
}

func.func private @clamp(%x: i32, %lo: i32) -> i32 attributes {noinline} {
  %c = arith.cmpi slt, %x, %lo : i32
  cf.assert %c, "not \"below\"\n\ttab \\ done"
  %r = arith.maxsi %x, %lo : i32
  return %r : i32
}

func.func @checked(%x: i32) -> i32 {
  %lo = arith.constant 100 : i32
  %r = func.call @clamp(%x, %lo) : (i32, i32) -> i32
  return %r : i32
}
