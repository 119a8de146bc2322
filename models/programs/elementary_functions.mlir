// Elementary functions inside kernels; the compiler brings its own approximations.
//! tolerance: 1e-6 1e-5
//! case elementary_exponentials: exponentials(4xf32=0 1 -2 10)
//! case elementary_logarithms: logarithms(4xf32=1 2 0.5 1000)
//! case elementary_trigonometry: trigonometry(4xf32=0 1 -2 10)
//! case elementary_roots: roots(4xf32=0.25 1 2 10000)
//! case elementary_rounding: rounding(6xf32=0.5 1.5 2.5 -0.5 -1.7 3.2)
//! case elementary_special: exponentials(4xf32=inf -inf 100 -100)
module @elementary {
  func.func @exponentials(%a: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %0 = math.exp %a : tensor<4xf32>
    %1 = math.exp2 %a : tensor<4xf32>
    %2 = math.tanh %a : tensor<4xf32>
    %3 = math.erf %a : tensor<4xf32>
    return %0, %1, %2, %3 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  }
  func.func @logarithms(%a: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %0 = math.log %a : tensor<4xf32>
    %1 = math.log2 %a : tensor<4xf32>
    %2 = math.log1p %a : tensor<4xf32>
    return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  }
  func.func @trigonometry(%a: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %0 = math.sin %a : tensor<4xf32>
    %1 = math.cos %a : tensor<4xf32>
    %2 = math.atan %a : tensor<4xf32>
    return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  }
  func.func @roots(%a: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %third = arith.constant dense<0.333333343> : tensor<4xf32>
    %0 = math.sqrt %a : tensor<4xf32>
    %1 = math.rsqrt %a : tensor<4xf32>
    %2 = math.powf %a, %third : tensor<4xf32>
    return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  }
  func.func @rounding(%a: tensor<6xf32>) -> (tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) {
    %0 = math.floor %a : tensor<6xf32>
    %1 = math.ceil %a : tensor<6xf32>
    %2 = math.round %a : tensor<6xf32>
    %3 = math.roundeven %a : tensor<6xf32>
    return %0, %1, %2, %3 : tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>
  }
}
