// Tensors without elements, fixed in the type.
//! case zero_identity: identity(0x4xf32)
//! case zero_add: add(2x0xi32; 2x0xi32)
//! case zero_sum: sum(0xf32)
//! case zero_constant: constant()
//! case zero_concat: concat(0x2xi32; 1x2xi32=1 2)
module @zero {
  func.func @identity(%a: tensor<0x4xf32>) -> tensor<0x4xf32> {
    return %a : tensor<0x4xf32>
  }
  func.func @add(%a: tensor<2x0xi32>, %b: tensor<2x0xi32>) -> tensor<2x0xi32> {
    %r = arith.addi %a, %b : tensor<2x0xi32>
    return %r : tensor<2x0xi32>
  }
  func.func @sum(%a: tensor<0xf32>) -> tensor<f32> {
    %s = arith.constant dense<42.0> : tensor<f32>
    %r = linalg.reduce ins(%a : tensor<0xf32>) outs(%s : tensor<f32>) dimensions = [0] (%x: f32, %y: f32) {
      %t = arith.addf %x, %y : f32
      linalg.yield %t : f32
    }
    return %r : tensor<f32>
  }
  func.func @constant() -> tensor<0x3xi8> {
    %r = arith.constant dense<> : tensor<0x3xi8>
    return %r : tensor<0x3xi8>
  }
  func.func @concat(%a: tensor<0x2xi32>, %b: tensor<1x2xi32>) -> tensor<1x2xi32> {
    %r = tensor.concat dim(0) %a, %b : (tensor<0x2xi32>, tensor<1x2xi32>) -> tensor<1x2xi32>
    return %r : tensor<1x2xi32>
  }
}
