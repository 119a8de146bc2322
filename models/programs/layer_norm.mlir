// Mean, variance and a scaled residue of each row, rows known at run time.
//! tolerance: 1e-6 1e-5
//! case layer_norm_two: normalise(2x4xf32=1 2 3 4 10 20 30 40)
//! case layer_norm_flat: normalise(1x4xf32=5 5 5 5)
#row = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>
module @layer_norm {
  func.func @normalise(%a: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %quarter = arith.constant 0.25 : f32
    %epsilon = arith.constant 1.0e-5 : f32
    %n = tensor.dim %a, %c0 : tensor<?x4xf32>
    %er = tensor.empty(%n) : tensor<?xf32>
    %ea = tensor.empty(%n) : tensor<?x4xf32>
    %zr = linalg.fill ins(%zero : f32) outs(%er : tensor<?xf32>) -> tensor<?xf32>
    %sum = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]} ins(%a : tensor<?x4xf32>) outs(%zr : tensor<?xf32>) {
    ^bb0(%x: f32, %acc: f32):
      %m = arith.mulf %x, %quarter : f32
      %t = arith.addf %acc, %m : f32
      linalg.yield %t : f32
    } -> tensor<?xf32>
    %variance = linalg.generic {indexing_maps = [#all, #row, #row], iterator_types = ["parallel", "reduction"]} ins(%a, %sum : tensor<?x4xf32>, tensor<?xf32>) outs(%zr : tensor<?xf32>) {
    ^bb0(%x: f32, %mean: f32, %acc: f32):
      %d = arith.subf %x, %mean : f32
      %s = arith.mulf %d, %d : f32
      %m = arith.mulf %s, %quarter : f32
      %t = arith.addf %acc, %m : f32
      linalg.yield %t : f32
    } -> tensor<?xf32>
    %r = linalg.generic {indexing_maps = [#all, #row, #row, #all], iterator_types = ["parallel", "parallel"]} ins(%a, %sum, %variance : tensor<?x4xf32>, tensor<?xf32>, tensor<?xf32>) outs(%ea : tensor<?x4xf32>) {
    ^bb0(%x: f32, %mean: f32, %var: f32, %unused: f32):
      %d = arith.subf %x, %mean : f32
      %v = arith.addf %var, %epsilon : f32
      %s = math.rsqrt %v : f32
      %t = arith.mulf %d, %s : f32
      linalg.yield %t : f32
    } -> tensor<?x4xf32>
    return %r : tensor<?x4xf32>
  }
}
