// Lists of scalars and tensors, and text, as results of a tensor program.
//! case list_of_tensors: tensors(2xf32=1 2)
//! case list_of_scalars: scalars(5)
//! case string_result: greeting()
//! case list_of_strings: strings()
module @lists {
  util.func public @tensors(%view: !hal.buffer_view) -> !util.list<?> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %a = hal.tensor.import %view : !hal.buffer_view -> tensor<2xf32>
    %b = arith.mulf %a, %a : tensor<2xf32>
    %squared = hal.tensor.export %b : tensor<2xf32> -> !hal.buffer_view
    %list = util.list.create %c2 : !util.list<?>
    util.list.resize %list, %c2 : !util.list<?>
    util.list.set %list[%c0], %view : !hal.buffer_view -> !util.list<?>
    util.list.set %list[%c1], %squared : !hal.buffer_view -> !util.list<?>
    util.return %list : !util.list<?>
  }
  util.func public @scalars(%n: i32) -> !util.list<i32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %list = util.list.create %c2 : !util.list<i32>
    util.list.resize %list, %c2 : !util.list<i32>
    util.list.set %list[%c0], %n : i32 -> !util.list<i32>
    %old = util.list.get %list[%c0] : !util.list<i32> -> i32
    %square = arith.muli %old, %old : i32
    util.list.set %list[%c1], %square : i32 -> !util.list<i32>
    util.return %list : !util.list<i32>
  }
  util.func public @greeting() -> !util.buffer {
    %text = util.buffer.constant : !util.buffer = "hello"
    util.return %text : !util.buffer
  }
  util.func public @strings() -> !util.list<?> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %list = util.list.create %c1 : !util.list<?>
    util.list.resize %list, %c1 : !util.list<?>
    %text = util.buffer.constant : !util.buffer = "hello"
    util.list.set %list[%c0], %text : !util.buffer -> !util.list<?>
    util.return %list : !util.list<?>
  }
}
