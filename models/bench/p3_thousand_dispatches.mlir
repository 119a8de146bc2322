// P3: a thousand dependent dispatches of one workgroup over four floats, a barrier after each.
//! case p3: p3(4xf32=1)
module @p3 {
  // A dispatch of its own, so that the additions are not merged into one.
  func.func private @add_one(%a: tensor<4xf32>) -> tensor<4xf32> {
    %one = arith.constant dense<1.0> : tensor<4xf32>
    %sum = flow.dispatch.region -> (tensor<4xf32>) {
      %r = arith.addf %a, %one : tensor<4xf32>
      flow.return %r : tensor<4xf32>
    }
    return %sum : tensor<4xf32>
  }
  func.func private @add_ten(%0: tensor<4xf32>) -> tensor<4xf32> {
    %1 = call @add_one(%0) : (tensor<4xf32>) -> tensor<4xf32>
    %2 = call @add_one(%1) : (tensor<4xf32>) -> tensor<4xf32>
    %3 = call @add_one(%2) : (tensor<4xf32>) -> tensor<4xf32>
    %4 = call @add_one(%3) : (tensor<4xf32>) -> tensor<4xf32>
    %5 = call @add_one(%4) : (tensor<4xf32>) -> tensor<4xf32>
    %6 = call @add_one(%5) : (tensor<4xf32>) -> tensor<4xf32>
    %7 = call @add_one(%6) : (tensor<4xf32>) -> tensor<4xf32>
    %8 = call @add_one(%7) : (tensor<4xf32>) -> tensor<4xf32>
    %9 = call @add_one(%8) : (tensor<4xf32>) -> tensor<4xf32>
    %10 = call @add_one(%9) : (tensor<4xf32>) -> tensor<4xf32>
    return %10 : tensor<4xf32>
  }
  func.func private @add_hundred(%0: tensor<4xf32>) -> tensor<4xf32> {
    %1 = call @add_ten(%0) : (tensor<4xf32>) -> tensor<4xf32>
    %2 = call @add_ten(%1) : (tensor<4xf32>) -> tensor<4xf32>
    %3 = call @add_ten(%2) : (tensor<4xf32>) -> tensor<4xf32>
    %4 = call @add_ten(%3) : (tensor<4xf32>) -> tensor<4xf32>
    %5 = call @add_ten(%4) : (tensor<4xf32>) -> tensor<4xf32>
    %6 = call @add_ten(%5) : (tensor<4xf32>) -> tensor<4xf32>
    %7 = call @add_ten(%6) : (tensor<4xf32>) -> tensor<4xf32>
    %8 = call @add_ten(%7) : (tensor<4xf32>) -> tensor<4xf32>
    %9 = call @add_ten(%8) : (tensor<4xf32>) -> tensor<4xf32>
    %10 = call @add_ten(%9) : (tensor<4xf32>) -> tensor<4xf32>
    return %10 : tensor<4xf32>
  }
  func.func private @add_thousand(%0: tensor<4xf32>) -> tensor<4xf32> {
    %1 = call @add_hundred(%0) : (tensor<4xf32>) -> tensor<4xf32>
    %2 = call @add_hundred(%1) : (tensor<4xf32>) -> tensor<4xf32>
    %3 = call @add_hundred(%2) : (tensor<4xf32>) -> tensor<4xf32>
    %4 = call @add_hundred(%3) : (tensor<4xf32>) -> tensor<4xf32>
    %5 = call @add_hundred(%4) : (tensor<4xf32>) -> tensor<4xf32>
    %6 = call @add_hundred(%5) : (tensor<4xf32>) -> tensor<4xf32>
    %7 = call @add_hundred(%6) : (tensor<4xf32>) -> tensor<4xf32>
    %8 = call @add_hundred(%7) : (tensor<4xf32>) -> tensor<4xf32>
    %9 = call @add_hundred(%8) : (tensor<4xf32>) -> tensor<4xf32>
    %10 = call @add_hundred(%9) : (tensor<4xf32>) -> tensor<4xf32>
    return %10 : tensor<4xf32>
  }
  func.func @p3(%a: tensor<4xf32>) -> tensor<4xf32> {
    %r = call @add_thousand(%a) : (tensor<4xf32>) -> tensor<4xf32>
    return %r : tensor<4xf32>
  }
}
