// Repeated matrix-vector products with normalisation, the end decided by data.
//! tolerance: 1e-5 1e-4
//! case power_two: dominant(2x2xf32=2 1 1 3)
module @power {
  func.func @dominant(%m: tensor<2x2xf32>) -> tensor<2xf32> {
    %start = arith.constant dense<1.0> : tensor<2xf32>
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c30 = arith.constant 30 : index
    %zero = arith.constant dense<0.0> : tensor<2xf32>
    %lowest = arith.constant dense<0.0> : tensor<f32>
    %r = scf.for %i = %c0 to %c30 step %c1 iter_args(%v = %start) -> tensor<2xf32> {
      %w = linalg.matvec ins(%m, %v : tensor<2x2xf32>, tensor<2xf32>) outs(%zero : tensor<2xf32>) -> tensor<2xf32>
      %max = linalg.reduce ins(%w : tensor<2xf32>) outs(%lowest : tensor<f32>) dimensions = [0] (%x: f32, %y: f32) {
        %s = arith.maximumf %x, %y : f32
        linalg.yield %s : f32
      }
      %n = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
        ins(%w, %max : tensor<2xf32>, tensor<f32>) outs(%zero : tensor<2xf32>) {
      ^bb0(%x: f32, %y: f32, %unused: f32):
        %q = arith.divf %x, %y : f32
        linalg.yield %q : f32
      } -> tensor<2xf32>
      scf.yield %n : tensor<2xf32>
    }
    return %r : tensor<2xf32>
  }
}
