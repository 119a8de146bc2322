// An import that may be missing: the program asks before it calls.
//! flags: --compile-mode=vm
//! case optional_missing: ask(5)
//! modules: library_arithmetic.vmfb optional_import.vmfb
//! case optional_present: ask(5)
//! modules: optional_import.vmfb
//! failing case optional_called_anyway: insist(5)
//! error: NOT_FOUND
vm.module @optional {
  vm.import private optional @library.triple(%a : i32) -> i32
  vm.export @ask
  vm.func private @ask(%a: i32) -> (i32, i32) {
    %there = vm.import.resolved @library.triple : i32
    vm.cond_br %there, ^call, ^fallback
  ^call:
    %r = vm.call @library.triple(%a) : (i32) -> i32
    vm.return %there, %r : i32, i32
  ^fallback:
    %none = vm.const.i32 -1
    vm.return %there, %none : i32, i32
  }
  vm.export @insist
  vm.func private @insist(%a: i32) -> i32 {
    %r = vm.call @library.triple(%a) : (i32) -> i32
    vm.return %r : i32
  }
}
