// Integer operations inside kernels: division, shifts, bit counts, extremes, in several widths.
//! case kernel_divide: divide(4xi32=17 -17 17 -17; 4xi32=5 5 -5 -5)
//! case kernel_divide_unsigned: divide_unsigned(3xi32=-1 17 100; 3xi32=2 5 7)
//! case kernel_shifts: shifts(4xi32=1 -8 1024 -1; 4xi32=3 1 4 31)
//! case kernel_bit_counts: bit_counts(4xi32=0 1 255 -1)
//! case kernel_extremes: extremes(3xi8=-128 5 100; 3xi8=127 -5 100)
//! case kernel_logic: logic(2xi16=4660 -1; 2xi16=255 21845)
//! case kernel_divide_i64: divide_i64(2xi64=9000000000000000000 -7; 2xi64=1000000007 2)
module @integers {
  func.func @divide(%a: tensor<4xi32>, %b: tensor<4xi32>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xi32>) {
    %0 = arith.divsi %a, %b : tensor<4xi32>
    %1 = arith.remsi %a, %b : tensor<4xi32>
    %2 = arith.floordivsi %a, %b : tensor<4xi32>
    return %0, %1, %2 : tensor<4xi32>, tensor<4xi32>, tensor<4xi32>
  }
  func.func @divide_unsigned(%a: tensor<3xi32>, %b: tensor<3xi32>) -> (tensor<3xi32>, tensor<3xi32>) {
    %0 = arith.divui %a, %b : tensor<3xi32>
    %1 = arith.remui %a, %b : tensor<3xi32>
    return %0, %1 : tensor<3xi32>, tensor<3xi32>
  }
  func.func @shifts(%a: tensor<4xi32>, %b: tensor<4xi32>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xi32>) {
    %0 = arith.shli %a, %b : tensor<4xi32>
    %1 = arith.shrsi %a, %b : tensor<4xi32>
    %2 = arith.shrui %a, %b : tensor<4xi32>
    return %0, %1, %2 : tensor<4xi32>, tensor<4xi32>, tensor<4xi32>
  }
  func.func @bit_counts(%a: tensor<4xi32>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xi32>) {
    %0 = math.ctlz %a : tensor<4xi32>
    %1 = math.cttz %a : tensor<4xi32>
    %2 = math.ctpop %a : tensor<4xi32>
    return %0, %1, %2 : tensor<4xi32>, tensor<4xi32>, tensor<4xi32>
  }
  func.func @extremes(%a: tensor<3xi8>, %b: tensor<3xi8>) -> (tensor<3xi8>, tensor<3xi8>, tensor<3xi8>, tensor<3xi8>) {
    %0 = arith.minsi %a, %b : tensor<3xi8>
    %1 = arith.maxsi %a, %b : tensor<3xi8>
    %2 = arith.minui %a, %b : tensor<3xi8>
    %3 = arith.maxui %a, %b : tensor<3xi8>
    return %0, %1, %2, %3 : tensor<3xi8>, tensor<3xi8>, tensor<3xi8>, tensor<3xi8>
  }
  func.func @logic(%a: tensor<2xi16>, %b: tensor<2xi16>) -> (tensor<2xi16>, tensor<2xi16>, tensor<2xi16>) {
    %0 = arith.andi %a, %b : tensor<2xi16>
    %1 = arith.ori %a, %b : tensor<2xi16>
    %2 = arith.xori %a, %b : tensor<2xi16>
    return %0, %1, %2 : tensor<2xi16>, tensor<2xi16>, tensor<2xi16>
  }
  func.func @divide_i64(%a: tensor<2xi64>, %b: tensor<2xi64>) -> (tensor<2xi64>, tensor<2xi64>) {
    %0 = arith.divsi %a, %b : tensor<2xi64>
    %1 = arith.remsi %a, %b : tensor<2xi64>
    return %0, %1 : tensor<2xi64>, tensor<2xi64>
  }
}
