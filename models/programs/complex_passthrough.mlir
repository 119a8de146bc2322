// Types that no kernel touches: arguments come back as they went in, in every numeric form.
//! flags: --iree-input-demote-f64-to-f32=false
//! case pass_complex64: complex64(1xcf64=0000803F000000C0)
//! case pass_complex128: complex128(1xcf128=000000000000F03F00000000000000C0)
//! case pass_f64: double(3xf64=1.5 -inf 1e-300)
//! case pass_bf16: brain(3xbf16=1.5 nan 3e-39)
//! case pass_bool: boolean(2x2xi1=00 01 01 00)
//! case pass_si64: signed(2xsi64=-9223372036854775808 9223372036854775807)
//! case pass_ui64: unsigned(2xui64=18446744073709551615 0)
//! case pass_i8_as_si8: narrow(3xsi8=-128 127 0)
//! case pass_i8_as_ui8: narrow(3xui8=128 255 0)
module @passthrough {
  func.func @complex64(%a: tensor<1xcomplex<f32>>) -> tensor<1xcomplex<f32>> {
    return %a : tensor<1xcomplex<f32>>
  }
  func.func @complex128(%a: tensor<1xcomplex<f64>>) -> tensor<1xcomplex<f64>> {
    return %a : tensor<1xcomplex<f64>>
  }
  func.func @double(%a: tensor<3xf64>) -> tensor<3xf64> {
    return %a : tensor<3xf64>
  }
  func.func @brain(%a: tensor<3xbf16>) -> tensor<3xbf16> {
    return %a : tensor<3xbf16>
  }
  func.func @boolean(%a: tensor<2x2xi1>) -> tensor<2x2xi1> {
    return %a : tensor<2x2xi1>
  }
  func.func @signed(%a: tensor<2xsi64>) -> tensor<2xsi64> {
    return %a : tensor<2xsi64>
  }
  func.func @unsigned(%a: tensor<2xui64>) -> tensor<2xui64> {
    return %a : tensor<2xui64>
  }
  func.func @narrow(%a: tensor<3xi8>) -> tensor<3xi8> {
    return %a : tensor<3xi8>
  }
}
