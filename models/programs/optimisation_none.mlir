// Compiled without optimisation: many small dispatches, calls that would be inlined, copies that would vanish.
//! flags: --iree-opt-level=O0
//! case unoptimised_chain: chain(3xf32=1 2 3)
//! case unoptimised_branch: branch(3xf32=1 2 3; 0)
module @unoptimised {
  func.func private @square(%a: tensor<3xf32>) -> tensor<3xf32> {
    %r = arith.mulf %a, %a : tensor<3xf32>
    return %r : tensor<3xf32>
  }
  func.func @chain(%a: tensor<3xf32>) -> tensor<3xf32> {
    %0 = call @square(%a) : (tensor<3xf32>) -> tensor<3xf32>
    %1 = arith.addf %0, %a : tensor<3xf32>
    %2 = call @square(%1) : (tensor<3xf32>) -> tensor<3xf32>
    %3 = arith.subf %2, %0 : tensor<3xf32>
    return %3 : tensor<3xf32>
  }
  func.func @branch(%a: tensor<3xf32>, %flag: i1) -> tensor<3xf32> {
    %r = scf.if %flag -> tensor<3xf32> {
      %0 = func.call @square(%a) : (tensor<3xf32>) -> tensor<3xf32>
      scf.yield %0 : tensor<3xf32>
    } else {
      scf.yield %a : tensor<3xf32>
    }
    return %r : tensor<3xf32>
  }
}
