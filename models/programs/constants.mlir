// Constants of every type: splats become fills, tables become data in the module.
//! flags: --iree-input-demote-f64-to-f32=false
//! case constants_tables: tables()
//! case constants_floats: floats()
//! case constants_scalars: scalars()
//! case constants_splats: splats()
module @constants {
  func.func @tables() -> (tensor<3xi8>, tensor<3xi16>, tensor<3xi32>, tensor<3xi64>, tensor<5xi1>) {
    %a = arith.constant dense<[1, -2, 127]> : tensor<3xi8>
    %b = arith.constant dense<[1, -2, 32767]> : tensor<3xi16>
    %c = arith.constant dense<[1, -2, 2147483647]> : tensor<3xi32>
    %d = arith.constant dense<[1, -2, 9223372036854775807]> : tensor<3xi64>
    %e = arith.constant dense<[true, false, true, true, false]> : tensor<5xi1>
    return %a, %b, %c, %d, %e : tensor<3xi8>, tensor<3xi16>, tensor<3xi32>, tensor<3xi64>, tensor<5xi1>
  }
  func.func @floats() -> (tensor<3xf16>, tensor<3xbf16>, tensor<3xf32>, tensor<3xf64>) {
    %a = arith.constant dense<[1.5, -0.1, 65504.0]> : tensor<3xf16>
    %b = arith.constant dense<[1.5, -0.1, 3.0e38]> : tensor<3xbf16>
    %c = arith.constant dense<[1.5, -0.1, 3.0e38]> : tensor<3xf32>
    %d = arith.constant dense<[1.5, -0.1, 3.0e300]> : tensor<3xf64>
    return %a, %b, %c, %d : tensor<3xf16>, tensor<3xbf16>, tensor<3xf32>, tensor<3xf64>
  }
  func.func @scalars() -> (tensor<f32>, tensor<i64>, tensor<i1>) {
    %a = arith.constant dense<2.71828175> : tensor<f32>
    %b = arith.constant dense<-7> : tensor<i64>
    %c = arith.constant dense<true> : tensor<i1>
    return %a, %b, %c : tensor<f32>, tensor<i64>, tensor<i1>
  }
  func.func @splats() -> (tensor<5xi8>, tensor<5xi16>, tensor<5xi32>, tensor<5xi64>, tensor<5xf64>) {
    %a = arith.constant dense<7> : tensor<5xi8>
    %b = arith.constant dense<300> : tensor<5xi16>
    %c = arith.constant dense<70000> : tensor<5xi32>
    %d = arith.constant dense<5000000001> : tensor<5xi64>
    %e = arith.constant dense<0.1> : tensor<5xf64>
    return %a, %b, %c, %d, %e : tensor<5xi8>, tensor<5xi16>, tensor<5xi32>, tensor<5xi64>, tensor<5xf64>
  }
}
