// Values as tools show them: any reference given back, narrow lists, floats in short form, failures with every code.
//! flags: --compile-mode=vm --iree-vm-target-extension-f64
//! case echo_null: echo((null))
//! case echo_tensor: echo(2x2xf32=1 2 3 4)
//! case echo_buffer: echo(&4xf32=1)
//! case echo_npy: echo(@data/matrix_f32.npy)
//! case echo_raw: echo(4xf32=@data/four_f32.bin)
//! case floats_shortened: floats(0.1; 123456789)
//! case floats_special: floats(nan; -inf)
//! case floats_zero: floats((null); (ignored))
//! case list_of_bytes: narrow()
//! case several_kinds: kinds()
//! failing case fails_with_code: fail(8)
//! error: RESOURCE_EXHAUSTED; out of paper
//! case fails_with_nothing: fail(0)
vm.module @tool_values {
  vm.export @echo
  vm.func private @echo(%value: !vm.ref<?>) -> !vm.ref<?> {
    vm.return %value : !vm.ref<?>
  }
  vm.export @floats
  vm.func private @floats(%a: f64, %b: f32) -> (f64, f32) {
    vm.return %a, %b : f64, f32
  }
  vm.export @narrow
  vm.func private @narrow() -> !vm.list<i8> {
    %c3 = vm.const.i32 3
    %list = vm.list.alloc %c3 : (i32) -> !vm.list<i8>
    vm.list.resize %list, %c3 : (!vm.list<i8>, i32)
    vm.return %list : !vm.list<i8>
  }
  vm.export @kinds
  vm.func private @kinds() -> (i32, i64, f32, f64, !vm.ref<?>, !vm.buffer, !vm.list<?>) {
    %i = vm.const.i32 -7
    %j = vm.const.i64 4294967296
    %f = vm.const.f32 0.1
    %d = vm.const.f64 1.0e20
    %null = vm.const.ref.zero : !vm.ref<?>
    %length = vm.const.i64 10
    %alignment = vm.const.i32 4
    %buffer = vm.buffer.alloc %length, %alignment : !vm.buffer
    %list = vm.list.alloc %alignment : (i32) -> !vm.list<?>
    vm.list.resize %list, %alignment : (!vm.list<?>, i32)
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %c2 = vm.const.i32 2
    vm.list.set.i32 %list, %c0, %i : (!vm.list<?>, i32, i32)
    vm.list.set.i64 %list, %c1, %j : (!vm.list<?>, i32, i64)
    %inner = vm.list.alloc %c1 : (i32) -> !vm.list<i32>
    vm.list.resize %inner, %c2 : (!vm.list<i32>, i32)
    vm.list.set.i32 %inner, %c1, %i : (!vm.list<i32>, i32, i32)
    vm.list.set.ref %list, %c2, %inner : (!vm.list<?>, i32, !vm.list<i32>)
    vm.return %i, %j, %f, %d, %null, %buffer, %list : i32, i64, f32, f64, !vm.ref<?>, !vm.buffer, !vm.list<?>
  }
  vm.export @fail
  vm.func private @fail(%code: i32) -> i32 {
    vm.cond_fail %code, "out of paper"
    vm.return %code : i32
  }
}
