// Written by models/encoder/emit.py.
module @encoder {
  util.global private @encoder_embeddings_word_embeddings_weight = #flow.parameter.named<"encoder"::"embeddings.word_embeddings.weight"> : tensor<64x32xf32>
  util.global private @encoder_embeddings_position_embeddings_weight = #flow.parameter.named<"encoder"::"embeddings.position_embeddings.weight"> : tensor<16x32xf32>
  util.global private @encoder_embeddings_token_type_embeddings_weight = #flow.parameter.named<"encoder"::"embeddings.token_type_embeddings.weight"> : tensor<2x32xf32>
  util.global private @encoder_embeddings_LayerNorm_weight = #flow.parameter.named<"encoder"::"embeddings.LayerNorm.weight"> : tensor<32xf32>
  util.global private @encoder_embeddings_LayerNorm_bias = #flow.parameter.named<"encoder"::"embeddings.LayerNorm.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_attention_self_query_weight = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.self.query.weight"> : tensor<32x32xf32>
  util.global private @encoder_encoder_layer_0_attention_self_query_bias = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.self.query.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_attention_self_key_weight = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.self.key.weight"> : tensor<32x32xf32>
  util.global private @encoder_encoder_layer_0_attention_self_key_bias = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.self.key.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_attention_self_value_weight = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.self.value.weight"> : tensor<32x32xf32>
  util.global private @encoder_encoder_layer_0_attention_self_value_bias = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.self.value.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_attention_output_dense_weight = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.output.dense.weight"> : tensor<32x32xf32>
  util.global private @encoder_encoder_layer_0_attention_output_dense_bias = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.output.dense.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_attention_output_LayerNorm_weight = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.output.LayerNorm.weight"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_attention_output_LayerNorm_bias = #flow.parameter.named<"encoder"::"encoder.layer.0.attention.output.LayerNorm.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_output_LayerNorm_weight = #flow.parameter.named<"encoder"::"encoder.layer.0.output.LayerNorm.weight"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_output_LayerNorm_bias = #flow.parameter.named<"encoder"::"encoder.layer.0.output.LayerNorm.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_0_intermediate_dense_weight = #flow.parameter.named<"encoder"::"encoder.layer.0.intermediate.dense.weight"> : tensor<64x32xf32>
  util.global private @encoder_encoder_layer_0_intermediate_dense_bias = #flow.parameter.named<"encoder"::"encoder.layer.0.intermediate.dense.bias"> : tensor<64xf32>
  util.global private @encoder_encoder_layer_0_output_dense_weight = #flow.parameter.named<"encoder"::"encoder.layer.0.output.dense.weight"> : tensor<32x64xf32>
  util.global private @encoder_encoder_layer_0_output_dense_bias = #flow.parameter.named<"encoder"::"encoder.layer.0.output.dense.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_attention_self_query_weight = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.self.query.weight"> : tensor<32x32xf32>
  util.global private @encoder_encoder_layer_1_attention_self_query_bias = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.self.query.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_attention_self_key_weight = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.self.key.weight"> : tensor<32x32xf32>
  util.global private @encoder_encoder_layer_1_attention_self_key_bias = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.self.key.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_attention_self_value_weight = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.self.value.weight"> : tensor<32x32xf32>
  util.global private @encoder_encoder_layer_1_attention_self_value_bias = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.self.value.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_attention_output_dense_weight = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.output.dense.weight"> : tensor<32x32xf32>
  util.global private @encoder_encoder_layer_1_attention_output_dense_bias = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.output.dense.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_attention_output_LayerNorm_weight = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.output.LayerNorm.weight"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_attention_output_LayerNorm_bias = #flow.parameter.named<"encoder"::"encoder.layer.1.attention.output.LayerNorm.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_output_LayerNorm_weight = #flow.parameter.named<"encoder"::"encoder.layer.1.output.LayerNorm.weight"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_output_LayerNorm_bias = #flow.parameter.named<"encoder"::"encoder.layer.1.output.LayerNorm.bias"> : tensor<32xf32>
  util.global private @encoder_encoder_layer_1_intermediate_dense_weight = #flow.parameter.named<"encoder"::"encoder.layer.1.intermediate.dense.weight"> : tensor<64x32xf32>
  util.global private @encoder_encoder_layer_1_intermediate_dense_bias = #flow.parameter.named<"encoder"::"encoder.layer.1.intermediate.dense.bias"> : tensor<64xf32>
  util.global private @encoder_encoder_layer_1_output_dense_weight = #flow.parameter.named<"encoder"::"encoder.layer.1.output.dense.weight"> : tensor<32x64xf32>
  util.global private @encoder_encoder_layer_1_output_dense_bias = #flow.parameter.named<"encoder"::"encoder.layer.1.output.dense.bias"> : tensor<32xf32>
  func.func @embed_8(%ids: tensor<1x8xi64>, %count: tensor<i64>) -> tensor<32xf32> {
    %v1 = tensor.extract %count[] : tensor<i64>
    %v2 = arith.constant 1 : i64
    %v3 = arith.constant 8 : i64
    %v4 = arith.maxsi %v1, %v2 : i64
    %v5 = arith.minsi %v4, %v3 : i64
    %v6 = arith.index_cast %v5 : i64 to index
    %v7 = util.global.load @encoder_embeddings_word_embeddings_weight : tensor<64x32xf32>
    %v8 = util.global.load @encoder_embeddings_position_embeddings_weight : tensor<16x32xf32>
    %v9 = util.global.load @encoder_embeddings_token_type_embeddings_weight : tensor<2x32xf32>
    %v10 = tensor.empty() : tensor<8x32xf32>
    %v11 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (0, d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%ids : tensor<1x8xi64>) outs(%v10 : tensor<8x32xf32>) {
    ^bb0(%a: i64, %out: f32):
      %row = linalg.index 0 : index
      %column = linalg.index 1 : index
      %most = arith.constant 63 : i64
      %none = arith.constant 0 : i64
      %above = arith.maxsi %a, %none : i64
      %within = arith.minsi %above, %most : i64
      %id = arith.index_cast %within : i64 to index
      %word = tensor.extract %v7[%id, %column] : tensor<64x32xf32>
      %place = tensor.extract %v8[%row, %column] : tensor<16x32xf32>
      %first = arith.constant 0 : index
      %kind = tensor.extract %v9[%first, %column] : tensor<2x32xf32>
      %both = arith.addf %word, %kind : f32
      %r = arith.addf %both, %place : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v12 = util.global.load @encoder_embeddings_LayerNorm_weight : tensor<32xf32>
    %v13 = util.global.load @encoder_embeddings_LayerNorm_bias : tensor<32xf32>
    %v14 = arith.constant 0.0 : f32
    %v15 = tensor.empty() : tensor<8xf32>
    %v16 = linalg.fill ins(%v14 : f32) outs(%v15 : tensor<8xf32>) -> tensor<8xf32>
    %v17 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v11 : tensor<8x32xf32>) outs(%v16 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %r = arith.addf %a, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v18 = tensor.empty() : tensor<8x32xf32>
    %v19 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v11, %v17 : tensor<8x32xf32>, tensor<8xf32>) outs(%v18 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %mean = arith.divf %b, %width : f32
      %r = arith.subf %a, %mean : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v20 = arith.constant 0.0 : f32
    %v21 = tensor.empty() : tensor<8xf32>
    %v22 = linalg.fill ins(%v20 : f32) outs(%v21 : tensor<8xf32>) -> tensor<8xf32>
    %v23 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v19 : tensor<8x32xf32>) outs(%v22 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %s = arith.mulf %a, %a : f32
      %r = arith.addf %s, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v24 = tensor.empty() : tensor<8x32xf32>
    %v25 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v19, %v23, %v12, %v13 : tensor<8x32xf32>, tensor<8xf32>, tensor<32xf32>, tensor<32xf32>) outs(%v24 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32, %d: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %variance = arith.divf %b, %width : f32
      %epsilon = arith.constant 1.000000e-12 : f32
      %more = arith.addf %variance, %epsilon : f32
      %scale = math.rsqrt %more : f32
      %unit = arith.mulf %a, %scale : f32
      %long = arith.mulf %unit, %c : f32
      %r = arith.addf %long, %d : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v26 = util.global.load @encoder_encoder_layer_0_attention_self_query_weight : tensor<32x32xf32>
    %v27 = util.global.load @encoder_encoder_layer_0_attention_self_query_bias : tensor<32xf32>
    %v28 = tensor.empty() : tensor<8x32xf32>
    %v29 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v27 : tensor<32xf32>) outs(%v28 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v30 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v25, %v26 : tensor<8x32xf32>, tensor<32x32xf32>) outs(%v29 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v31 = tensor.expand_shape %v30 [[0], [1, 2]] output_shape [8, 4, 8] : tensor<8x32xf32> into tensor<8x4x8xf32>
    %v32 = tensor.empty() : tensor<4x8x8xf32>
    %v33 = linalg.transpose ins(%v31 : tensor<8x4x8xf32>) outs(%v32 : tensor<4x8x8xf32>) permutation = [1, 0, 2]
    %v34 = util.global.load @encoder_encoder_layer_0_attention_self_key_weight : tensor<32x32xf32>
    %v35 = util.global.load @encoder_encoder_layer_0_attention_self_key_bias : tensor<32xf32>
    %v36 = tensor.empty() : tensor<8x32xf32>
    %v37 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v35 : tensor<32xf32>) outs(%v36 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v38 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v25, %v34 : tensor<8x32xf32>, tensor<32x32xf32>) outs(%v37 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v39 = tensor.expand_shape %v38 [[0], [1, 2]] output_shape [8, 4, 8] : tensor<8x32xf32> into tensor<8x4x8xf32>
    %v40 = tensor.empty() : tensor<4x8x8xf32>
    %v41 = linalg.transpose ins(%v39 : tensor<8x4x8xf32>) outs(%v40 : tensor<4x8x8xf32>) permutation = [1, 0, 2]
    %v42 = util.global.load @encoder_encoder_layer_0_attention_self_value_weight : tensor<32x32xf32>
    %v43 = util.global.load @encoder_encoder_layer_0_attention_self_value_bias : tensor<32xf32>
    %v44 = tensor.empty() : tensor<8x32xf32>
    %v45 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v43 : tensor<32xf32>) outs(%v44 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v46 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v25, %v42 : tensor<8x32xf32>, tensor<32x32xf32>) outs(%v45 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v47 = tensor.expand_shape %v46 [[0], [1, 2]] output_shape [8, 4, 8] : tensor<8x32xf32> into tensor<8x4x8xf32>
    %v48 = tensor.empty() : tensor<4x8x8xf32>
    %v49 = linalg.transpose ins(%v47 : tensor<8x4x8xf32>) outs(%v48 : tensor<4x8x8xf32>) permutation = [1, 0, 2]
    %v50 = arith.constant 0.0 : f32
    %v51 = tensor.empty() : tensor<4x8x8xf32>
    %v52 = linalg.fill ins(%v50 : f32) outs(%v51 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v53 = linalg.batch_matmul indexing_maps = [affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> (b, n, k)>, affine_map<(b, m, n, k) -> (b, m, n)>]
      ins(%v33, %v41 : tensor<4x8x8xf32>, tensor<4x8x8xf32>) outs(%v52 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v54 = tensor.empty() : tensor<4x8x8xf32>
    %v55 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%v53 : tensor<4x8x8xf32>) outs(%v54 : tensor<4x8x8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %scale = arith.constant 0.3535533905932738 : f32
      %scaled = arith.mulf %a, %scale : f32
      %column = linalg.index 2 : index
      %is_token = arith.cmpi ult, %column, %v6 : index
      %lowest = arith.constant -3.0e38 : f32
      %r = arith.select %is_token, %scaled, %lowest : f32
      linalg.yield %r : f32
    } -> tensor<4x8x8xf32>
    %v56 = tensor.empty() : tensor<4x8x8xf32>
    %v57 = linalg.softmax dimension(2) ins(%v55 : tensor<4x8x8xf32>) outs(%v56 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v58 = arith.constant 0.0 : f32
    %v59 = tensor.empty() : tensor<4x8x8xf32>
    %v60 = linalg.fill ins(%v58 : f32) outs(%v59 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v61 = linalg.batch_matmul ins(%v57, %v49 : tensor<4x8x8xf32>, tensor<4x8x8xf32>) outs(%v60 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v62 = tensor.empty() : tensor<8x4x8xf32>
    %v63 = linalg.transpose ins(%v61 : tensor<4x8x8xf32>) outs(%v62 : tensor<8x4x8xf32>) permutation = [1, 0, 2]
    %v64 = tensor.collapse_shape %v63 [[0], [1, 2]] : tensor<8x4x8xf32> into tensor<8x32xf32>
    %v65 = util.global.load @encoder_encoder_layer_0_attention_output_dense_weight : tensor<32x32xf32>
    %v66 = util.global.load @encoder_encoder_layer_0_attention_output_dense_bias : tensor<32xf32>
    %v67 = tensor.empty() : tensor<8x32xf32>
    %v68 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v66 : tensor<32xf32>) outs(%v67 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v69 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v64, %v65 : tensor<8x32xf32>, tensor<32x32xf32>) outs(%v68 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v70 = tensor.empty() : tensor<8x32xf32>
    %v71 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v25, %v69 : tensor<8x32xf32>, tensor<8x32xf32>) outs(%v70 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %r = arith.addf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v72 = util.global.load @encoder_encoder_layer_0_attention_output_LayerNorm_weight : tensor<32xf32>
    %v73 = util.global.load @encoder_encoder_layer_0_attention_output_LayerNorm_bias : tensor<32xf32>
    %v74 = arith.constant 0.0 : f32
    %v75 = tensor.empty() : tensor<8xf32>
    %v76 = linalg.fill ins(%v74 : f32) outs(%v75 : tensor<8xf32>) -> tensor<8xf32>
    %v77 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v71 : tensor<8x32xf32>) outs(%v76 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %r = arith.addf %a, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v78 = tensor.empty() : tensor<8x32xf32>
    %v79 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v71, %v77 : tensor<8x32xf32>, tensor<8xf32>) outs(%v78 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %mean = arith.divf %b, %width : f32
      %r = arith.subf %a, %mean : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v80 = arith.constant 0.0 : f32
    %v81 = tensor.empty() : tensor<8xf32>
    %v82 = linalg.fill ins(%v80 : f32) outs(%v81 : tensor<8xf32>) -> tensor<8xf32>
    %v83 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v79 : tensor<8x32xf32>) outs(%v82 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %s = arith.mulf %a, %a : f32
      %r = arith.addf %s, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v84 = tensor.empty() : tensor<8x32xf32>
    %v85 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v79, %v83, %v72, %v73 : tensor<8x32xf32>, tensor<8xf32>, tensor<32xf32>, tensor<32xf32>) outs(%v84 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32, %d: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %variance = arith.divf %b, %width : f32
      %epsilon = arith.constant 1.000000e-12 : f32
      %more = arith.addf %variance, %epsilon : f32
      %scale = math.rsqrt %more : f32
      %unit = arith.mulf %a, %scale : f32
      %long = arith.mulf %unit, %c : f32
      %r = arith.addf %long, %d : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v86 = util.global.load @encoder_encoder_layer_0_intermediate_dense_weight : tensor<64x32xf32>
    %v87 = util.global.load @encoder_encoder_layer_0_intermediate_dense_bias : tensor<64xf32>
    %v88 = tensor.empty() : tensor<8x64xf32>
    %v89 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v87 : tensor<64xf32>) outs(%v88 : tensor<8x64xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x64xf32>
    %v90 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v85, %v86 : tensor<8x32xf32>, tensor<64x32xf32>) outs(%v89 : tensor<8x64xf32>) -> tensor<8x64xf32>
    %v91 = tensor.empty() : tensor<8x64xf32>
    %v92 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v90 : tensor<8x64xf32>) outs(%v91 : tensor<8x64xf32>) {
    ^bb0(%a: f32, %out: f32):
      %half = arith.constant 0.5 : f32
      %one = arith.constant 1.0 : f32
      %root = arith.constant 0.707106769 : f32
      %scaled = arith.mulf %a, %root : f32
      %erf = math.erf %scaled : f32
      %share = arith.addf %erf, %one : f32
      %part = arith.mulf %share, %half : f32
      %r = arith.mulf %a, %part : f32
      linalg.yield %r : f32
    } -> tensor<8x64xf32>
    %v93 = util.global.load @encoder_encoder_layer_0_output_dense_weight : tensor<32x64xf32>
    %v94 = util.global.load @encoder_encoder_layer_0_output_dense_bias : tensor<32xf32>
    %v95 = tensor.empty() : tensor<8x32xf32>
    %v96 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v94 : tensor<32xf32>) outs(%v95 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v97 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v92, %v93 : tensor<8x64xf32>, tensor<32x64xf32>) outs(%v96 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v98 = tensor.empty() : tensor<8x32xf32>
    %v99 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v85, %v97 : tensor<8x32xf32>, tensor<8x32xf32>) outs(%v98 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %r = arith.addf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v100 = util.global.load @encoder_encoder_layer_0_output_LayerNorm_weight : tensor<32xf32>
    %v101 = util.global.load @encoder_encoder_layer_0_output_LayerNorm_bias : tensor<32xf32>
    %v102 = arith.constant 0.0 : f32
    %v103 = tensor.empty() : tensor<8xf32>
    %v104 = linalg.fill ins(%v102 : f32) outs(%v103 : tensor<8xf32>) -> tensor<8xf32>
    %v105 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v99 : tensor<8x32xf32>) outs(%v104 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %r = arith.addf %a, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v106 = tensor.empty() : tensor<8x32xf32>
    %v107 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v99, %v105 : tensor<8x32xf32>, tensor<8xf32>) outs(%v106 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %mean = arith.divf %b, %width : f32
      %r = arith.subf %a, %mean : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v108 = arith.constant 0.0 : f32
    %v109 = tensor.empty() : tensor<8xf32>
    %v110 = linalg.fill ins(%v108 : f32) outs(%v109 : tensor<8xf32>) -> tensor<8xf32>
    %v111 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v107 : tensor<8x32xf32>) outs(%v110 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %s = arith.mulf %a, %a : f32
      %r = arith.addf %s, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v112 = tensor.empty() : tensor<8x32xf32>
    %v113 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v107, %v111, %v100, %v101 : tensor<8x32xf32>, tensor<8xf32>, tensor<32xf32>, tensor<32xf32>) outs(%v112 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32, %d: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %variance = arith.divf %b, %width : f32
      %epsilon = arith.constant 1.000000e-12 : f32
      %more = arith.addf %variance, %epsilon : f32
      %scale = math.rsqrt %more : f32
      %unit = arith.mulf %a, %scale : f32
      %long = arith.mulf %unit, %c : f32
      %r = arith.addf %long, %d : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v114 = util.global.load @encoder_encoder_layer_1_attention_self_query_weight : tensor<32x32xf32>
    %v115 = util.global.load @encoder_encoder_layer_1_attention_self_query_bias : tensor<32xf32>
    %v116 = tensor.empty() : tensor<8x32xf32>
    %v117 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v115 : tensor<32xf32>) outs(%v116 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v118 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v113, %v114 : tensor<8x32xf32>, tensor<32x32xf32>) outs(%v117 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v119 = tensor.expand_shape %v118 [[0], [1, 2]] output_shape [8, 4, 8] : tensor<8x32xf32> into tensor<8x4x8xf32>
    %v120 = tensor.empty() : tensor<4x8x8xf32>
    %v121 = linalg.transpose ins(%v119 : tensor<8x4x8xf32>) outs(%v120 : tensor<4x8x8xf32>) permutation = [1, 0, 2]
    %v122 = util.global.load @encoder_encoder_layer_1_attention_self_key_weight : tensor<32x32xf32>
    %v123 = util.global.load @encoder_encoder_layer_1_attention_self_key_bias : tensor<32xf32>
    %v124 = tensor.empty() : tensor<8x32xf32>
    %v125 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v123 : tensor<32xf32>) outs(%v124 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v126 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v113, %v122 : tensor<8x32xf32>, tensor<32x32xf32>) outs(%v125 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v127 = tensor.expand_shape %v126 [[0], [1, 2]] output_shape [8, 4, 8] : tensor<8x32xf32> into tensor<8x4x8xf32>
    %v128 = tensor.empty() : tensor<4x8x8xf32>
    %v129 = linalg.transpose ins(%v127 : tensor<8x4x8xf32>) outs(%v128 : tensor<4x8x8xf32>) permutation = [1, 0, 2]
    %v130 = util.global.load @encoder_encoder_layer_1_attention_self_value_weight : tensor<32x32xf32>
    %v131 = util.global.load @encoder_encoder_layer_1_attention_self_value_bias : tensor<32xf32>
    %v132 = tensor.empty() : tensor<8x32xf32>
    %v133 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v131 : tensor<32xf32>) outs(%v132 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v134 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v113, %v130 : tensor<8x32xf32>, tensor<32x32xf32>) outs(%v133 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v135 = tensor.expand_shape %v134 [[0], [1, 2]] output_shape [8, 4, 8] : tensor<8x32xf32> into tensor<8x4x8xf32>
    %v136 = tensor.empty() : tensor<4x8x8xf32>
    %v137 = linalg.transpose ins(%v135 : tensor<8x4x8xf32>) outs(%v136 : tensor<4x8x8xf32>) permutation = [1, 0, 2]
    %v138 = arith.constant 0.0 : f32
    %v139 = tensor.empty() : tensor<4x8x8xf32>
    %v140 = linalg.fill ins(%v138 : f32) outs(%v139 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v141 = linalg.batch_matmul indexing_maps = [affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> (b, n, k)>, affine_map<(b, m, n, k) -> (b, m, n)>]
      ins(%v121, %v129 : tensor<4x8x8xf32>, tensor<4x8x8xf32>) outs(%v140 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v142 = tensor.empty() : tensor<4x8x8xf32>
    %v143 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%v141 : tensor<4x8x8xf32>) outs(%v142 : tensor<4x8x8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %scale = arith.constant 0.3535533905932738 : f32
      %scaled = arith.mulf %a, %scale : f32
      %column = linalg.index 2 : index
      %is_token = arith.cmpi ult, %column, %v6 : index
      %lowest = arith.constant -3.0e38 : f32
      %r = arith.select %is_token, %scaled, %lowest : f32
      linalg.yield %r : f32
    } -> tensor<4x8x8xf32>
    %v144 = tensor.empty() : tensor<4x8x8xf32>
    %v145 = linalg.softmax dimension(2) ins(%v143 : tensor<4x8x8xf32>) outs(%v144 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v146 = arith.constant 0.0 : f32
    %v147 = tensor.empty() : tensor<4x8x8xf32>
    %v148 = linalg.fill ins(%v146 : f32) outs(%v147 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v149 = linalg.batch_matmul ins(%v145, %v137 : tensor<4x8x8xf32>, tensor<4x8x8xf32>) outs(%v148 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %v150 = tensor.empty() : tensor<8x4x8xf32>
    %v151 = linalg.transpose ins(%v149 : tensor<4x8x8xf32>) outs(%v150 : tensor<8x4x8xf32>) permutation = [1, 0, 2]
    %v152 = tensor.collapse_shape %v151 [[0], [1, 2]] : tensor<8x4x8xf32> into tensor<8x32xf32>
    %v153 = util.global.load @encoder_encoder_layer_1_attention_output_dense_weight : tensor<32x32xf32>
    %v154 = util.global.load @encoder_encoder_layer_1_attention_output_dense_bias : tensor<32xf32>
    %v155 = tensor.empty() : tensor<8x32xf32>
    %v156 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v154 : tensor<32xf32>) outs(%v155 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v157 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v152, %v153 : tensor<8x32xf32>, tensor<32x32xf32>) outs(%v156 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v158 = tensor.empty() : tensor<8x32xf32>
    %v159 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v113, %v157 : tensor<8x32xf32>, tensor<8x32xf32>) outs(%v158 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %r = arith.addf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v160 = util.global.load @encoder_encoder_layer_1_attention_output_LayerNorm_weight : tensor<32xf32>
    %v161 = util.global.load @encoder_encoder_layer_1_attention_output_LayerNorm_bias : tensor<32xf32>
    %v162 = arith.constant 0.0 : f32
    %v163 = tensor.empty() : tensor<8xf32>
    %v164 = linalg.fill ins(%v162 : f32) outs(%v163 : tensor<8xf32>) -> tensor<8xf32>
    %v165 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v159 : tensor<8x32xf32>) outs(%v164 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %r = arith.addf %a, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v166 = tensor.empty() : tensor<8x32xf32>
    %v167 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v159, %v165 : tensor<8x32xf32>, tensor<8xf32>) outs(%v166 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %mean = arith.divf %b, %width : f32
      %r = arith.subf %a, %mean : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v168 = arith.constant 0.0 : f32
    %v169 = tensor.empty() : tensor<8xf32>
    %v170 = linalg.fill ins(%v168 : f32) outs(%v169 : tensor<8xf32>) -> tensor<8xf32>
    %v171 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v167 : tensor<8x32xf32>) outs(%v170 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %s = arith.mulf %a, %a : f32
      %r = arith.addf %s, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v172 = tensor.empty() : tensor<8x32xf32>
    %v173 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v167, %v171, %v160, %v161 : tensor<8x32xf32>, tensor<8xf32>, tensor<32xf32>, tensor<32xf32>) outs(%v172 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32, %d: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %variance = arith.divf %b, %width : f32
      %epsilon = arith.constant 1.000000e-12 : f32
      %more = arith.addf %variance, %epsilon : f32
      %scale = math.rsqrt %more : f32
      %unit = arith.mulf %a, %scale : f32
      %long = arith.mulf %unit, %c : f32
      %r = arith.addf %long, %d : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v174 = util.global.load @encoder_encoder_layer_1_intermediate_dense_weight : tensor<64x32xf32>
    %v175 = util.global.load @encoder_encoder_layer_1_intermediate_dense_bias : tensor<64xf32>
    %v176 = tensor.empty() : tensor<8x64xf32>
    %v177 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v175 : tensor<64xf32>) outs(%v176 : tensor<8x64xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x64xf32>
    %v178 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v173, %v174 : tensor<8x32xf32>, tensor<64x32xf32>) outs(%v177 : tensor<8x64xf32>) -> tensor<8x64xf32>
    %v179 = tensor.empty() : tensor<8x64xf32>
    %v180 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v178 : tensor<8x64xf32>) outs(%v179 : tensor<8x64xf32>) {
    ^bb0(%a: f32, %out: f32):
      %half = arith.constant 0.5 : f32
      %one = arith.constant 1.0 : f32
      %root = arith.constant 0.707106769 : f32
      %scaled = arith.mulf %a, %root : f32
      %erf = math.erf %scaled : f32
      %share = arith.addf %erf, %one : f32
      %part = arith.mulf %share, %half : f32
      %r = arith.mulf %a, %part : f32
      linalg.yield %r : f32
    } -> tensor<8x64xf32>
    %v181 = util.global.load @encoder_encoder_layer_1_output_dense_weight : tensor<32x64xf32>
    %v182 = util.global.load @encoder_encoder_layer_1_output_dense_bias : tensor<32xf32>
    %v183 = tensor.empty() : tensor<8x32xf32>
    %v184 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v182 : tensor<32xf32>) outs(%v183 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %zero = arith.constant 0.0 : f32
      %r = arith.addf %a, %zero : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v185 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%v180, %v181 : tensor<8x64xf32>, tensor<32x64xf32>) outs(%v184 : tensor<8x32xf32>) -> tensor<8x32xf32>
    %v186 = tensor.empty() : tensor<8x32xf32>
    %v187 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v173, %v185 : tensor<8x32xf32>, tensor<8x32xf32>) outs(%v186 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %r = arith.addf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v188 = util.global.load @encoder_encoder_layer_1_output_LayerNorm_weight : tensor<32xf32>
    %v189 = util.global.load @encoder_encoder_layer_1_output_LayerNorm_bias : tensor<32xf32>
    %v190 = arith.constant 0.0 : f32
    %v191 = tensor.empty() : tensor<8xf32>
    %v192 = linalg.fill ins(%v190 : f32) outs(%v191 : tensor<8xf32>) -> tensor<8xf32>
    %v193 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v187 : tensor<8x32xf32>) outs(%v192 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %r = arith.addf %a, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v194 = tensor.empty() : tensor<8x32xf32>
    %v195 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v187, %v193 : tensor<8x32xf32>, tensor<8xf32>) outs(%v194 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %mean = arith.divf %b, %width : f32
      %r = arith.subf %a, %mean : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v196 = arith.constant 0.0 : f32
    %v197 = tensor.empty() : tensor<8xf32>
    %v198 = linalg.fill ins(%v196 : f32) outs(%v197 : tensor<8xf32>) -> tensor<8xf32>
    %v199 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v195 : tensor<8x32xf32>) outs(%v198 : tensor<8xf32>) {
    ^bb0(%a: f32, %out: f32):
      %s = arith.mulf %a, %a : f32
      %r = arith.addf %s, %out : f32
      linalg.yield %r : f32
    } -> tensor<8xf32>
    %v200 = tensor.empty() : tensor<8x32xf32>
    %v201 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%v195, %v199, %v188, %v189 : tensor<8x32xf32>, tensor<8xf32>, tensor<32xf32>, tensor<32xf32>) outs(%v200 : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32, %d: f32, %out: f32):
      %width = arith.constant 32.0 : f32
      %variance = arith.divf %b, %width : f32
      %epsilon = arith.constant 1.000000e-12 : f32
      %more = arith.addf %variance, %epsilon : f32
      %scale = math.rsqrt %more : f32
      %unit = arith.mulf %a, %scale : f32
      %long = arith.mulf %unit, %c : f32
      %r = arith.addf %long, %d : f32
      linalg.yield %r : f32
    } -> tensor<8x32xf32>
    %v202 = arith.constant 0.0 : f32
    %v203 = tensor.empty() : tensor<32xf32>
    %v204 = linalg.fill ins(%v202 : f32) outs(%v203 : tensor<32xf32>) -> tensor<32xf32>
    %v205 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%v201 : tensor<8x32xf32>) outs(%v204 : tensor<32xf32>) {
    ^bb0(%a: f32, %out: f32):
      %row = linalg.index 1 : index
      %is_token = arith.cmpi ult, %row, %v6 : index
      %zero = arith.constant 0.0 : f32
      %part = arith.select %is_token, %a, %zero : f32
      %r = arith.addf %part, %out : f32
      linalg.yield %r : f32
    } -> tensor<32xf32>
    %v206 = arith.constant 0.0 : f32
    %v207 = tensor.empty() : tensor<f32>
    %v208 = linalg.fill ins(%v206 : f32) outs(%v207 : tensor<f32>) -> tensor<f32>
    %v209 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%v205 : tensor<32xf32>) outs(%v208 : tensor<f32>) {
    ^bb0(%a: f32, %out: f32):
      %s = arith.mulf %a, %a : f32
      %r = arith.addf %s, %out : f32
      linalg.yield %r : f32
    } -> tensor<f32>
    %v210 = tensor.empty() : tensor<32xf32>
    %v211 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%v205, %v209 : tensor<32xf32>, tensor<f32>) outs(%v210 : tensor<32xf32>) {
    ^bb0(%a: f32, %b: f32, %out: f32):
      %least = arith.constant 1.0e-24 : f32
      %more = arith.maximumf %b, %least : f32
      %scale = math.rsqrt %more : f32
      %r = arith.mulf %a, %scale : f32
      linalg.yield %r : f32
    } -> tensor<32xf32>
    return %v211 : tensor<32xf32>
  }

}
