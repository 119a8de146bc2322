// A module that cannot start: its initialiser fails.
//! flags: --compile-mode=vm
//! failing case initialiser_fails: run()
//! error: this module never starts
vm.module @broken {
  vm.global.i32 private mutable @zero : i32
  vm.initializer {
    %code = vm.const.i32 9
    %value = vm.global.load.i32 @zero : i32
    %is_set = vm.cmp.nz.i32 %value : i32
    vm.cond_br %is_set, ^good, ^bad
  ^bad:
    vm.fail %code, "this module never starts"
  ^good:
    vm.return
  }
  vm.export @run
  vm.func private @run() -> i32 {
    %value = vm.global.load.i32 @zero : i32
    %one = vm.const.i32 1
    %next = vm.add.i32 %value, %one : i32
    vm.global.store.i32 %next, @zero : i32
    vm.return %value : i32
  }
}
