// Sum, maximum, minimum and product over one dimension or all.
//! case sum_rows: sum_rows(2x3xf32=1 2 3 4 5 6)
//! case sum_columns: sum_columns(2x3xf32=1 2 3 4 5 6)
//! case sum_all: sum_all(2x3xf32=1 2 3 4 5 6)
//! case maximum_i32: maximum(5xi32=3 -9 27 8 26)
//! case minimum_i32: minimum(5xi32=3 -9 27 8 26)
//! case product_i64: product(4xi64=2 3 5000000000 -7)
module @reductions {
  func.func @sum_rows(%a: tensor<2x3xf32>) -> tensor<2xf32> {
    %zero = arith.constant dense<0.0> : tensor<2xf32>
    %sum = linalg.reduce ins(%a : tensor<2x3xf32>) outs(%zero : tensor<2xf32>) dimensions = [1] (%x: f32, %y: f32) {
      %s = arith.addf %x, %y : f32
      linalg.yield %s : f32
    }
    return %sum : tensor<2xf32>
  }
  func.func @sum_columns(%a: tensor<2x3xf32>) -> tensor<3xf32> {
    %zero = arith.constant dense<0.0> : tensor<3xf32>
    %sum = linalg.reduce ins(%a : tensor<2x3xf32>) outs(%zero : tensor<3xf32>) dimensions = [0] (%x: f32, %y: f32) {
      %s = arith.addf %x, %y : f32
      linalg.yield %s : f32
    }
    return %sum : tensor<3xf32>
  }
  func.func @sum_all(%a: tensor<2x3xf32>) -> tensor<f32> {
    %zero = arith.constant dense<0.0> : tensor<f32>
    %sum = linalg.reduce ins(%a : tensor<2x3xf32>) outs(%zero : tensor<f32>) dimensions = [0, 1] (%x: f32, %y: f32) {
      %s = arith.addf %x, %y : f32
      linalg.yield %s : f32
    }
    return %sum : tensor<f32>
  }
  func.func @maximum(%a: tensor<5xi32>) -> tensor<i32> {
    %lowest = arith.constant dense<-2147483648> : tensor<i32>
    %result = linalg.reduce ins(%a : tensor<5xi32>) outs(%lowest : tensor<i32>) dimensions = [0] (%x: i32, %y: i32) {
      %m = arith.maxsi %x, %y : i32
      linalg.yield %m : i32
    }
    return %result : tensor<i32>
  }
  func.func @minimum(%a: tensor<5xi32>) -> tensor<i32> {
    %highest = arith.constant dense<2147483647> : tensor<i32>
    %result = linalg.reduce ins(%a : tensor<5xi32>) outs(%highest : tensor<i32>) dimensions = [0] (%x: i32, %y: i32) {
      %m = arith.minsi %x, %y : i32
      linalg.yield %m : i32
    }
    return %result : tensor<i32>
  }
  func.func @product(%a: tensor<4xi64>) -> tensor<i64> {
    %one = arith.constant dense<1> : tensor<i64>
    %result = linalg.reduce ins(%a : tensor<4xi64>) outs(%one : tensor<i64>) dimensions = [0] (%x: i64, %y: i64) {
      %m = arith.muli %x, %y : i64
      linalg.yield %m : i64
    }
    return %result : tensor<i64>
  }
}
