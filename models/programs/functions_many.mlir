// Forty exported functions over shared kernels and constants: long tables of everything.
//! case functions_many_0: f0(0)
//! case functions_many_17: f17(17)
//! case functions_many_39: f39(39)
module @functions_many {
  func.func @f0(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f1(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 2 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f2(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 5 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f3(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 10 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f4(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 17 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f5(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 26 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f6(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 37 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f7(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 50 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f8(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 65 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f9(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 82 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f10(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 101 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f11(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 122 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f12(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 145 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f13(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 170 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f14(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 197 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f15(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 226 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f16(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 257 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f17(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 290 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f18(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 325 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f19(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 362 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f20(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 401 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f21(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 442 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f22(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 485 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f23(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 530 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f24(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 577 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f25(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 626 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f26(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 677 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f27(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 730 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f28(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 785 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f29(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 842 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f30(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 901 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f31(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 962 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f32(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1025 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f33(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1090 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f34(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1157 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f35(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1226 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f36(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1297 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f37(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1370 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f38(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1445 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
  func.func @f39(%a: i32) -> (i32, tensor<2xi32>) {
    %c = arith.constant 1522 : i32
    %0 = arith.muli %a, %c : i32
    %e = tensor.empty() : tensor<2xi32>
    %t = linalg.fill ins(%0 : i32) outs(%e : tensor<2xi32>) -> tensor<2xi32>
    return %0, %t : i32, tensor<2xi32>
  }
}
