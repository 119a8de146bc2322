"""Writes a trained network as an MLIR program over tensors, weights included.

What does not live here: compiling it (models/rebuild.py).
"""

import numpy as np


NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def constant(name, array):
    """`%name = arith.constant dense<...>`: little-endian hexadecimal, so that every bit survives."""
    shape = "x".join(str(extent) for extent in array.shape)
    text = np.ascontiguousarray(array, dtype="<f4").tobytes().hex().upper()
    return f'    %{name} = arith.constant dense<"0x{text}"> : tensor<{shape}xf32>'


CONVOLVE = """
  // 3x3 convolution with zero padding, bias and relu.
  func.func private @convolve_{name}(%input: tensor<1x{size}x{size}x{inputs}xf32>) -> tensor<1x{size}x{size}x{outputs}xf32> {{
{filter}
{bias}
    %zero = arith.constant 0.0 : f32
    %padded = tensor.pad %input low[0, 1, 1, 0] high[0, 1, 1, 0] {{
    ^bb0(%n: index, %y: index, %x: index, %c: index):
      tensor.yield %zero : f32
    }} : tensor<1x{size}x{size}x{inputs}xf32> to tensor<1x{padded}x{padded}x{inputs}xf32>
    %empty = tensor.empty() : tensor<1x{size}x{size}x{outputs}xf32>
    %start = linalg.broadcast ins(%bias : tensor<{outputs}xf32>) outs(%empty : tensor<1x{size}x{size}x{outputs}xf32>) dimensions = [0, 1, 2]
    %sum = linalg.conv_2d_nhwc_hwcf {{strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}}
      ins(%padded, %filter : tensor<1x{padded}x{padded}x{inputs}xf32>, tensor<3x3x{inputs}x{outputs}xf32>)
      outs(%start : tensor<1x{size}x{size}x{outputs}xf32>) -> tensor<1x{size}x{size}x{outputs}xf32>
    %relu = linalg.generic {{indexing_maps = [#same4, #same4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}}
      ins(%sum : tensor<1x{size}x{size}x{outputs}xf32>) outs(%empty : tensor<1x{size}x{size}x{outputs}xf32>) {{
    ^bb0(%value: f32, %unused: f32):
      %positive = arith.maximumf %value, %zero : f32
      linalg.yield %positive : f32
    }} -> tensor<1x{size}x{size}x{outputs}xf32>
    return %relu : tensor<1x{size}x{size}x{outputs}xf32>
  }}

  // Maximum over 2x2 windows.
  func.func private @pool_{name}(%input: tensor<1x{size}x{size}x{outputs}xf32>) -> tensor<1x{half}x{half}x{outputs}xf32> {{
    %lowest = arith.constant 0xFF800000 : f32
    %window = tensor.empty() : tensor<2x2xf32>
    %empty = tensor.empty() : tensor<1x{half}x{half}x{outputs}xf32>
    %start = linalg.fill ins(%lowest : f32) outs(%empty : tensor<1x{half}x{half}x{outputs}xf32>) -> tensor<1x{half}x{half}x{outputs}xf32>
    %result = linalg.pooling_nhwc_max {{strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}}
      ins(%input, %window : tensor<1x{size}x{size}x{outputs}xf32>, tensor<2x2xf32>)
      outs(%start : tensor<1x{half}x{half}x{outputs}xf32>) -> tensor<1x{half}x{half}x{outputs}xf32>
    return %result : tensor<1x{half}x{half}x{outputs}xf32>
  }}
"""

CLASSIFY = """
  // The ten probabilities of an image of raw pixels (0..16), and the index of the largest.
  func.func @classify(%image: tensor<8x8xf32>) -> (tensor<10xf32>, tensor<i32>) {{
{weight}
{bias}
    %scale = arith.constant 0.0625 : f32
    %pixels = tensor.empty() : tensor<8x8xf32>
    %scaled = linalg.generic {{indexing_maps = [#same2, #same2], iterator_types = ["parallel", "parallel"]}}
      ins(%image : tensor<8x8xf32>) outs(%pixels : tensor<8x8xf32>) {{
    ^bb0(%pixel: f32, %unused: f32):
      %value = arith.mulf %pixel, %scale : f32
      linalg.yield %value : f32
    }} -> tensor<8x8xf32>
    %expanded = tensor.expand_shape %scaled [[0, 1], [2, 3]] output_shape [1, 8, 8, 1] : tensor<8x8xf32> into tensor<1x8x8x1xf32>
    %a = call @convolve_first(%expanded) : (tensor<1x8x8x1xf32>) -> tensor<1x8x8x16xf32>
    %b = call @pool_first(%a) : (tensor<1x8x8x16xf32>) -> tensor<1x4x4x16xf32>
    %c = call @convolve_second(%b) : (tensor<1x4x4x16xf32>) -> tensor<1x4x4x32xf32>
    %d = call @pool_second(%c) : (tensor<1x4x4x32xf32>) -> tensor<1x2x2x32xf32>
    %flat = tensor.collapse_shape %d [[0, 1, 2, 3]] : tensor<1x2x2x32xf32> into tensor<128xf32>
    %scores = linalg.vecmat ins(%flat, %weight : tensor<128xf32>, tensor<128x10xf32>) outs(%bias : tensor<10xf32>) -> tensor<10xf32>
    %row = tensor.empty() : tensor<10xf32>
    %probabilities = linalg.softmax dimension(0) ins(%scores : tensor<10xf32>) outs(%row : tensor<10xf32>) -> tensor<10xf32>
    %class = call @largest(%scores) : (tensor<10xf32>) -> tensor<i32>
    return %probabilities, %class : tensor<10xf32>, tensor<i32>
  }}

  // The index of the largest score; the first of equals.
  func.func private @largest(%scores: tensor<10xf32>) -> tensor<i32> {{
    %lowest = arith.constant dense<0xFF800000> : tensor<f32>
    %none = arith.constant dense<0> : tensor<i32>
    %best:2 = linalg.generic {{indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}}
      ins(%scores : tensor<10xf32>) outs(%lowest, %none : tensor<f32>, tensor<i32>) {{
    ^bb0(%score: f32, %value: f32, %index: i32):
      %here = linalg.index 0 : index
      %candidate = arith.index_cast %here : index to i32
      %better = arith.cmpf ogt, %score, %value : f32
      %new_value = arith.select %better, %score, %value : f32
      %new_index = arith.select %better, %candidate, %index : i32
      linalg.yield %new_value, %new_index : f32, i32
    }} -> (tensor<f32>, tensor<i32>)
    return %best#1 : tensor<i32>
  }}
"""


def convolution(name, layer, size):
    outputs = layer.bias.shape[0]
    return CONVOLVE.format(
        name=name,
        size=size,
        padded=size + 2,
        half=size // 2,
        inputs=layer.inputs,
        outputs=outputs,
        filter=constant("filter", layer.filter.reshape(3, 3, layer.inputs, outputs)),
        bias=constant("bias", layer.bias),
    )


def program(network):
    """The text of digits.mlir."""
    return "".join(
        [
            "// Written by train.py: do not edit.\n",
            "//! tolerance: 1e-6 1e-4\n",
            *(f"//! case {name}: classify(@{name}.npy)\n" for name in NAMES),
            "#same2 = affine_map<(d0, d1) -> (d0, d1)>\n",
            "#same4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>\n",
            "module @digits {",
            convolution("first", network.first, 8),
            convolution("second", network.second, 4),
            CLASSIFY.format(weight=constant("weight", network.dense.weight), bias=constant("bias", network.dense.bias)),
            "}\n",
        ]
    )
