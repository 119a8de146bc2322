// Plain buffers and untyped views as arguments and results; questions about a view.
//! case view_questions: questions(3x5xf32)
//! case view_questions_integers: questions(2x1xsi16)
//! case view_pass: pass(2x2xi32=1 2 3 4)
//! case buffer_as_tensor: sum_buffer(&4xi32=1 2 3 4)
//! failing case buffer_wrong_kind: sum_buffer(4xi32=1 2 3 4)
//! error: INVALID_ARGUMENT
module @views {
  util.func public @questions(%view: !hal.buffer_view) -> (index, index, index, i32, i32) {
    %rank = hal.buffer_view.rank<%view : !hal.buffer_view> : index
    %rows = hal.buffer_view.dim<%view : !hal.buffer_view>[0] : index
    %columns = hal.buffer_view.dim<%view : !hal.buffer_view>[1] : index
    %type = hal.buffer_view.element_type<%view : !hal.buffer_view> : i32
    %encoding = hal.buffer_view.encoding_type<%view : !hal.buffer_view> : i32
    util.return %rank, %rows, %columns, %type, %encoding : index, index, index, i32, i32
  }
  util.func public @pass(%view: !hal.buffer_view) -> !hal.buffer_view {
    util.return %view : !hal.buffer_view
  }
  util.func public @sum_buffer(%buffer: !hal.buffer) -> !hal.buffer_view {
    %a = hal.tensor.import %buffer : !hal.buffer -> tensor<4xi32>
    %zero = arith.constant dense<0> : tensor<i32>
    %r = linalg.reduce ins(%a : tensor<4xi32>) outs(%zero : tensor<i32>) dimensions = [0] (%x: i32, %y: i32) {
      %s = arith.addi %x, %y : i32
      linalg.yield %s : i32
    }
    %view = hal.tensor.export %r : tensor<i32> -> !hal.buffer_view
    util.return %view : !hal.buffer_view
  }
}
