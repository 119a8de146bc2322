// Sorting by swapping neighbours, element by element through the host: slow on purpose, many small dispatches and readbacks.
//! case bubble_sort_six: sort(6xi32=5 3 9 -1 0 3)
//! case bubble_sort_sorted: sort(6xi32=1 2 3 4 5 6)
module @bubble {
  func.func @sort(%a: tensor<6xi32>) -> (tensor<6xi32>, i32) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c5 = arith.constant 5 : index
    %c6 = arith.constant 6 : index
    %none = arith.constant 0 : i32
    %one = arith.constant 1 : i32
    %r:2 = scf.for %i = %c0 to %c6 step %c1 iter_args(%x = %a, %swaps = %none) -> (tensor<6xi32>, i32) {
      %s:2 = scf.for %j = %c0 to %c5 step %c1 iter_args(%y = %x, %n = %swaps) -> (tensor<6xi32>, i32) {
        %k = arith.addi %j, %c1 : index
        %p = tensor.extract %y[%j] : tensor<6xi32>
        %q = tensor.extract %y[%k] : tensor<6xi32>
        %swap = arith.cmpi sgt, %p, %q : i32
        %t:2 = scf.if %swap -> (tensor<6xi32>, i32) {
          %u = tensor.insert %q into %y[%j] : tensor<6xi32>
          %v = tensor.insert %p into %u[%k] : tensor<6xi32>
          %m = arith.addi %n, %one : i32
          scf.yield %v, %m : tensor<6xi32>, i32
        } else {
          scf.yield %y, %n : tensor<6xi32>, i32
        }
        scf.yield %t#0, %t#1 : tensor<6xi32>, i32
      }
      scf.yield %s#0, %s#1 : tensor<6xi32>, i32
    }
    return %r#0, %r#1 : tensor<6xi32>, i32
  }
}
