// What the benchmark tool finds by itself, and what must be named: no inputs, inputs, details, marked functions.
//! case benchmarks_add: add(4xf32=1 2 3 4; 4xf32=10)
//! case benchmarks_doubled: doubled()
//! case benchmarks_seven: seven()
//! failing case benchmarks_ambiguous: ()
module @benchmarks {
  func.func @add(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
    %sum = arith.addf %a, %b : tensor<4xf32>
    return %sum : tensor<4xf32>
  }
  func.func @seven() -> i32 {
    %c7 = arith.constant 7 : i32
    return %c7 : i32
  }
  func.func @doubled() -> tensor<4xf32> {
    %one = util.unfoldable_constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
    %sum = arith.addf %one, %one : tensor<4xf32>
    return %sum : tensor<4xf32>
  }
}
