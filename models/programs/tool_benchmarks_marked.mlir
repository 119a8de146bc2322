// Functions that say how they want to be measured.
//! flags: --compile-mode=vm
//! case benchmarks_dispatch: repeated(3)
//! case benchmarks_entry: entry()
vm.module @benchmarks_marked {
  vm.export @repeated
  vm.func private @repeated(%times: i32) attributes {iree.reflection = {"iree.benchmark" = "dispatch"}} {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    vm.br ^loop(%c0 : i32)
  ^loop(%i: i32):
    %next = vm.add.i32 %i, %c1 : i32
    %more = vm.cmp.lt.i32.s %next, %times : i32
    vm.cond_br %more, ^loop(%next : i32), ^done
  ^done:
    vm.return
  }
  vm.export @entry
  vm.func private @entry() -> i32 attributes {iree.reflection = {"iree.benchmark" = "entry"}} {
    %c1 = vm.const.i32 1
    vm.return %c1 : i32
  }
  vm.export @unmarked
  vm.func private @unmarked(%a: i32) -> i32 {
    vm.return %a : i32
  }
  vm.export @other
  vm.func private @other() attributes {iree.reflection = {"iree.benchmark" = "something else"}} {
    vm.return
  }
}
