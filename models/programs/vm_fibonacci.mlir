// Recursion: a function that calls itself twice. Written for the VM itself, because the tensor pipeline does not finish on recursion.
//! flags: --compile-mode=vm
//! case fibonacci_10: fibonacci(10)
//! case fibonacci_1: fibonacci(1)
//! case fibonacci_20: fibonacci(20)
vm.module @fibonacci {
  vm.export @fibonacci
  vm.func private @fibonacci(%n: i32) -> i32 {
    %one = vm.const.i32 1
    %two = vm.const.i32 2
    %small = vm.cmp.lte.i32.s %n, %one : i32
    vm.cond_br %small, ^done(%n : i32), ^recurse
  ^recurse:
    %n1 = vm.sub.i32 %n, %one : i32
    %n2 = vm.sub.i32 %n, %two : i32
    %a = vm.call @fibonacci(%n1) : (i32) -> i32
    %b = vm.call @fibonacci(%n2) : (i32) -> i32
    %sum = vm.add.i32 %a, %b : i32
    vm.br ^done(%sum : i32)
  ^done(%result: i32):
    vm.return %result : i32
  }
}
