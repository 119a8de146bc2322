// P0: nothing at all. What an invocation costs.
//! case p0: p0()
module @p0 {
  func.func @p0() {
    return
  }
}
