// A recurrent cell unrolled on the host over a sequence whose length is known when called.
//! tolerance: 1e-6 1e-5
//! case recurrent_five: run(5x2xf32=1 0 0 1 1 1 -1 0.5 0.25 -2)
//! case recurrent_none: run(0x2xf32)
module @recurrent {
  func.func @run(%sequence: tensor<?x2xf32>) -> tensor<1x3xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %n = tensor.dim %sequence, %c0 : tensor<?x2xf32>
    %w = arith.constant dense<[[0.5, -0.25, 1.0], [0.75, 0.5, -0.5]]> : tensor<2x3xf32>
    %u = arith.constant dense<[[0.1, 0.2, 0.3], [-0.3, 0.1, 0.2], [0.2, -0.1, 0.4]]> : tensor<3x3xf32>
    %h0 = arith.constant dense<0.0> : tensor<1x3xf32>
    %zero = arith.constant dense<0.0> : tensor<1x3xf32>
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%h = %h0) -> tensor<1x3xf32> {
      %x = tensor.extract_slice %sequence[%i, 0] [1, 2] [1, 1] : tensor<?x2xf32> to tensor<1x2xf32>
      %a = linalg.matmul ins(%x, %w : tensor<1x2xf32>, tensor<2x3xf32>) outs(%zero : tensor<1x3xf32>) -> tensor<1x3xf32>
      %b = linalg.matmul ins(%h, %u : tensor<1x3xf32>, tensor<3x3xf32>) outs(%a : tensor<1x3xf32>) -> tensor<1x3xf32>
      %t = math.tanh %b : tensor<1x3xf32>
      scf.yield %t : tensor<1x3xf32>
    }
    return %r : tensor<1x3xf32>
  }
}
