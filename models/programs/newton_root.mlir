// Square roots by iteration until the change is small: floats on the host.
//! tolerance: 1e-6 1e-5
//! case newton_two: root(2)
//! case newton_million: root(1000000)
module @newton {
  func.func @root(%a: f32) -> (f32, i32) {
    %half = arith.constant 0.5 : f32
    %small = arith.constant 1.0e-6 : f32
    %zero = arith.constant 0 : i32
    %one = arith.constant 1 : i32
    %r:2 = scf.while (%x = %a, %n = %zero) : (f32, i32) -> (f32, i32) {
      %square = arith.mulf %x, %x : f32
      %error = arith.subf %square, %a : f32
      %size = math.absf %error : f32
      %bound = arith.mulf %a, %small : f32
      %more = arith.cmpf ogt, %size, %bound : f32
      scf.condition(%more) %x, %n : f32, i32
    } do {
    ^bb0(%x: f32, %n: i32):
      %q = arith.divf %a, %x : f32
      %s = arith.addf %x, %q : f32
      %next = arith.mulf %s, %half : f32
      %count = arith.addi %n, %one : i32
      scf.yield %next, %count : f32, i32
    }
    return %r#0, %r#1 : f32, i32
  }
}
