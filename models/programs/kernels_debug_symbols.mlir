// The same kernels with debug symbols in their ELF files: more sections, more symbols.
//! flags: --iree-llvmcpu-debug-symbols=true
//! case debug_symbols_add: add(5xi32=1 2 3 4 5)
//! case debug_symbols_exp: exp(2xf32=0 1)
module @debug_symbols {
  func.func @add(%a: tensor<5xi32>) -> tensor<5xi32> {
    %r = arith.addi %a, %a : tensor<5xi32>
    return %r : tensor<5xi32>
  }
  func.func @exp(%a: tensor<2xf32>) -> tensor<2xf32> {
    %r = math.exp %a : tensor<2xf32>
    return %r : tensor<2xf32>
  }
}
