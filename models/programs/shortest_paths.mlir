// All shortest paths of a graph of five nodes: a loop over kernels that each depend on the last.
//! case paths_five: paths(5x5xi32=0 3 99 7 99 8 0 2 99 99 5 99 0 1 99 2 99 99 0 4 99 1 99 99 0)
#all = affine_map<(d0, d1) -> (d0, d1)>
module @paths {
  func.func @paths(%a: tensor<5x5xi32>) -> tensor<5x5xi32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c5 = arith.constant 5 : index
    %e = tensor.empty() : tensor<5x5xi32>
    %r = scf.for %k = %c0 to %c5 step %c1 iter_args(%d = %a) -> tensor<5x5xi32> {
      %n = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]} ins(%d : tensor<5x5xi32>) outs(%e : tensor<5x5xi32>) {
      ^bb0(%direct: i32, %unused: i32):
        %i = linalg.index 0 : index
        %j = linalg.index 1 : index
        %p = tensor.extract %d[%i, %k] : tensor<5x5xi32>
        %q = tensor.extract %d[%k, %j] : tensor<5x5xi32>
        %through = arith.addi %p, %q : i32
        %best = arith.minsi %direct, %through : i32
        linalg.yield %best : i32
      } -> tensor<5x5xi32>
      scf.yield %n : tensor<5x5xi32>
    }
    return %r : tensor<5x5xi32>
  }
}
