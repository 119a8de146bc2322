// `cancellable`, for callers that do not wait.
//! flags: --iree-execution-model=async-external
module @cancellable_async {
  func.func @add(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
    %r = arith.addf %a, %b : tensor<4xf32>
    return %r : tensor<4xf32>
  }
  func.func @steps(%x: tensor<4xf32>, %rounds: index) -> tensor<4xf32> {
    %half = arith.constant dense<0.5> : tensor<4xf32>
    %one = arith.constant dense<1.0> : tensor<4xf32>
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %r = scf.for %i = %c0 to %rounds step %c1 iter_args(%y = %x) -> tensor<4xf32> {
      %0 = arith.mulf %y, %half : tensor<4xf32>
      %1 = arith.addf %0, %one : tensor<4xf32>
      scf.yield %1 : tensor<4xf32>
    }
    return %r : tensor<4xf32>
  }
  func.func @look(%x: tensor<4xf32>, %rounds: i32) -> tensor<4xf32> {
    %half = arith.constant dense<0.5> : tensor<4xf32>
    %one = arith.constant dense<1.0> : tensor<4xf32>
    %c0 = arith.constant 0 : index
    %i0 = arith.constant 0 : i32
    %i1 = arith.constant 1 : i32
    %below = arith.constant -1.0e30 : f32
    %r:2 = scf.while (%y = %x, %i = %i0) : (tensor<4xf32>, i32) -> (tensor<4xf32>, i32) {
      %first = tensor.extract %y[%c0] : tensor<4xf32>
      %sane = arith.cmpf ogt, %first, %below : f32
      %few = arith.cmpi slt, %i, %rounds : i32
      %more = arith.andi %sane, %few : i1
      scf.condition(%more) %y, %i : tensor<4xf32>, i32
    } do {
    ^bb0(%y: tensor<4xf32>, %i: i32):
      %0 = arith.mulf %y, %half : tensor<4xf32>
      %1 = arith.addf %0, %one : tensor<4xf32>
      %next = arith.addi %i, %i1 : i32
      scf.yield %1, %next : tensor<4xf32>, i32
    }
    return %r#0 : tensor<4xf32>
  }
  func.func @grind(%x: tensor<1024x1024xf32>, %rounds: index) -> tensor<1024x1024xf32> {
    %e = tensor.empty() : tensor<1024x1024xf32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<1024x1024xf32>) outs(%e : tensor<1024x1024xf32>) {
    ^bb0(%a: f32, %unused: f32):
      %half = arith.constant 0.5 : f32
      %one = arith.constant 1.0 : f32
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %y = scf.for %i = %c0 to %rounds step %c1 iter_args(%b = %a) -> f32 {
        %0 = arith.mulf %b, %half : f32
        %1 = arith.addf %0, %one : f32
        scf.yield %1 : f32
      }
      linalg.yield %y : f32
    } -> tensor<1024x1024xf32>
    return %r : tensor<1024x1024xf32>
  }
  func.func @grind_into(%x: tensor<1024x1024xf32>, %out: tensor<1024x1024xf32> {iree.abi.output = 0 : index}, %rounds: index) -> tensor<1024x1024xf32> {
    %e = tensor.empty() : tensor<1024x1024xf32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<1024x1024xf32>) outs(%e : tensor<1024x1024xf32>) {
    ^bb0(%a: f32, %unused: f32):
      %half = arith.constant 0.5 : f32
      %one = arith.constant 1.0 : f32
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %y = scf.for %i = %c0 to %rounds step %c1 iter_args(%b = %a) -> f32 {
        %0 = arith.mulf %b, %half : f32
        %1 = arith.addf %0, %one : f32
        scf.yield %1 : f32
      }
      linalg.yield %y : f32
    } -> tensor<1024x1024xf32>
    return %r : tensor<1024x1024xf32>
  }
}
