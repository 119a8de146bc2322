// Conversions between element types inside kernels, which truncate (unlike the host's).
//! flags: --iree-input-demote-f64-to-f32=false
//! case kernel_f32_to_i32: f32_to_i32(5xf32=1.5 -1.5 2.999 -0.1 100000)
//! case kernel_i32_to_f32: i32_to_f32(4xi32=1 -1 16777217 2147483647)
//! case kernel_u8_to_f32: u8_to_f32(4xui8=0 1 128 255)
//! case kernel_widen_i8: widen_i8(4xi8=-128 -1 0 127)
//! case kernel_narrow_i64: narrow_i64(4xi64=4294967296 -1 300 65537)
//! case kernel_f32_to_f16: f32_to_f16(5xf32=0.1 65519 65520 1e-8 -2)
//! case kernel_f32_to_bf16: f32_to_bf16(4xf32=0.1 1.00390625 3.4e38 -2)
//! case kernel_bits: bits(3xf32=1 -0 nan)
module @conversions {
  func.func @f32_to_i32(%a: tensor<5xf32>) -> (tensor<5xi32>, tensor<5xi8>) {
    %0 = arith.fptosi %a : tensor<5xf32> to tensor<5xi32>
    %1 = arith.trunci %0 : tensor<5xi32> to tensor<5xi8>
    return %0, %1 : tensor<5xi32>, tensor<5xi8>
  }
  func.func @i32_to_f32(%a: tensor<4xi32>) -> (tensor<4xf32>, tensor<4xf64>, tensor<4xf32>) {
    %0 = arith.sitofp %a : tensor<4xi32> to tensor<4xf32>
    %1 = arith.sitofp %a : tensor<4xi32> to tensor<4xf64>
    %2 = arith.uitofp %a : tensor<4xi32> to tensor<4xf32>
    return %0, %1, %2 : tensor<4xf32>, tensor<4xf64>, tensor<4xf32>
  }
  func.func @u8_to_f32(%a: tensor<4xui8>) -> tensor<4xf32> {
    %0 = tensor.bitcast %a : tensor<4xui8> to tensor<4xi8>
    %1 = arith.uitofp %0 : tensor<4xi8> to tensor<4xf32>
    return %1 : tensor<4xf32>
  }
  func.func @widen_i8(%a: tensor<4xi8>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xi64>) {
    %0 = arith.extsi %a : tensor<4xi8> to tensor<4xi32>
    %1 = arith.extui %a : tensor<4xi8> to tensor<4xi32>
    %2 = arith.extsi %a : tensor<4xi8> to tensor<4xi64>
    return %0, %1, %2 : tensor<4xi32>, tensor<4xi32>, tensor<4xi64>
  }
  func.func @narrow_i64(%a: tensor<4xi64>) -> (tensor<4xi32>, tensor<4xi16>, tensor<4xi8>) {
    %0 = arith.trunci %a : tensor<4xi64> to tensor<4xi32>
    %1 = arith.trunci %a : tensor<4xi64> to tensor<4xi16>
    %2 = arith.trunci %a : tensor<4xi64> to tensor<4xi8>
    return %0, %1, %2 : tensor<4xi32>, tensor<4xi16>, tensor<4xi8>
  }
  func.func @f32_to_f16(%a: tensor<5xf32>) -> tensor<5xf16> {
    %0 = arith.truncf %a : tensor<5xf32> to tensor<5xf16>
    return %0 : tensor<5xf16>
  }
  func.func @f32_to_bf16(%a: tensor<4xf32>) -> tensor<4xbf16> {
    %0 = arith.truncf %a : tensor<4xf32> to tensor<4xbf16>
    return %0 : tensor<4xbf16>
  }
  func.func @bits(%a: tensor<3xf32>) -> tensor<3xi32> {
    %0 = arith.bitcast %a : tensor<3xf32> to tensor<3xi32>
    return %0 : tensor<3xi32>
  }
}
