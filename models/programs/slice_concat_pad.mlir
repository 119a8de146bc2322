// Moving parts of tensors about.
//! case slice_middle: slice(4x4xi32=0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
//! case slice_strided: strided(8xi32=0 1 2 3 4 5 6 7)
//! case slice_dynamic: slice_dynamic(8xi32=0 1 2 3 4 5 6 7; 2; 3)
//! case slice_dynamic_empty: slice_dynamic(8xi32=0 1 2 3 4 5 6 7; 8; 0)
//! case concat_rows: concat_rows(1x3xi32=1 2 3; 2x3xi32=4 5 6 7 8 9)
//! case concat_columns: concat_columns(2x1xi32=1 2; 2x2xi32=3 4 5 6)
//! case insert: insert(2x2xi32=1 2 3 4)
//! case pad: pad(2x2xi32=1 2 3 4; -1)
//! case reverse: reverse(5xi32=1 2 3 4 5)
module @parts {
  func.func @slice(%a: tensor<4x4xi32>) -> tensor<2x3xi32> {
    %r = tensor.extract_slice %a[1, 1] [2, 3] [1, 1] : tensor<4x4xi32> to tensor<2x3xi32>
    return %r : tensor<2x3xi32>
  }
  func.func @strided(%a: tensor<8xi32>) -> tensor<3xi32> {
    %r = tensor.extract_slice %a[1] [3] [3] : tensor<8xi32> to tensor<3xi32>
    return %r : tensor<3xi32>
  }
  func.func @slice_dynamic(%a: tensor<8xi32>, %offset: index, %length: index) -> tensor<?xi32> {
    %r = tensor.extract_slice %a[%offset] [%length] [1] : tensor<8xi32> to tensor<?xi32>
    return %r : tensor<?xi32>
  }
  func.func @concat_rows(%a: tensor<1x3xi32>, %b: tensor<2x3xi32>) -> tensor<3x3xi32> {
    %r = tensor.concat dim(0) %a, %b : (tensor<1x3xi32>, tensor<2x3xi32>) -> tensor<3x3xi32>
    return %r : tensor<3x3xi32>
  }
  func.func @concat_columns(%a: tensor<2x1xi32>, %b: tensor<2x2xi32>) -> tensor<2x3xi32> {
    %r = tensor.concat dim(1) %a, %b : (tensor<2x1xi32>, tensor<2x2xi32>) -> tensor<2x3xi32>
    return %r : tensor<2x3xi32>
  }
  func.func @insert(%a: tensor<2x2xi32>) -> tensor<4x4xi32> {
    %s = arith.constant dense<9> : tensor<4x4xi32>
    %r = tensor.insert_slice %a into %s[1, 1] [2, 2] [1, 1] : tensor<2x2xi32> into tensor<4x4xi32>
    return %r : tensor<4x4xi32>
  }
  func.func @pad(%a: tensor<2x2xi32>, %value: i32) -> tensor<3x5xi32> {
    %r = tensor.pad %a low[0, 1] high[1, 2] {
    ^bb0(%y: index, %x: index):
      tensor.yield %value : i32
    } : tensor<2x2xi32> to tensor<3x5xi32>
    return %r : tensor<3x5xi32>
  }
  func.func @reverse(%a: tensor<5xi32>) -> tensor<5xi32> {
    %c4 = arith.constant 4 : index
    %e = tensor.empty() : tensor<5xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<5xi32>) {
    ^bb0(%unused: i32):
      %i = linalg.index 0 : index
      %j = arith.subi %c4, %i : index
      %v = tensor.extract %a[%j] : tensor<5xi32>
      linalg.yield %v : i32
    } -> tensor<5xi32>
    return %r : tensor<5xi32>
  }
}
