// Typed lists of values, conversions between element types, and lists as results.
//! flags: --compile-mode=vm --iree-vm-target-extension-f64
//! case list_squares: squares(6)
//! case list_squares_empty: squares(0)
//! case list_sum: sum(10)
//! case list_conversions: conversions(300)
//! case list_nested: nested()
//! case list_variant: variant(7)
//! case list_shrink_and_grow: shrink_and_grow()
//! failing case list_out_of_range: element(3; 3)
//! error: OUT_OF_RANGE
//! case list_in_range: element(3; 2)
vm.module @lists {
  vm.export @squares
  vm.func private @squares(%n: i32) -> !vm.list<i32> {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %list = vm.list.alloc %n : (i32) -> !vm.list<i32>
    vm.list.resize %list, %n : (!vm.list<i32>, i32)
    vm.br ^loop(%c0 : i32)
  ^loop(%i: i32):
    %more = vm.cmp.lt.i32.s %i, %n : i32
    vm.cond_br %more, ^body, ^done
  ^body:
    %square = vm.mul.i32 %i, %i : i32
    vm.list.set.i32 %list, %i, %square : (!vm.list<i32>, i32, i32)
    %next = vm.add.i32 %i, %c1 : i32
    vm.br ^loop(%next : i32)
  ^done:
    vm.return %list : !vm.list<i32>
  }

  vm.export @sum
  vm.func private @sum(%n: i32) -> (i32, i32) {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %list = vm.call @squares(%n) : (i32) -> !vm.list<i32>
    %size = vm.list.size %list : (!vm.list<i32>) -> i32
    vm.br ^loop(%c0, %c0 : i32, i32)
  ^loop(%i: i32, %total: i32):
    %more = vm.cmp.lt.i32.s %i, %size : i32
    vm.cond_br %more, ^body, ^done
  ^body:
    %value = vm.list.get.i32 %list, %i : (!vm.list<i32>, i32) -> i32
    %new_total = vm.add.i32 %total, %value : i32
    %next = vm.add.i32 %i, %c1 : i32
    vm.br ^loop(%next, %new_total : i32, i32)
  ^done:
    vm.return %size, %total : i32, i32
  }

  // An i8 list truncates; a wider read sign-extends; integers read as floats are zero.
  vm.export @conversions
  vm.func private @conversions(%value: i32) -> (i32, i64, !vm.list<i8>) {
    %c0 = vm.const.i32.zero
    %c2 = vm.const.i32 2
    %c1 = vm.const.i32 1
    %list = vm.list.alloc %c2 : (i32) -> !vm.list<i8>
    vm.list.resize %list, %c2 : (!vm.list<i8>, i32)
    vm.list.set.i32 %list, %c0, %value : (!vm.list<i8>, i32, i32)
    %minus = vm.const.i64 -1
    vm.list.set.i64 %list, %c1, %minus : (!vm.list<i8>, i32, i64)
    %a = vm.list.get.i32 %list, %c0 : (!vm.list<i8>, i32) -> i32
    %b = vm.list.get.i64 %list, %c1 : (!vm.list<i8>, i32) -> i64
    vm.return %a, %b, %list : i32, i64, !vm.list<i8>
  }

  // A list of lists.
  vm.export @nested
  vm.func private @nested() -> !vm.list<!vm.list<i32>> {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %c2 = vm.const.i32 2
    %c3 = vm.const.i32 3
    %outer = vm.list.alloc %c3 : (i32) -> !vm.list<!vm.list<i32>>
    vm.list.resize %outer, %c3 : (!vm.list<!vm.list<i32>>, i32)
    %a = vm.call @squares(%c2) : (i32) -> !vm.list<i32>
    %b = vm.call @squares(%c3) : (i32) -> !vm.list<i32>
    vm.list.set.ref %outer, %c0, %a : (!vm.list<!vm.list<i32>>, i32, !vm.list<i32>)
    vm.list.set.ref %outer, %c2, %b : (!vm.list<!vm.list<i32>>, i32, !vm.list<i32>)
    vm.return %outer : !vm.list<!vm.list<i32>>
  }

  // Every slot of a variant list has a type of its own.
  vm.export @variant
  vm.func private @variant(%n: i32) -> !vm.list<?> {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %c2 = vm.const.i32 2
    %c3 = vm.const.i32 3
    %c5 = vm.const.i32 5
    %list = vm.list.alloc %c5 : (i32) -> !vm.list<?>
    vm.list.resize %list, %c5 : (!vm.list<?>, i32)
    vm.list.set.i32 %list, %c0, %n : (!vm.list<?>, i32, i32)
    %wide = vm.const.i64 5000000000
    vm.list.set.i64 %list, %c1, %wide : (!vm.list<?>, i32, i64)
    %half = vm.const.f32 0.5
    vm.list.set.f32 %list, %c2, %half : (!vm.list<?>, i32, f32)
    %inner = vm.call @squares(%c2) : (i32) -> !vm.list<i32>
    vm.list.set.ref %list, %c3, %inner : (!vm.list<?>, i32, !vm.list<i32>)
    vm.return %list : !vm.list<?>
  }

  vm.export @shrink_and_grow
  vm.func private @shrink_and_grow() -> !vm.list<i32> {
    %c2 = vm.const.i32 2
    %c4 = vm.const.i32 4
    %list = vm.call @squares(%c4) : (i32) -> !vm.list<i32>
    vm.list.resize %list, %c2 : (!vm.list<i32>, i32)
    vm.list.resize %list, %c4 : (!vm.list<i32>, i32)
    vm.return %list : !vm.list<i32>
  }

  vm.export @element
  vm.func private @element(%n: i32, %index: i32) -> i32 {
    %list = vm.call @squares(%n) : (i32) -> !vm.list<i32>
    %value = vm.list.get.i32 %list, %index : (!vm.list<i32>, i32) -> i32
    vm.return %value : i32
  }
}
