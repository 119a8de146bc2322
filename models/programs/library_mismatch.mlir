// Imports whose signature is not the provider's.
//! modules: library_arithmetic.vmfb library_mismatch.vmfb
//! failing case modules_signature: call(5)
//! error: signature mismatch
module @mismatch {
  util.func private @library.triple(%a: i64) -> i64
  util.func public @call(%a: i64) -> i64 {
    %0 = util.call @library.triple(%a) : (i64) -> i64
    util.return %0 : i64
  }
}
