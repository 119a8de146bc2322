// Compiled without stripping: prints and traces stay in the bytecode and do nothing.
//! flags: --compile-mode=vm
//! case debug_operations: run(5)
vm.module @debug {
  vm.export @run
  vm.func private @run(%a: i32) -> i32 {
    vm.trace "value"(%a) : i32
    vm.print "value"(%a) : i32
    %r = vm.add.i32 %a, %a : i32
    vm.return %r : i32
  }
}
