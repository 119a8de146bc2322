// Scalar functions over the integer, float and control-flow instructions. Floats travel as bits.
util.global private mutable @counter = 7 : i32
func.func private @mix(%a: i32, %b: i32) -> i32 attributes {noinline} {
  %r = arith.xori %a, %b : i32
  %c = arith.constant 3 : i32
  %s = arith.shli %r, %c : i32
  %t = arith.subi %s, %a : i32
  return %t : i32
}
func.func @integer_i32(%a: i32, %b: i32) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
  %2 = arith.addi %a, %b : i32
  %3 = arith.subi %a, %b : i32
  %4 = arith.muli %a, %b : i32
  %5 = arith.andi %a, %b : i32
  %6 = arith.ori %a, %b : i32
  %7 = arith.xori %a, %b : i32
  %8 = arith.minsi %a, %b : i32
  %9 = arith.minui %a, %b : i32
  %10 = arith.maxsi %a, %b : i32
  %11 = arith.maxui %a, %b : i32
  return %2, %3, %4, %5, %6, %7, %8, %9, %10, %11 : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
}
func.func @divide_i32(%a: i32, %b: i32) -> (i32, i32, i32, i32) {
  %one = arith.constant 1 : i32
  %m = arith.constant 1048575 : i32
  %bm = arith.andi %b, %m : i32
  %d = arith.addi %bm, %one : i32
  %q = arith.divsi %a, %d : i32
  %r = arith.remsi %a, %d : i32
  %uq = arith.divui %a, %d : i32
  %ur = arith.remui %a, %d : i32
  return %q, %r, %uq, %ur : i32, i32, i32, i32
}
func.func @shift_i32(%a: i32, %b: i32) -> (i32, i32, i32) {
  %m = arith.constant 31 : i32
  %s = arith.andi %b, %m : i32
  %l = arith.shli %a, %s : i32
  %r = arith.shrsi %a, %s : i32
  %u = arith.shrui %a, %s : i32
  return %l, %r, %u : i32, i32, i32
}
func.func @compare_i32(%a: i32, %b: i32) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
  %c0 = arith.cmpi eq, %a, %b : i32
  %e0 = arith.extui %c0 : i1 to i32
  %c1 = arith.cmpi ne, %a, %b : i32
  %e1 = arith.extui %c1 : i1 to i32
  %c2 = arith.cmpi slt, %a, %b : i32
  %e2 = arith.extui %c2 : i1 to i32
  %c3 = arith.cmpi sle, %a, %b : i32
  %e3 = arith.extui %c3 : i1 to i32
  %c4 = arith.cmpi sgt, %a, %b : i32
  %e4 = arith.extui %c4 : i1 to i32
  %c5 = arith.cmpi sge, %a, %b : i32
  %e5 = arith.extui %c5 : i1 to i32
  %c6 = arith.cmpi ult, %a, %b : i32
  %e6 = arith.extui %c6 : i1 to i32
  %c7 = arith.cmpi ule, %a, %b : i32
  %e7 = arith.extui %c7 : i1 to i32
  %c8 = arith.cmpi ugt, %a, %b : i32
  %e8 = arith.extui %c8 : i1 to i32
  %c9 = arith.cmpi uge, %a, %b : i32
  %e9 = arith.extui %c9 : i1 to i32
  return %e0, %e1, %e2, %e3, %e4, %e5, %e6, %e7, %e8, %e9 : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
}
func.func @bits_i32(%a: i32) -> (i32, i32) {
  %z = math.ctlz %a : i32
  %ab = math.absi %a : i32
  return %z, %ab : i32, i32
}
func.func @integer_i64(%a: i64, %b: i64) -> (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) {
  %2 = arith.addi %a, %b : i64
  %3 = arith.subi %a, %b : i64
  %4 = arith.muli %a, %b : i64
  %5 = arith.andi %a, %b : i64
  %6 = arith.ori %a, %b : i64
  %7 = arith.xori %a, %b : i64
  %8 = arith.minsi %a, %b : i64
  %9 = arith.minui %a, %b : i64
  %10 = arith.maxsi %a, %b : i64
  %11 = arith.maxui %a, %b : i64
  return %2, %3, %4, %5, %6, %7, %8, %9, %10, %11 : i64, i64, i64, i64, i64, i64, i64, i64, i64, i64
}
func.func @divide_i64(%a: i64, %b: i64) -> (i64, i64, i64, i64) {
  %one = arith.constant 1 : i64
  %m = arith.constant 1048575 : i64
  %bm = arith.andi %b, %m : i64
  %d = arith.addi %bm, %one : i64
  %q = arith.divsi %a, %d : i64
  %r = arith.remsi %a, %d : i64
  %uq = arith.divui %a, %d : i64
  %ur = arith.remui %a, %d : i64
  return %q, %r, %uq, %ur : i64, i64, i64, i64
}
func.func @shift_i64(%a: i64, %b: i64) -> (i64, i64, i64) {
  %m = arith.constant 63 : i64
  %s = arith.andi %b, %m : i64
  %l = arith.shli %a, %s : i64
  %r = arith.shrsi %a, %s : i64
  %u = arith.shrui %a, %s : i64
  return %l, %r, %u : i64, i64, i64
}
func.func @compare_i64(%a: i64, %b: i64) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
  %c0 = arith.cmpi eq, %a, %b : i64
  %e0 = arith.extui %c0 : i1 to i32
  %c1 = arith.cmpi ne, %a, %b : i64
  %e1 = arith.extui %c1 : i1 to i32
  %c2 = arith.cmpi slt, %a, %b : i64
  %e2 = arith.extui %c2 : i1 to i32
  %c3 = arith.cmpi sle, %a, %b : i64
  %e3 = arith.extui %c3 : i1 to i32
  %c4 = arith.cmpi sgt, %a, %b : i64
  %e4 = arith.extui %c4 : i1 to i32
  %c5 = arith.cmpi sge, %a, %b : i64
  %e5 = arith.extui %c5 : i1 to i32
  %c6 = arith.cmpi ult, %a, %b : i64
  %e6 = arith.extui %c6 : i1 to i32
  %c7 = arith.cmpi ule, %a, %b : i64
  %e7 = arith.extui %c7 : i1 to i32
  %c8 = arith.cmpi ugt, %a, %b : i64
  %e8 = arith.extui %c8 : i1 to i32
  %c9 = arith.cmpi uge, %a, %b : i64
  %e9 = arith.extui %c9 : i1 to i32
  return %e0, %e1, %e2, %e3, %e4, %e5, %e6, %e7, %e8, %e9 : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
}
func.func @bits_i64(%a: i64) -> (i64, i64) {
  %z = math.ctlz %a : i64
  %ab = math.absi %a : i64
  return %z, %ab : i64, i64
}
func.func @widths(%a: i32, %b: i64) -> (i64, i64, i32, i32, i32) {
  %s = arith.extsi %a : i32 to i64
  %u = arith.extui %a : i32 to i64
  %t = arith.trunci %b : i64 to i32
  %n8 = arith.trunci %a : i32 to i8
  %s8 = arith.extsi %n8 : i8 to i32
  %n16 = arith.trunci %a : i32 to i16
  %u16 = arith.extui %n16 : i16 to i32
  return %s, %u, %t, %s8, %u16 : i64, i64, i32, i32, i32
}
func.func @float_exact(%a: i32, %b: i32, %c: i32) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
  %fa = arith.bitcast %a : i32 to f32
  %fb = arith.bitcast %b : i32 to f32
  %fc = arith.bitcast %c : i32 to f32
  %x0 = arith.addf %fa, %fb : f32
  %x1 = arith.subf %fa, %fb : f32
  %x2 = arith.mulf %fa, %fb : f32
  %x3 = arith.divf %fa, %fb : f32
  %x4 = math.sqrt %fa : f32
  %x5 = math.absf %fb : f32
  %x6 = arith.negf %fc : f32
  %x7 = math.ceil %fc : f32
  %x8 = math.floor %fc : f32
  %x9 = math.round %fc : f32
  %r0 = arith.bitcast %x0 : f32 to i32
  %r1 = arith.bitcast %x1 : f32 to i32
  %r2 = arith.bitcast %x2 : f32 to i32
  %r3 = arith.bitcast %x3 : f32 to i32
  %r4 = arith.bitcast %x4 : f32 to i32
  %r5 = arith.bitcast %x5 : f32 to i32
  %r6 = arith.bitcast %x6 : f32 to i32
  %r7 = arith.bitcast %x7 : f32 to i32
  %r8 = arith.bitcast %x8 : f32 to i32
  %r9 = arith.bitcast %x9 : f32 to i32
  return %r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8, %r9 : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
}
func.func @float_compare(%a: i32, %b: i32) -> (i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) {
  %fa = arith.bitcast %a : i32 to f32
  %fb = arith.bitcast %b : i32 to f32
  %c0 = arith.cmpf oeq, %fa, %fb : f32
  %e0 = arith.extui %c0 : i1 to i32
  %c1 = arith.cmpf one, %fa, %fb : f32
  %e1 = arith.extui %c1 : i1 to i32
  %c2 = arith.cmpf olt, %fa, %fb : f32
  %e2 = arith.extui %c2 : i1 to i32
  %c3 = arith.cmpf ole, %fa, %fb : f32
  %e3 = arith.extui %c3 : i1 to i32
  %c4 = arith.cmpf ogt, %fa, %fb : f32
  %e4 = arith.extui %c4 : i1 to i32
  %c5 = arith.cmpf oge, %fa, %fb : f32
  %e5 = arith.extui %c5 : i1 to i32
  %c6 = arith.cmpf ueq, %fa, %fb : f32
  %e6 = arith.extui %c6 : i1 to i32
  %c7 = arith.cmpf une, %fa, %fb : f32
  %e7 = arith.extui %c7 : i1 to i32
  %c8 = arith.cmpf ult, %fa, %fb : f32
  %e8 = arith.extui %c8 : i1 to i32
  %c9 = arith.cmpf uno, %fa, %fb : f32
  %e9 = arith.extui %c9 : i1 to i32
  %c10 = arith.cmpf ord, %fa, %fb : f32
  %e10 = arith.extui %c10 : i1 to i32
  return %e0, %e1, %e2, %e3, %e4, %e5, %e6, %e7, %e8, %e9, %e10 : i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32
}
func.func @float_convert(%a: i32, %b: i64, %c: i32) -> (i32, i32, i32, i32, i64) {
  %s = arith.sitofp %a : i32 to f32
  %u = arith.uitofp %a : i32 to f32
  %w = arith.sitofp %b : i64 to f32
  %m = arith.constant 65535 : i32
  %small = arith.andi %c, %m : i32
  %sf = arith.sitofp %small : i32 to f32
  %eight = arith.constant 8.0 : f32
  %part = arith.divf %sf, %eight : f32
  %i = arith.fptosi %part : f32 to i32
  %j = arith.fptosi %part : f32 to i64
  %sb = arith.bitcast %s : f32 to i32
  %ub = arith.bitcast %u : f32 to i32
  %wb = arith.bitcast %w : f32 to i32
  return %sb, %ub, %wb, %i, %j : i32, i32, i32, i32, i64
}
func.func @collatz(%a: i32) -> (i32, i32) {
  %zero = arith.constant 0 : i32
  %one = arith.constant 1 : i32
  %three = arith.constant 3 : i32
  %mask = arith.constant 65535 : i32
  %start0 = arith.andi %a, %mask : i32
  %start = arith.addi %start0, %one : i32
  %r:3 = scf.while (%n = %start, %steps = %zero, %peak = %start) : (i32, i32, i32) -> (i32, i32, i32) {
    %go = arith.cmpi ugt, %n, %one : i32
    scf.condition(%go) %n, %steps, %peak : i32, i32, i32
  } do {
  ^bb0(%n: i32, %steps: i32, %peak: i32):
    %low = arith.andi %n, %one : i32
    %odd = arith.cmpi ne, %low, %zero : i32
    %next = scf.if %odd -> i32 {
      %t = arith.muli %n, %three : i32
      %o = arith.addi %t, %one : i32
      scf.yield %o : i32
    } else {
      %h = arith.shrui %n, %one : i32
      scf.yield %h : i32
    }
    %s = arith.addi %steps, %one : i32
    %p = arith.maxui %peak, %next : i32
    scf.yield %next, %s, %p : i32, i32, i32
  }
  return %r#1, %r#2 : i32, i32
}
func.func @nested(%a: i32, %b: i32) -> (i32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = arith.constant 5 : index
  %acc = scf.for %i = %c0 to %n step %c1 iter_args(%x = %a) -> i32 {
    %in = scf.for %j = %c0 to %i step %c1 iter_args(%y = %x) -> i32 {
      %ji = arith.index_cast %j : index to i32
      %m = arith.muli %y, %b : i32
      %s = arith.addi %m, %ji : i32
      scf.yield %s : i32
    }
    %q = func.call @mix(%in, %b) : (i32, i32) -> i32
    scf.yield %q : i32
  }
  return %acc : i32
}
func.func @choose(%a: i32, %b: i64) -> (i64) {
  %c3 = arith.constant 3 : i32
  %k = arith.andi %a, %c3 : i32
  %ki = arith.index_cast %k : i32 to index
  %r = scf.index_switch %ki -> i64
  case 0 {
    %x = arith.addi %b, %b : i64
    scf.yield %x : i64
  }
  case 1 {
    %x = arith.muli %b, %b : i64
    scf.yield %x : i64
  }
  case 2 {
    scf.yield %b : i64
  }
  default {
    %x = arith.constant -1 : i64
    scf.yield %x : i64
  }
  return %r : i64
}
func.func @count(%a: i32) -> (i32) {
  %g = util.global.load @counter : i32
  %s = arith.addi %g, %a : i32
  util.global.store %s, @counter : i32
  return %s : i32
}
