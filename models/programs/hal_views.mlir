// Buffer views by hand: creation, checks with every message, dimensions, element types.
//! flags: --compile-mode=vm
//! case view_created: create(4)
//! case view_smaller_than_buffer: create(3)
//! failing case view_larger_than_buffer: create(5)
//! error: OUT_OF_RANGE
//! case view_i4_packed: packed()
//! case view_asserted: check(4xf32=1 2 3 4)
//! failing case view_wrong_type: check(4xi32=1 2 3 4)
//! error: thing element type mismatch; expected f32 (21000020) but have i32 (10000020)
//! failing case view_wrong_rank: check(2x2xf32=1 2 3 4)
//! error: thing shape rank mismatch; expected 1 but have 2
//! failing case view_wrong_extent: check(5xf32=1 2 3 4 5)
//! error: thing shape dimension 0 mismatch; expected 4 but have 5
//! case view_of_part: part(6xi32=1 2 3 4 5 6)
//! case view_signed_as_signless: check_integer(2xsi32=1 2)
//! case view_unsigned_as_signless: check_integer(2xui32=1 2)
vm.module @views {
  vm.import private @hal.devices.get(%index : i32) -> !vm.ref<!hal.device>
  vm.import private @hal.device.allocator(%device : !vm.ref<!hal.device>) -> !vm.ref<!hal.allocator>
  vm.import private @hal.allocator.allocate(%allocator : !vm.ref<!hal.allocator>, %affinity : i64, %types : i32, %usage : i32, %size : i64) -> !vm.ref<!hal.buffer>
  vm.import private @hal.buffer.store(%value : i32, %buffer : !vm.ref<!hal.buffer>, %offset : i64, %length : i32)
  vm.import private @hal.buffer.length(%buffer : !vm.ref<!hal.buffer>) -> i64
  vm.import private @hal.buffer_view.create(%buffer : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %type : i32, %encoding : i32, %shape : i64 ...) -> !vm.ref<!hal.buffer_view>
  vm.import private @hal.buffer_view.assert(%view : !vm.ref<!hal.buffer_view>, %message : !vm.buffer, %type : i32, %encoding : i32, %shape : i64 ...)
  vm.import private @hal.buffer_view.buffer(%view : !vm.ref<!hal.buffer_view>) -> !vm.ref<!hal.buffer>
  vm.import private @hal.buffer_view.element_type(%view : !vm.ref<!hal.buffer_view>) -> i32
  vm.import private @hal.buffer_view.encoding_type(%view : !vm.ref<!hal.buffer_view>) -> i32
  vm.import private @hal.buffer_view.rank(%view : !vm.ref<!hal.buffer_view>) -> i32
  vm.import private @hal.buffer_view.dim(%view : !vm.ref<!hal.buffer_view>, %index : i32) -> i64
  vm.rodata private @message "thing"

  vm.func private @fresh(%size: i64) -> !vm.ref<!hal.buffer> {
    %c0 = vm.const.i32.zero
    %any = vm.const.i64 -1
    %device = vm.call @hal.devices.get(%c0) : (i32) -> !vm.ref<!hal.device>
    %allocator = vm.call @hal.device.allocator(%device) : (!vm.ref<!hal.device>) -> !vm.ref<!hal.allocator>
    %buffer = vm.call @hal.allocator.allocate(%allocator, %any, %c0, %c0, %size) : (!vm.ref<!hal.allocator>, i64, i32, i32, i64) -> !vm.ref<!hal.buffer>
    vm.return %buffer : !vm.ref<!hal.buffer>
  }

  // A view of `n` 32-bit integers over 16 bytes; the first is set to 7.
  vm.export @create
  vm.func private @create(%n: i64) -> (i32, i64, i32, i32, i64) {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %type = vm.const.i32 0x10000020
    %o0 = vm.const.i64.zero
    %size = vm.const.i64 16
    %buffer = vm.call @fresh(%size) : (i64) -> !vm.ref<!hal.buffer>
    %view = vm.call.variadic @hal.buffer_view.create(%buffer, %o0, %size, %type, %c1, [%n]) : (!vm.ref<!hal.buffer>, i64, i64, i32, i32, i64 ...) -> !vm.ref<!hal.buffer_view>
    %rank = vm.call @hal.buffer_view.rank(%view) : (!vm.ref<!hal.buffer_view>) -> i32
    %dim = vm.call @hal.buffer_view.dim(%view, %c0) : (!vm.ref<!hal.buffer_view>, i32) -> i64
    %element = vm.call @hal.buffer_view.element_type(%view) : (!vm.ref<!hal.buffer_view>) -> i32
    %encoding = vm.call @hal.buffer_view.encoding_type(%view) : (!vm.ref<!hal.buffer_view>) -> i32
    %inner = vm.call @hal.buffer_view.buffer(%view) : (!vm.ref<!hal.buffer_view>) -> !vm.ref<!hal.buffer>
    %length = vm.call @hal.buffer.length(%inner) : (!vm.ref<!hal.buffer>) -> i64
    vm.return %rank, %dim, %element, %encoding, %length : i32, i64, i32, i32, i64
  }

  // Seven 4-bit integers need four bytes.
  vm.export @packed
  vm.func private @packed() -> i64 {
    %c1 = vm.const.i32 1
    %c0 = vm.const.i32.zero
    %type = vm.const.i32 0x10000004
    %o0 = vm.const.i64.zero
    %size = vm.const.i64 4
    %n = vm.const.i64 7
    %buffer = vm.call @fresh(%size) : (i64) -> !vm.ref<!hal.buffer>
    %view = vm.call.variadic @hal.buffer_view.create(%buffer, %o0, %size, %type, %c1, [%n]) : (!vm.ref<!hal.buffer>, i64, i64, i32, i32, i64 ...) -> !vm.ref<!hal.buffer_view>
    %dim = vm.call @hal.buffer_view.dim(%view, %c0) : (!vm.ref<!hal.buffer_view>, i32) -> i64
    vm.return %dim : i64
  }

  vm.export @check
  vm.func private @check(%view: !vm.ref<!hal.buffer_view>) -> !vm.ref<!hal.buffer_view> {
    %c1 = vm.const.i32 1
    %type = vm.const.i32 0x21000020
    %n = vm.const.i64 4
    %message = vm.const.ref.rodata @message : !vm.buffer
    vm.call.variadic @hal.buffer_view.assert(%view, %message, %type, %c1, [%n]) : (!vm.ref<!hal.buffer_view>, !vm.buffer, i32, i32, i64 ...)
    vm.return %view : !vm.ref<!hal.buffer_view>
  }

  vm.export @check_integer
  vm.func private @check_integer(%view: !vm.ref<!hal.buffer_view>) -> !vm.ref<!hal.buffer_view> {
    %c1 = vm.const.i32 1
    %type = vm.const.i32 0x10000020
    %n = vm.const.i64 2
    %message = vm.const.ref.rodata @message : !vm.buffer
    vm.call.variadic @hal.buffer_view.assert(%view, %message, %type, %c1, [%n]) : (!vm.ref<!hal.buffer_view>, !vm.buffer, i32, i32, i64 ...)
    vm.return %view : !vm.ref<!hal.buffer_view>
  }

  // The middle of the argument, as a matrix of another type over the same bytes.
  vm.export @part
  vm.func private @part(%view: !vm.ref<!hal.buffer_view>) -> (!vm.ref<!hal.buffer_view>, i64) {
    %c1 = vm.const.i32 1
    %type = vm.const.i32 0x10000010
    %o4 = vm.const.i64 4
    %o16 = vm.const.i64 16
    %rows = vm.const.i64 2
    %buffer = vm.call @hal.buffer_view.buffer(%view) : (!vm.ref<!hal.buffer_view>) -> !vm.ref<!hal.buffer>
    %middle = vm.call.variadic @hal.buffer_view.create(%buffer, %o4, %o16, %type, %c1, [%rows, %o4]) : (!vm.ref<!hal.buffer>, i64, i64, i32, i32, i64 ...) -> !vm.ref<!hal.buffer_view>
    %inner = vm.call @hal.buffer_view.buffer(%middle) : (!vm.ref<!hal.buffer_view>) -> !vm.ref<!hal.buffer>
    %length = vm.call @hal.buffer.length(%inner) : (!vm.ref<!hal.buffer>) -> i64
    vm.return %middle, %length : !vm.ref<!hal.buffer_view>, i64
  }
}
