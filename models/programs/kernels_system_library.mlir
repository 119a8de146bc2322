// Kernels in a shared library of the platform instead of an embedded ELF: elementary functions come from the C library.
//! flags: --iree-llvmcpu-link-embedded=false
//! tolerance: 1e-6 1e-5
//! case system_library_add: add(5xi32=1 2 3 4 5)
//! case system_library_functions: functions(3xf32=0.5 1 2)
module @system_library {
  func.func @add(%a: tensor<5xi32>) -> tensor<5xi32> {
    %r = arith.addi %a, %a : tensor<5xi32>
    return %r : tensor<5xi32>
  }
  func.func @functions(%a: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
    %0 = math.exp %a : tensor<3xf32>
    %1 = math.tan %a : tensor<3xf32>
    return %0, %1 : tensor<3xf32>, tensor<3xf32>
  }
}
