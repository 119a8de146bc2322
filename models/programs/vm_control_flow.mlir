// Branch tables, switches, selects, failures with a status and a message.
//! flags: --compile-mode=vm
//! case branch_table_first: branch_table(0)
//! case branch_table_last: branch_table(2)
//! case branch_table_default: branch_table(3)
//! case branch_table_negative: branch_table(-1)
//! case switch_value: switch(1)
//! case switch_default: switch(9)
//! case select_true: select(5; 100; 200)
//! case select_false: select(0; 100; 200)
//! case check_passes: check(3; 3)
//! failing case check_fails: check(3; 4)
//! error: values differ
//! failing case fail_by_code: fail_with(5)
//! error: NOT_FOUND
//! case fail_with_zero: fail_with(0)
//! case swap_registers: swap(1; 2; 10)
//! case long_sum: sum(100000)
vm.module @control {
  vm.export @branch_table
  vm.func private @branch_table(%i: i32) -> i32 {
    %a = vm.const.i32 100
    %b = vm.const.i32 101
    %c = vm.const.i32 102
    vm.br_table %i {
      default: ^default,
      0: ^one(%a : i32),
      1: ^one(%b : i32),
      2: ^one(%c : i32)
    }
  ^one(%v: i32):
    vm.return %v : i32
  ^default:
    %d = vm.const.i32 -1
    vm.return %d : i32
  }

  vm.export @switch
  vm.func private @switch(%i: i32) -> (i32) {
    %a = vm.const.i32 100
    %b = vm.const.i32 101
    %c = vm.const.i32 102
    %d = vm.const.i32 5
    %r = vm.switch.i32 %i[%a, %b, %c] else %d : i32
    vm.return %r : i32
  }

  vm.export @select
  vm.func private @select(%c: i32, %a: i64, %b: i64) -> i64 {
    %r = vm.select.i64 %c, %a, %b : i64
    vm.return %r : i64
  }

  vm.export @check
  vm.func private @check(%a: i32, %b: i32) -> i32 {
    vm.check.eq %a, %b, "values differ" : i32
    vm.return %a : i32
  }

  vm.export @fail_with
  vm.func private @fail_with(%code: i32) -> i32 {
    vm.cond_fail %code, "asked to fail"
    vm.return %code : i32
  }

  // Two loop values that exchange places on every turn. The compiler orders the copies into the loop so that `n` is overwritten by `b`
  // before it is read; a machine that does them in the order written gives the same wrong numbers as the reference.
  vm.export @swap
  vm.func private @swap(%a: i32, %b: i64, %n: i32) -> (i32, i64, i64) {
    %c1 = vm.const.i32 1
    %wide = vm.ext.i32.i64.s %a : i32 -> i64
    vm.br ^loop(%n, %wide, %b : i32, i64, i64)
  ^loop(%i: i32, %x: i64, %y: i64):
    %more = vm.cmp.nz.i32 %i : i32
    vm.cond_br %more, ^body, ^done
  ^body:
    %next = vm.sub.i32 %i, %c1 : i32
    %sum = vm.add.i64 %x, %y : i64
    vm.br ^loop(%next, %y, %sum : i32, i64, i64)
  ^done:
    vm.return %i, %x, %y : i32, i64, i64
  }

  vm.export @sum
  vm.func private @sum(%n: i32) -> i32 {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    vm.br ^loop(%c0, %c0 : i32, i32)
  ^loop(%i: i32, %total: i32):
    %new = vm.add.i32 %total, %i : i32
    %next = vm.add.i32 %i, %c1 : i32
    %more = vm.cmp.lt.i32.s %next, %n : i32
    vm.cond_br %more, ^loop(%next, %new : i32, i32), ^done
  ^done:
    vm.return %new : i32
  }
}
