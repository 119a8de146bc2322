// References: identity, null, selects and switches between them, casts, lists that hold them, releasing early.
//! flags: --compile-mode=vm
//! case references_identity: identity()
//! case references_select: choose(0)
//! case references_select_other: choose(1)
//! case references_switch_default: choose(7)
//! case references_cast: cast(0)
//! reference differs: a slot read as any reference is null there
//! failing case references_cast_wrong: cast(1)
//! error: INVALID_ARGUMENT
//! case references_null_list: null_list()
//! failing case references_null_used: null_used()
//! error: INVALID_ARGUMENT
//! case references_passed_on: passed_on(4)
vm.module @references {
  vm.rodata private @first "first"
  vm.rodata private @second "second!"
  vm.rodata private @third "third!!!!"
  vm.global.ref private mutable @kept : !vm.buffer

  // Two loads of one constant are one object; another constant is another; null equals null only.
  vm.export @identity
  vm.func private @identity() -> (i32, i32, i32, i32) {
    %a = vm.const.ref.rodata @first : !vm.buffer
    vm.global.store.ref %a, @kept : !vm.buffer
    %b = vm.global.load.ref @kept : !vm.buffer
    %c = vm.const.ref.rodata @second : !vm.buffer
    %null = vm.const.ref.zero : !vm.buffer
    %0 = vm.cmp.eq.ref %a, %b : !vm.buffer
    %1 = vm.cmp.ne.ref %a, %c : !vm.buffer
    %2 = vm.cmp.eq.ref %c, %null : !vm.buffer
    %3 = vm.cmp.nz.ref %c : !vm.buffer
    vm.return %0, %1, %2, %3 : i32, i32, i32, i32
  }

  vm.export @choose
  vm.func private @choose(%i: i32) -> (i64, i64) {
    %a = vm.const.ref.rodata @first : !vm.buffer
    %b = vm.const.ref.rodata @second : !vm.buffer
    %c = vm.const.ref.rodata @third : !vm.buffer
    %r = vm.switch.ref %i[%a, %b] else %c : !vm.buffer
    %s = vm.select.ref %i, %a, %b : !vm.buffer
    %lr = vm.buffer.length %r : !vm.buffer -> i64
    %ls = vm.buffer.length %s : !vm.buffer -> i64
    vm.return %lr, %ls : i64, i64
  }

  // Slot 0 holds a buffer, slot 1 a list; the cast wants a buffer.
  vm.export @cast
  vm.func private @cast(%slot: i32) -> i64 {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %c2 = vm.const.i32 2
    %list = vm.list.alloc %c2 : (i32) -> !vm.list<?>
    vm.list.resize %list, %c2 : (!vm.list<?>, i32)
    %text = vm.const.ref.rodata @third : !vm.buffer
    %inner = vm.list.alloc %c2 : (i32) -> !vm.list<i32>
    vm.list.set.ref %list, %c0, %text : (!vm.list<?>, i32, !vm.buffer)
    vm.list.set.ref %list, %c1, %inner : (!vm.list<?>, i32, !vm.list<i32>)
    %any = vm.list.get.ref %list, %slot : (!vm.list<?>, i32) -> !vm.ref<?>
    %buffer = vm.cast.any.ref %any : !vm.ref<?> -> !vm.buffer
    %length = vm.buffer.length %buffer : !vm.buffer -> i64
    vm.return %length : i64
  }

  vm.export @null_list
  vm.func private @null_list() -> (i32, !vm.list<?>) {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %list = vm.list.alloc %c1 : (i32) -> !vm.list<?>
    vm.list.resize %list, %c1 : (!vm.list<?>, i32)
    %any = vm.list.get.ref %list, %c0 : (!vm.list<?>, i32) -> !vm.buffer
    %some = vm.cmp.nz.ref %any : !vm.buffer
    vm.return %some, %list : i32, !vm.list<?>
  }

  vm.export @null_used
  vm.func private @null_used() -> i64 {
    %kept = vm.global.load.ref @kept : !vm.buffer
    %length = vm.buffer.length %kept : !vm.buffer -> i64
    vm.return %length : i64
  }

  // A list handed through calls, changed by each.
  vm.export @passed_on
  vm.func private @passed_on(%n: i32) -> !vm.list<i32> {
    %list = vm.list.alloc %n : (i32) -> !vm.list<i32>
    %same = vm.call @append(%list, %n) : (!vm.list<i32>, i32) -> !vm.list<i32>
    vm.return %same : !vm.list<i32>
  }
  vm.func private @append(%list: !vm.list<i32>, %n: i32) -> !vm.list<i32> attributes {inlining_policy = #util.inline.never} {
    %c1 = vm.const.i32 1
    %more = vm.cmp.nz.i32 %n : i32
    vm.cond_br %more, ^grow, ^done(%list : !vm.list<i32>)
  ^grow:
    %size = vm.list.size %list : (!vm.list<i32>) -> i32
    %next = vm.add.i32 %size, %c1 : i32
    vm.list.resize %list, %next : (!vm.list<i32>, i32)
    vm.list.set.i32 %list, %size, %n : (!vm.list<i32>, i32, i32)
    %less = vm.sub.i32 %n, %c1 : i32
    %rest = vm.call @append(%list, %less) : (!vm.list<i32>, i32) -> !vm.list<i32>
    vm.br ^done(%rest : !vm.list<i32>)
  ^done(%result: !vm.list<i32>):
    vm.return %result : !vm.list<i32>
  }
}
