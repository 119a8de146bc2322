// 4-bit weights packed in the module's data, widened in the kernel.
//! case sub_byte_product: product(1x4xi8=1 2 3 4)
//! case sub_byte_table: table()
module @sub_byte {
  func.func @product(%a: tensor<1x4xi8>) -> tensor<1x2xi32> {
    %w = arith.constant dense<[[1, -2], [3, -4], [5, -6], [7, -8]]> : tensor<4x2xi4>
    %wide = arith.extsi %w : tensor<4x2xi4> to tensor<4x2xi8>
    %zero = arith.constant dense<0> : tensor<1x2xi32>
    %r = linalg.matmul ins(%a, %wide : tensor<1x4xi8>, tensor<4x2xi8>) outs(%zero : tensor<1x2xi32>) -> tensor<1x2xi32>
    return %r : tensor<1x2xi32>
  }
  func.func @table() -> tensor<8xi16> {
    %w = util.unfoldable_constant dense<[0, 1, 2, 3, -4, -3, -2, -1]> : tensor<8xi4>
    %r = arith.extsi %w : tensor<8xi4> to tensor<8xi16>
    return %r : tensor<8xi16>
  }
}
