// A cache that grows with every call: tensors kept between steps, positions counted on the host, several steps in one call.
//! case decoder_one_step: step(1x4xf32=1 2 3 4)
//! case decoder_three_steps: three_steps(1x4xf32=1 2 3 4)
//! failing case decoder_full: overflow(1x4xf32=1)
//! error: the cache is full
module @decoder {
  util.global private mutable @cache = dense<0.0> : tensor<4x4xf32>
  util.global private mutable @position = 0 : index

  // The next free row; full is an error.
  util.func private @reserve() -> index attributes {inlining_policy = #util.inline.never} {
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %position = util.global.load @position : index
    %room = arith.cmpi ult, %position, %c4 : index
    cf.assert %room, "the cache is full"
    %next = arith.addi %position, %c1 : index
    util.global.store %next, @position : index
    util.return %position : index
  }

  util.func public @step(%a: tensor<1x4xf32>) -> (tensor<4x4xf32>, index) {
    %position = util.call @reserve() : () -> index
    %cache = util.global.load @cache : tensor<4x4xf32>
    %new = tensor.insert_slice %a into %cache[%position, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<4x4xf32>
    util.global.store %new, @cache : tensor<4x4xf32>
    util.return %new, %position : tensor<4x4xf32>, index
  }

  util.func public @three_steps(%a: tensor<1x4xf32>) -> tensor<4x4xf32> {
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %b = arith.addf %a, %a : tensor<1x4xf32>
    %c = arith.addf %a, %b : tensor<1x4xf32>
    %cache = util.global.load @cache : tensor<4x4xf32>
    %p = util.call @reserve() : () -> index
    %q = arith.addi %p, %c1 : index
    %r = arith.addi %p, %c2 : index
    %0 = tensor.insert_slice %a into %cache[%p, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<4x4xf32>
    %1 = tensor.insert_slice %b into %0[%q, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<4x4xf32>
    %2 = tensor.insert_slice %c into %1[%r, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<4x4xf32>
    util.global.store %2, @cache : tensor<4x4xf32>
    util.return %2 : tensor<4x4xf32>
  }

  util.func public @overflow(%a: tensor<1x4xf32>) -> tensor<4x4xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c5 = arith.constant 5 : index
    %cache = util.global.load @cache : tensor<4x4xf32>
    %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%last = %cache) -> tensor<4x4xf32> {
      %p = util.call @reserve() : () -> index
      %0 = tensor.insert_slice %a into %last[%p, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<4x4xf32>
      scf.yield %0 : tensor<4x4xf32>
    }
    util.return %r : tensor<4x4xf32>
  }
}
