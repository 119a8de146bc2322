// Complex numbers: arithmetic in a kernel; values print as the hexadecimal bytes of each element.
//! case complex_multiply: multiply(2xcf64=0000803F00000040 0000404000008040; 2xcf64=0000004000000000 0000803F000080BF)
//! case complex_conjugate: conjugate(2xcf64=0000803F00000040 0000404000008040)
//! case complex_parts: parts(2xcf64=0000803F00000040 0000404000008040)
//! case complex_pair: pair(2xf32=1 -2; 2xf32=0.5 0)
#map = affine_map<(d0) -> (d0)>
module @complex {
  func.func @multiply(%a: tensor<2xcomplex<f32>>, %b: tensor<2xcomplex<f32>>) -> tensor<2xcomplex<f32>> {
    %empty = tensor.empty() : tensor<2xcomplex<f32>>
    %r = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel"]}
      ins(%a, %b : tensor<2xcomplex<f32>>, tensor<2xcomplex<f32>>) outs(%empty : tensor<2xcomplex<f32>>) {
    ^bb0(%x: complex<f32>, %y: complex<f32>, %unused: complex<f32>):
      %p = complex.mul %x, %y : complex<f32>
      linalg.yield %p : complex<f32>
    } -> tensor<2xcomplex<f32>>
    return %r : tensor<2xcomplex<f32>>
  }
  func.func @conjugate(%a: tensor<2xcomplex<f32>>) -> tensor<2xcomplex<f32>> {
    %empty = tensor.empty() : tensor<2xcomplex<f32>>
    %r = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]}
      ins(%a : tensor<2xcomplex<f32>>) outs(%empty : tensor<2xcomplex<f32>>) {
    ^bb0(%x: complex<f32>, %unused: complex<f32>):
      %re = complex.re %x : complex<f32>
      %im = complex.im %x : complex<f32>
      %neg = arith.negf %im : f32
      %c = complex.create %re, %neg : complex<f32>
      linalg.yield %c : complex<f32>
    } -> tensor<2xcomplex<f32>>
    return %r : tensor<2xcomplex<f32>>
  }
  func.func @parts(%a: tensor<2xcomplex<f32>>) -> (tensor<2xf32>, tensor<2xf32>) {
    %empty = tensor.empty() : tensor<2xf32>
    %r:2 = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel"]}
      ins(%a : tensor<2xcomplex<f32>>) outs(%empty, %empty : tensor<2xf32>, tensor<2xf32>) {
    ^bb0(%x: complex<f32>, %u0: f32, %u1: f32):
      %re = complex.re %x : complex<f32>
      %im = complex.im %x : complex<f32>
      linalg.yield %re, %im : f32, f32
    } -> (tensor<2xf32>, tensor<2xf32>)
    return %r#0, %r#1 : tensor<2xf32>, tensor<2xf32>
  }
  func.func @pair(%a: tensor<2xf32>, %b: tensor<2xf32>) -> tensor<2xcomplex<f32>> {
    %empty = tensor.empty() : tensor<2xcomplex<f32>>
    %r = linalg.generic {indexing_maps = [#map, #map, #map], iterator_types = ["parallel"]}
      ins(%a, %b : tensor<2xf32>, tensor<2xf32>) outs(%empty : tensor<2xcomplex<f32>>) {
    ^bb0(%x: f32, %y: f32, %unused: complex<f32>):
      %c = complex.create %x, %y : complex<f32>
      linalg.yield %c : complex<f32>
    } -> tensor<2xcomplex<f32>>
    return %r : tensor<2xcomplex<f32>>
  }
}
