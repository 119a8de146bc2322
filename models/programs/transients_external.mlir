// Scratch memory that the caller brings. The program trusts it to be large enough (its size is an attribute of the function), so no case
// brings too little.
//! case transients_given: run(4xf32=1 2 3 4; &1024xi8)
//! failing case transients_wrong_kind: run(4xf32=1 2 3 4; 1024xi8)
//! error: INVALID_ARGUMENT
module @transients {
  func.func @run(%a: tensor<4xf32>, %scratch: !hal.buffer {iree.abi.transients}) -> tensor<4xf32> {
    %0 = flow.dispatch.region -> (tensor<4xf32>) {
      %r = arith.addf %a, %a : tensor<4xf32>
      flow.return %r : tensor<4xf32>
    }
    %1 = flow.dispatch.region -> (tensor<4xf32>) {
      %r = arith.mulf %0, %a : tensor<4xf32>
      flow.return %r : tensor<4xf32>
    }
    %2 = flow.dispatch.region -> (tensor<4xf32>) {
      %r = arith.subf %1, %0 : tensor<4xf32>
      flow.return %r : tensor<4xf32>
    }
    return %2 : tensor<4xf32>
  }
}
