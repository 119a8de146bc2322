// A module that is not at the same time a zip file.
//! flags: --iree-vm-emit-polyglot-zip=false
//! case flat_add: add(2xi32=1 2)
//! case flat_table: table()
module @flat {
  func.func @add(%a: tensor<2xi32>) -> tensor<2xi32> {
    %r = arith.addi %a, %a : tensor<2xi32>
    return %r : tensor<2xi32>
  }
  func.func @table() -> tensor<6xi16> {
    %r = arith.constant dense<[1, 1, 2, 3, 5, 8]> : tensor<6xi16>
    return %r : tensor<6xi16>
  }
}
