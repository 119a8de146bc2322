// Kernels as bytecode, without micro-kernels: portable, slow, and run by the VM wherever machine code may not be.
//! flags: --iree-hal-target-device=local --iree-hal-local-target-device-backends=vmvx
//! case vmvx_bytecode_add: add(5xf32=1 2 3 4 5; 5xf32=10 20 30 40 50)
//! case vmvx_bytecode_add_long: add(200xf32=0.5; 200xf32=0.25)
//! case vmvx_bytecode_add_none: add(0xf32; 0xf32)
//! case vmvx_bytecode_any: any(3x5xf32=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; 5x2xf32=1 -1 2 -2 3 -3 4 -4 5 -5)
//! case vmvx_bytecode_matmul: matmul(2x3xf32=1 2 3 4 5 6; 3x4xf32=1 0 2 0 0 1 0 2 1 1 1 1)
//! case vmvx_bytecode_collatz: collatz(6xi32=1 2 3 7 27 97)
//! case vmvx_bytecode_bytes: bytes(7xi8=1 -2 3 -128 127 0 9)
//! case vmvx_bytecode_wide: wide(3xi64=1 -2 9223372036854775807)
//! case vmvx_bytecode_flush: add(1xf32=1e-40; 1xf32=1e-40)
//! case vmvx_bytecode_gather: gather(6xf32=0 10 20 30 40 50; 4xi32=5 0 2 2)
module @vmvx_bytecode {
  func.func @add(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
    %r = arith.addf %a, %b : tensor<?xf32>
    return %r : tensor<?xf32>
  }
  func.func @matmul(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) -> tensor<2x4xf32> {
    %zero = arith.constant dense<0.0> : tensor<2x4xf32>
    %r = linalg.matmul ins(%a, %b : tensor<2x3xf32>, tensor<3x4xf32>) outs(%zero : tensor<2x4xf32>) -> tensor<2x4xf32>
    return %r : tensor<2x4xf32>
  }
  // Steps until 1: a loop inside the kernel.
  func.func @collatz(%a: tensor<6xi32>) -> tensor<6xi32> {
    %zero = arith.constant 0 : i32
    %one = arith.constant 1 : i32
    %two = arith.constant 2 : i32
    %three = arith.constant 3 : i32
    %empty = tensor.empty() : tensor<6xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
        ins(%a : tensor<6xi32>) outs(%empty : tensor<6xi32>) {
    ^bb0(%x: i32, %unused: i32):
      %end:2 = scf.while (%value = %x, %steps = %zero) : (i32, i32) -> (i32, i32) {
        %more = arith.cmpi sgt, %value, %one : i32
        scf.condition(%more) %value, %steps : i32, i32
      } do {
      ^bb0(%value: i32, %steps: i32):
        %rest = arith.remsi %value, %two : i32
        %odd = arith.cmpi ne, %rest, %zero : i32
        %half = arith.divsi %value, %two : i32
        %triple = arith.muli %value, %three : i32
        %up = arith.addi %triple, %one : i32
        %next = arith.select %odd, %up, %half : i32
        %count = arith.addi %steps, %one : i32
        scf.yield %next, %count : i32, i32
      }
      linalg.yield %end#1 : i32
    } -> tensor<6xi32>
    return %r : tensor<6xi32>
  }
  func.func @bytes(%a: tensor<7xi8>) -> (tensor<7xi8>, tensor<7xi32>) {
    %r = arith.addi %a, %a : tensor<7xi8>
    %w = arith.extsi %a : tensor<7xi8> to tensor<7xi32>
    %s = arith.muli %w, %w : tensor<7xi32>
    return %r, %s : tensor<7xi8>, tensor<7xi32>
  }
  func.func @wide(%a: tensor<3xi64>) -> tensor<3xi64> {
    %r = arith.addi %a, %a : tensor<3xi64>
    return %r : tensor<3xi64>
  }
  func.func @gather(%a: tensor<6xf32>, %i: tensor<4xi32>) -> tensor<4xf32> {
    %empty = tensor.empty() : tensor<4xf32>
    %r = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
        ins(%i : tensor<4xi32>) outs(%empty : tensor<4xf32>) {
    ^bb0(%x: i32, %unused: f32):
      %at = arith.index_cast %x : i32 to index
      %value = tensor.extract %a[%at] : tensor<6xf32>
      linalg.yield %value : f32
    } -> tensor<4xf32>
    return %r : tensor<4xf32>
  }
  func.func @any(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>) -> tensor<?x?xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %m = tensor.dim %a, %c0 : tensor<?x?xf32>
    %n = tensor.dim %b, %c1 : tensor<?x?xf32>
    %empty = tensor.empty(%m, %n) : tensor<?x?xf32>
    %filled = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x?xf32>) -> tensor<?x?xf32>
    %r = linalg.matmul ins(%a, %b : tensor<?x?xf32>, tensor<?x?xf32>) outs(%filled : tensor<?x?xf32>) -> tensor<?x?xf32>
    return %r : tensor<?x?xf32>
  }
}
