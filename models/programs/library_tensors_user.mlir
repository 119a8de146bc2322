// The other side: buffer views cross the border, shapes travel with them.
//! modules: library_tensors.vmfb library_tensors_user.vmfb
//! case tensors_two_modules: run(4xf32=4 8 12 16)
module @tensors_user {
  util.func private @tensors.normalise(%a: !hal.buffer_view) -> !hal.buffer_view
  util.func public @run(%a: !hal.buffer_view) -> (!hal.buffer_view, !hal.buffer_view) {
    %in = hal.tensor.import %a "input" : !hal.buffer_view -> tensor<4xf32>
    %double = arith.addf %in, %in : tensor<4xf32>
    %view = hal.tensor.export %double "doubled" : tensor<4xf32> -> !hal.buffer_view
    %r = util.call @tensors.normalise(%view) : (!hal.buffer_view) -> !hal.buffer_view
    util.return %r, %view : !hal.buffer_view, !hal.buffer_view
  }
}
