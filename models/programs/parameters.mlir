// Parameters: weights that are no part of the module, by name, from two scopes, of every archive format.
//! run flags: --parameters=model=data/weights.irpa --parameters=data/state.irpa
//! case parameters_layer: layer(4xf32=1 2 3 4)
//! case parameters_bias: get_bias()
//! case parameters_counter: count_up()
//! case parameters_dynamic: first_row()
//! case parameters_bytes: get_bytes()
//! run flags: --parameters=model=data/weights.irpa --parameters=data/state.irpa --parameter_mode=preload
//! case parameters_layer_preloaded: layer(4xf32=1 2 3 4)
//! case parameters_counter_preloaded: count_up()
//! run flags: --parameters=data/state.irpa --parameters=model=data/weights.safetensors
//! case parameters_layer_safetensors: layer(4xf32=1 2 3 4)
//! case parameters_dynamic_safetensors: first_row()
//! run flags: --parameters=data/state.irpa --parameters=model=data/weights.gguf
//! case parameters_layer_gguf: layer(4xf32=1 2 3 4)
//! case parameters_bytes_gguf: get_bytes()
//! run flags: --parameters=model=data/bias.irpa --parameters=model=data/weights.irpa --parameters=data/state.irpa
//! case parameters_first_wins: get_bias()
//! run flags: --parameters=model=data/weights.irpa
//! failing case parameters_no_scope: get_bias()
//! error: no provider registered that handles scopes like ''
//! run flags: --parameters=model=data/bias.irpa --parameters=data/state.irpa
//! failing case parameters_no_key: get_bias()
//! error: no parameter found in index with key 'kernel'
//! run flags: --parameters=model=data/weights.irpa --parameters=data/short_state.irpa
//! failing case parameters_too_short: get_bias()
//! error: parameter `counter` range out of bounds (offset=0, length=16, size=8)
//! run flags: --parameters=model=data/patterns.irpa --parameters=data/state.irpa
//! case parameters_patterns: layer(4xf32=1 2 3 4)
//! reference differs: it fills with patterns of 1, 2 and 4 bytes only
//! run flags: --parameters=model=data/four_f32.bin
//! failing case parameters_unknown_format: get_bias()
//! error: UNIMPLEMENTED
//! run flags: --parameters=model=data/none.irpa
//! failing case parameters_no_file: get_bias()
//! error: data/none.irpa

util.global private @kernel = #flow.parameter.named<"model"::"kernel"> : tensor<4x2xf32>
util.global private @bias = #flow.parameter.named<"model"::"bias"> : tensor<2xf32>
util.global private @bytes = #flow.parameter.named<"model"::"bytes"> : tensor<5xi8>
util.global private mutable @counter = #flow.parameter.named<"counter"> : tensor<4xi32>

func.func @layer(%input: tensor<4xf32>) -> tensor<2xf32> {
  %kernel = util.global.load @kernel : tensor<4x2xf32>
  %bias = util.global.load @bias : tensor<2xf32>
  %row = tensor.expand_shape %input [[0, 1]] output_shape [1, 4] : tensor<4xf32> into tensor<1x4xf32>
  %start = tensor.expand_shape %bias [[0, 1]] output_shape [1, 2] : tensor<2xf32> into tensor<1x2xf32>
  %product = linalg.matmul ins(%row, %kernel : tensor<1x4xf32>, tensor<4x2xf32>) outs(%start : tensor<1x2xf32>) -> tensor<1x2xf32>
  %result = tensor.collapse_shape %product [[0, 1]] : tensor<1x2xf32> into tensor<2xf32>
  return %result : tensor<2xf32>
}

func.func @get_bias() -> tensor<2xf32> {
  %bias = util.global.load @bias : tensor<2xf32>
  return %bias : tensor<2xf32>
}

func.func @get_bytes() -> tensor<5xi8> {
  %bytes = util.global.load @bytes : tensor<5xi8>
  return %bytes : tensor<5xi8>
}

func.func @count_up() -> tensor<4xi32> {
  %before = util.global.load @counter : tensor<4xi32>
  %after = arith.addi %before, %before : tensor<4xi32>
  util.global.store %after, @counter : tensor<4xi32>
  return %after : tensor<4xi32>
}

func.func @first_row() -> tensor<2xf32> {
  %kernel = flow.tensor.dynamic_constant #flow.parameter.named<"model"::"kernel"> : tensor<4x2xf32> -> tensor<?x2xf32>
  %row = tensor.extract_slice %kernel[0, 0] [1, 2] [1, 1] : tensor<?x2xf32> to tensor<2xf32>
  return %row : tensor<2xf32>
}
