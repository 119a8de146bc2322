// One head of attention over four positions: two products, a scale, a softmax.
//! tolerance: 1e-6 1e-5
//! case attention_even: attend(4x8xf32=0; 4x8xf32=0; 4x8xf32=1 2 3 4 5 6 7 8 2 3 4 5 6 7 8 9 3 4 5 6 7 8 9 10 4 5 6 7 8 9 10 11)
//! case attention_first: attend(4x8xf32=1; 4x8xf32=9 9 9 9 9 9 9 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0; 4x8xf32=1 2 3 4 5 6 7 8 2 3 4 5 6 7 8 9 3 4 5 6 7 8 9 10 4 5 6 7 8 9 10 11)
module @attention {
  func.func @attend(%q: tensor<4x8xf32>, %k: tensor<4x8xf32>, %v: tensor<4x8xf32>) -> tensor<4x8xf32> {
    %s = arith.constant dense<0.0> : tensor<4x4xf32>
    %et = tensor.empty() : tensor<8x4xf32>
    %kt = linalg.transpose ins(%k : tensor<4x8xf32>) outs(%et : tensor<8x4xf32>) permutation = [1, 0]
    %scores = linalg.matmul ins(%q, %kt : tensor<4x8xf32>, tensor<8x4xf32>) outs(%s : tensor<4x4xf32>) -> tensor<4x4xf32>
    %scale = arith.constant dense<0.353553385> : tensor<4x4xf32>
    %scaled = arith.mulf %scores, %scale : tensor<4x4xf32>
    %e = tensor.empty() : tensor<4x4xf32>
    %p = linalg.softmax dimension(1) ins(%scaled : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
    %z = arith.constant dense<0.0> : tensor<4x8xf32>
    %r = linalg.matmul ins(%p, %v : tensor<4x4xf32>, tensor<4x8xf32>) outs(%z : tensor<4x8xf32>) -> tensor<4x8xf32>
    return %r : tensor<4x8xf32>
  }
}
