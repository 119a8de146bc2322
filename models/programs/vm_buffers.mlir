// Byte buffers: allocation, loads and stores of every width, fills, copies, comparison, hash.
//! flags: --compile-mode=vm --iree-vm-target-extension-f64
//! case buffer_widths: widths(-2)
//! case buffer_fills: fills()
//! case buffer_copy_compare: copy_compare(2)
//! case buffer_copy_unequal: copy_compare(0)
//! case buffer_hash: hash(25)
//! case buffer_hash_empty: hash(0)
//! case buffer_clone: clone()
//! case buffer_length: length(123)
//! case buffer_floats: floats(0.1)
//! case buffer_text: text(4)
//! failing case buffer_load_past_end: text(14)
//! error: OUT_OF_RANGE
//! failing case buffer_store_rodata: store_rodata()
//! error: PERMISSION_DENIED
//! case buffer_returned: returned()
vm.module @buffers {
  vm.rodata private @greeting "hello, world"

  vm.export @widths
  vm.func private @widths(%value: i32) -> (i32, i32, i32, i32, i32, i64) {
    %o0 = vm.const.i64.zero
    %o1 = vm.const.i64 1
    %o2 = vm.const.i64 2
    %len = vm.const.i64 24
    %align = vm.const.i32 16
    %b = vm.buffer.alloc %len, %align : !vm.buffer
    vm.buffer.store.i8 %value, %b[%o0] : i32 -> !vm.buffer
    vm.buffer.store.i16 %value, %b[%o1] : i32 -> !vm.buffer
    vm.buffer.store.i32 %value, %b[%o1] : i32 -> !vm.buffer
    %wide = vm.ext.i32.i64.s %value : i32 -> i64
    vm.buffer.store.i64 %wide, %b[%o2] : i64 -> !vm.buffer
    %u8 = vm.buffer.load.i8.u %b[%o0] : !vm.buffer -> i32
    %s8 = vm.buffer.load.i8.s %b[%o0] : !vm.buffer -> i32
    %u16 = vm.buffer.load.i16.u %b[%o2] : !vm.buffer -> i32
    %s16 = vm.buffer.load.i16.s %b[%o1] : !vm.buffer -> i32
    %i32 = vm.buffer.load.i32 %b[%o1] : !vm.buffer -> i32
    %i64 = vm.buffer.load.i64 %b[%o2] : !vm.buffer -> i64
    vm.return %u8, %s8, %u16, %s16, %i32, %i64 : i32, i32, i32, i32, i32, i64
  }

  vm.export @fills
  vm.func private @fills() -> (i64, i64, i64, i64) {
    %c0 = vm.const.i64.zero
    %c1 = vm.const.i64 1
    %c2 = vm.const.i64 2
    %c3 = vm.const.i64 3
    %c4 = vm.const.i64 4
    %len = vm.const.i64 32
    %align = vm.const.i32 16
    %v = vm.const.i32 0x12345678
    %w = vm.const.i64 0x1122334455667788
    %b = vm.buffer.alloc %len, %align : !vm.buffer
    vm.buffer.fill.i8 %b, %c1, %c3, %v : i32 -> !vm.buffer
    vm.buffer.fill.i16 %b, %c4, %c2, %v : i32 -> !vm.buffer
    vm.buffer.fill.i32 %b, %c4, %c1, %v : i32 -> !vm.buffer
    vm.buffer.fill.i64 %b, %c3, %c1, %w : i64 -> !vm.buffer
    %0 = vm.buffer.load.i64 %b[%c0] : !vm.buffer -> i64
    %1 = vm.buffer.load.i64 %b[%c1] : !vm.buffer -> i64
    %2 = vm.buffer.load.i64 %b[%c2] : !vm.buffer -> i64
    %3 = vm.buffer.load.i64 %b[%c3] : !vm.buffer -> i64
    vm.return %0, %1, %2, %3 : i64, i64, i64, i64
  }

  // Copies five bytes of the greeting to `offset` and compares with the greeting from 2.
  vm.export @copy_compare
  vm.func private @copy_compare(%offset: i32) -> (i32, i32) {
    %c0 = vm.const.i64.zero
    %c2 = vm.const.i64 2
    %five = vm.const.i64 5
    %len = vm.const.i64 16
    %align = vm.const.i32 16
    %text = vm.const.ref.rodata @greeting : !vm.buffer
    %b = vm.buffer.alloc %len, %align : !vm.buffer
    %at = vm.ext.i32.i64.s %offset : i32 -> i64
    vm.buffer.copy %text, %c2, %b, %at, %five : !vm.buffer -> !vm.buffer
    %same = vm.buffer.compare %text, %c2, %b, %c2, %five : !vm.buffer, !vm.buffer
    %empty = vm.buffer.compare %text, %c0, %b, %c2, %c0 : !vm.buffer, !vm.buffer
    vm.return %same, %empty : i32, i32
  }

  // The hash of the bytes 0, 1, 2, ….
  vm.export @hash
  vm.func private @hash(%n: i32) -> i64 {
    %c0 = vm.const.i64.zero
    %c1 = vm.const.i64 1
    %align = vm.const.i32 16
    %len = vm.ext.i32.i64.u %n : i32 -> i64
    %b = vm.buffer.alloc %len, %align : !vm.buffer
    vm.br ^loop(%c0 : i64)
  ^loop(%i: i64):
    %more = vm.cmp.lt.i64.s %i, %len : i64
    vm.cond_br %more, ^body, ^done
  ^body:
    %byte = vm.trunc.i64.i32 %i : i64 -> i32
    vm.buffer.store.i8 %byte, %b[%i] : i32 -> !vm.buffer
    %next = vm.add.i64 %i, %c1 : i64
    vm.br ^loop(%next : i64)
  ^done:
    %hash = vm.buffer.hash %b, %c0, %len : !vm.buffer -> i64
    vm.return %hash : i64
  }

  vm.export @clone
  vm.func private @clone() -> (i64, i32) {
    %c0 = vm.const.i64.zero
    %c7 = vm.const.i64 7
    %five = vm.const.i64 5
    %align = vm.const.i32 16
    %letter = vm.const.i32 87
    %text = vm.const.ref.rodata @greeting : !vm.buffer
    %b = vm.buffer.clone %text, %c7, %five, %align : !vm.buffer -> !vm.buffer
    vm.buffer.store.i8 %letter, %b[%c0] : i32 -> !vm.buffer
    %len = vm.buffer.length %b : !vm.buffer -> i64
    %first = vm.buffer.load.i32 %b[%c0] : !vm.buffer -> i32
    vm.return %len, %first : i64, i32
  }

  vm.export @length
  vm.func private @length(%n: i64) -> i64 {
    %align = vm.const.i32 64
    %b = vm.buffer.alloc %n, %align : !vm.buffer
    %len = vm.buffer.length %b : !vm.buffer -> i64
    vm.return %len : i64
  }

  vm.export @floats
  vm.func private @floats(%value: f32) -> (f32, f64, i32, i64) {
    %c0 = vm.const.i64.zero
    %c1 = vm.const.i64 1
    %len = vm.const.i64 16
    %align = vm.const.i32 16
    %b = vm.buffer.alloc %len, %align : !vm.buffer
    vm.buffer.store.f32 %value, %b[%c0] : f32 -> !vm.buffer
    %wide = vm.ext.f32.f64 %value : f32 -> f64
    vm.buffer.store.f64 %wide, %b[%c1] : f64 -> !vm.buffer
    %f = vm.buffer.load.f32 %b[%c0] : !vm.buffer -> f32
    %d = vm.buffer.load.f64 %b[%c1] : !vm.buffer -> f64
    %fb = vm.buffer.load.i32 %b[%c0] : !vm.buffer -> i32
    %db = vm.buffer.load.i64 %b[%c1] : !vm.buffer -> i64
    vm.return %f, %d, %fb, %db : f32, f64, i32, i64
  }

  vm.export @text
  vm.func private @text(%index: i64) -> i32 {
    %text = vm.const.ref.rodata @greeting : !vm.buffer
    %letter = vm.buffer.load.i8.u %text[%index] : !vm.buffer -> i32
    vm.return %letter : i32
  }

  vm.export @store_rodata
  vm.func private @store_rodata() {
    %c0 = vm.const.i64.zero
    %v = vm.const.i32 1
    %text = vm.const.ref.rodata @greeting : !vm.buffer
    vm.buffer.store.i8 %v, %text[%c0] : i32 -> !vm.buffer
    vm.return
  }

  vm.export @returned
  vm.func private @returned() -> (!vm.buffer, !vm.buffer) {
    %text = vm.const.ref.rodata @greeting : !vm.buffer
    %null = vm.const.ref.zero : !vm.buffer
    vm.return %text, %null : !vm.buffer, !vm.buffer
  }
}
