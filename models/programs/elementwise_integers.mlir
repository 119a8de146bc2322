// One function for each integer type; signed and unsigned inputs print as what they were declared.
//! case add_i8: add_i8(4xi8=1 -2 127 -128; 4xi8=1)
//! case add_i8_signed: add_i8(4xsi8=1 -2 127 -128; 4xsi8=1)
//! case add_i16: add_i16(3xi16=1 -2 32767; 3xi16=1)
//! case add_i32: add_i32(3xi32=1 -2 2147483647; 3xi32=1)
//! case add_i64: add_i64(2xi64=9223372036854775807 -5; 2xi64=1)
//! case add_ui8: add_ui8(4xui8=1 254 255 0; 4xui8=1)
//! case add_ui16: add_ui16(3xui16=1 65535 40000; 3xui16=1)
//! case add_ui32: add_ui32(3xui32=1 4294967295 3000000000; 3xui32=1)
//! case add_ui64: add_ui64(2xui64=18446744073709551615 5; 2xui64=3)
//! case flip_i1: flip_i1(4xi1=01 00 00 01)
module @elementwise {
  func.func @add_i8(%a: tensor<4xi8>, %b: tensor<4xi8>) -> tensor<4xi8> {
    %sum = arith.addi %a, %b : tensor<4xi8>
    return %sum : tensor<4xi8>
  }
  func.func @add_i16(%a: tensor<3xi16>, %b: tensor<3xi16>) -> tensor<3xi16> {
    %sum = arith.addi %a, %b : tensor<3xi16>
    return %sum : tensor<3xi16>
  }
  func.func @add_i32(%a: tensor<3xi32>, %b: tensor<3xi32>) -> tensor<3xi32> {
    %sum = arith.addi %a, %b : tensor<3xi32>
    return %sum : tensor<3xi32>
  }
  func.func @add_i64(%a: tensor<2xi64>, %b: tensor<2xi64>) -> tensor<2xi64> {
    %sum = arith.addi %a, %b : tensor<2xi64>
    return %sum : tensor<2xi64>
  }
  func.func @add_ui8(%a: tensor<4xui8>, %b: tensor<4xui8>) -> tensor<4xui8> {
    %x = tensor.bitcast %a : tensor<4xui8> to tensor<4xi8>
    %y = tensor.bitcast %b : tensor<4xui8> to tensor<4xi8>
    %sum = arith.addi %x, %y : tensor<4xi8>
    %z = tensor.bitcast %sum : tensor<4xi8> to tensor<4xui8>
    return %z : tensor<4xui8>
  }
  func.func @add_ui16(%a: tensor<3xui16>, %b: tensor<3xui16>) -> tensor<3xui16> {
    %x = tensor.bitcast %a : tensor<3xui16> to tensor<3xi16>
    %y = tensor.bitcast %b : tensor<3xui16> to tensor<3xi16>
    %sum = arith.addi %x, %y : tensor<3xi16>
    %z = tensor.bitcast %sum : tensor<3xi16> to tensor<3xui16>
    return %z : tensor<3xui16>
  }
  func.func @add_ui32(%a: tensor<3xui32>, %b: tensor<3xui32>) -> tensor<3xui32> {
    %x = tensor.bitcast %a : tensor<3xui32> to tensor<3xi32>
    %y = tensor.bitcast %b : tensor<3xui32> to tensor<3xi32>
    %sum = arith.addi %x, %y : tensor<3xi32>
    %z = tensor.bitcast %sum : tensor<3xi32> to tensor<3xui32>
    return %z : tensor<3xui32>
  }
  func.func @add_ui64(%a: tensor<2xui64>, %b: tensor<2xui64>) -> tensor<2xui64> {
    %x = tensor.bitcast %a : tensor<2xui64> to tensor<2xi64>
    %y = tensor.bitcast %b : tensor<2xui64> to tensor<2xi64>
    %sum = arith.addi %x, %y : tensor<2xi64>
    %z = tensor.bitcast %sum : tensor<2xi64> to tensor<2xui64>
    return %z : tensor<2xui64>
  }
  func.func @flip_i1(%a: tensor<4xi1>) -> tensor<4xi1> {
    %true = arith.constant dense<true> : tensor<4xi1>
    %flipped = arith.xori %a, %true : tensor<4xi1>
    return %flipped : tensor<4xi1>
  }
}
