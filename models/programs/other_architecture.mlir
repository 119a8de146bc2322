// Compiled for another processor: refused with a clear message before anything runs.
//! flags: --iree-llvmcpu-target-triple=aarch64-unknown-linux-gnu
//! failing case other_architecture: abs(4xf32=1)
//! error: not found or unavailable
module @other {
  func.func @abs(%a: tensor<4xf32>) -> tensor<4xf32> {
    %r = math.absf %a : tensor<4xf32>
    return %r : tensor<4xf32>
  }
}
