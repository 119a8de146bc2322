// Globals of every kind, an initialiser, references kept between calls of one run.
//! flags: --compile-mode=vm --iree-vm-target-extension-f64
//! case vm_globals_values: values()
//! case vm_globals_ref: remembered()
//! case vm_globals_take: take_twice()
vm.module @globals {
  vm.global.i32 private mutable @count = 5 : i32
  vm.global.i64 private mutable @wide = 5000000000 : i64
  vm.global.f32 private mutable @ratio = 0.75 : f32
  vm.global.f64 private mutable @precise = 0.1 : f64
  vm.global.ref private mutable @list : !vm.list<i32>
  vm.initializer {
    %c3 = vm.const.i32 3
    %c0 = vm.const.i32.zero
    %list = vm.list.alloc %c3 : (i32) -> !vm.list<i32>
    vm.list.resize %list, %c3 : (!vm.list<i32>, i32)
    vm.list.set.i32 %list, %c0, %c3 : (!vm.list<i32>, i32, i32)
    vm.global.store.ref %list, @list : !vm.list<i32>
    vm.return
  }
  vm.export @values
  vm.func private @values() -> (i32, i64, f32, f64) {
    %one = vm.const.i32 1
    %count = vm.global.load.i32 @count : i32
    %more = vm.add.i32 %count, %one : i32
    vm.global.store.i32 %more, @count : i32
    %again = vm.global.load.i32 @count : i32
    %wide = vm.global.load.i64 @wide : i64
    %ratio = vm.global.load.f32 @ratio : f32
    %precise = vm.global.load.f64 @precise : f64
    vm.return %again, %wide, %ratio, %precise : i32, i64, f32, f64
  }
  vm.export @remembered
  vm.func private @remembered() -> !vm.list<i32> {
    %list = vm.global.load.ref @list : !vm.list<i32>
    vm.return %list : !vm.list<i32>
  }
  // The second load finds null, and null is not the first object.
  vm.export @take_twice
  vm.func private @take_twice() -> (i32, i32, i32) {
    %null = vm.const.ref.zero : !vm.list<i32>
    %a = vm.global.load.ref @list : !vm.list<i32>
    vm.global.store.ref %null, @list : !vm.list<i32>
    %b = vm.global.load.ref @list : !vm.list<i32>
    %same = vm.cmp.eq.ref %a, %b : !vm.list<i32>
    %some = vm.cmp.nz.ref %a : !vm.list<i32>
    %none = vm.cmp.nz.ref %b : !vm.list<i32>
    vm.return %same, %some, %none : i32, i32, i32
  }
}
