// Counting primes below n by trial division: nested data-dependent loops on the host, integers only.
//! case primes_100: count(100)
//! case primes_2: count(2)
//! case primes_2000: count(2000)
module @primes {
  func.func @count(%n: i32) -> i32 {
    %c0 = arith.constant 0 : i32
    %c1 = arith.constant 1 : i32
    %c2 = arith.constant 2 : i32
    %r = scf.for %i = %c2 to %n step %c1 iter_args(%found = %c0) -> i32 : i32 {
      %prime = util.call @is_prime(%i) : (i32) -> i32
      %more = arith.addi %found, %prime : i32
      scf.yield %more : i32
    }
    return %r : i32
  }
  util.func private @is_prime(%n: i32) -> i32 attributes {inlining_policy = #util.inline.never} {
    %c0 = arith.constant 0 : i32
    %c1 = arith.constant 1 : i32
    %c2 = arith.constant 2 : i32
    %d = scf.while (%d = %c2) : (i32) -> i32 {
      %rem = arith.remui %n, %d : i32
      %divides = arith.cmpi eq, %rem, %c0 : i32
      %square = arith.muli %d, %d : i32
      %past = arith.cmpi ugt, %square, %n : i32
      %stop = arith.ori %divides, %past : i1
      %true = arith.constant true
      %go = arith.xori %stop, %true : i1
      scf.condition(%go) %d : i32
    } do {
    ^bb0(%d: i32):
      %next = arith.addi %d, %c1 : i32
      scf.yield %next : i32
    }
    %square = arith.muli %d, %d : i32
    %prime = arith.cmpi ugt, %square, %n : i32
    %r = arith.extui %prime : i1 to i32
    util.return %r : i32
  }
}
