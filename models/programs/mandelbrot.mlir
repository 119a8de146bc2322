// Iterations of a small picture, counted inside the kernel by a loop.
//! case mandelbrot_small: picture()
module @mandelbrot {
  func.func @picture() -> tensor<8x16xi32> {
    %e = tensor.empty() : tensor<8x16xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} outs(%e : tensor<8x16xi32>) {
    ^bb0(%unused: i32):
      %y = linalg.index 0 : index
      %x = linalg.index 1 : index
      %yi = arith.index_cast %y : index to i32
      %xi = arith.index_cast %x : index to i32
      %yf = arith.sitofp %yi : i32 to f32
      %xf = arith.sitofp %xi : i32 to f32
      %sy = arith.constant 0.3125 : f32
      %sx = arith.constant 0.1875 : f32
      %oy = arith.constant -1.09375 : f32
      %ox = arith.constant -2.0 : f32
      %ym = arith.mulf %yf, %sy : f32
      %xm = arith.mulf %xf, %sx : f32
      %ci = arith.addf %ym, %oy : f32
      %cr = arith.addf %xm, %ox : f32
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c20 = arith.constant 20 : index
      %zero = arith.constant 0.0 : f32
      %none = arith.constant 0 : i32
      %two = arith.constant 2.0 : f32
      %four = arith.constant 4.0 : f32
      %one = arith.constant 1 : i32
      %z:3 = scf.for %i = %c0 to %c20 step %c1 iter_args(%zr = %zero, %zi = %zero, %n = %none) -> (f32, f32, i32) {
        %rr = arith.mulf %zr, %zr : f32
        %ii = arith.mulf %zi, %zi : f32
        %size = arith.addf %rr, %ii : f32
        %inside = arith.cmpf ole, %size, %four : f32
        %ri = arith.mulf %zr, %zi : f32
        %d = arith.subf %rr, %ii : f32
        %nr = arith.addf %d, %cr : f32
        %ri2 = arith.mulf %ri, %two : f32
        %ni = arith.addf %ri2, %ci : f32
        %n1 = arith.addi %n, %one : i32
        %kr = arith.select %inside, %nr, %zr : f32
        %ki = arith.select %inside, %ni, %zi : f32
        %kn = arith.select %inside, %n1, %n : i32
        scf.yield %kr, %ki, %kn : f32, f32, i32
      }
      linalg.yield %z#2 : i32
    } -> tensor<8x16xi32>
    return %r : tensor<8x16xi32>
  }
}
