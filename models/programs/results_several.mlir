// No result, one, five of mixed kinds; a result returned twice; an argument returned as it came.
//! case results_none: none()
//! case results_mixed: mixed(2xi32=1 2; 7)
//! case results_twice: twice(2xf32=1 2)
//! case results_identity: identity(2x2xf32=1 2 3 4)
//! case results_identity_splat: identity(2x2xf32=inf)
module @results {
  func.func @none() {
    return
  }
  func.func @mixed(%a: tensor<2xi32>, %n: i32) -> (tensor<2xi32>, i32, tensor<f32>, i64, f32) {
    %sum = arith.addi %a, %a : tensor<2xi32>
    %pi = arith.constant dense<3.14159274> : tensor<f32>
    %wide = arith.extsi %n : i32 to i64
    %float = arith.sitofp %n : i32 to f32
    return %sum, %n, %pi, %wide, %float : tensor<2xi32>, i32, tensor<f32>, i64, f32
  }
  func.func @twice(%a: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
    %n = arith.negf %a : tensor<2xf32>
    return %n, %n : tensor<2xf32>, tensor<2xf32>
  }
  func.func @identity(%a: tensor<2x2xf32>) -> tensor<2x2xf32> {
    return %a : tensor<2x2xf32>
  }
}
