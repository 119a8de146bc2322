// Results written into storage that the caller brings.
//! case in_place_result: add(4xf32=1 2 3 4; 4xf32=10 20 30 40; 4xf32=0)
//! case in_place_buffer: add_to_buffer(4xf32=1 2 3 4; &4xf32=0)
module @in_place {
  func.func @add(%a: tensor<4xf32>, %b: tensor<4xf32>, %out: tensor<4xf32> {iree.abi.output = 0 : index}) -> tensor<4xf32> {
    %r = arith.addf %a, %b : tensor<4xf32>
    return %r : tensor<4xf32>
  }
  func.func @add_to_buffer(%a: tensor<4xf32>, %out: !hal.buffer {iree.abi.output = 0 : index}) -> tensor<4xf32> {
    %r = arith.addf %a, %a : tensor<4xf32>
    return %r : tensor<4xf32>
  }
}
