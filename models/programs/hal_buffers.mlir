// Buffers by hand: allocation, loads and stores of 1 to 4 bytes, subspans, ownership counts, questions to the device.
//! flags: --compile-mode=vm
//! case hal_load_store: load_store(-2023406815)
//! case hal_subspan: subspan()
//! case hal_owners: owners()
//! case hal_sizes: sizes(100)
//! case hal_sizes_empty: sizes(0)
//! case hal_queries: queries()
//! case hal_devices: devices()
//! case hal_select: select()
//! failing case hal_load_past_end: load(16; 4)
//! error: OUT_OF_RANGE
//! failing case hal_load_too_wide: load(0; 5)
//! error: INVALID_ARGUMENT
//! case hal_load_nothing: load(0; 0)
//! failing case hal_assert_short: assert_length(17)
//! error: buffer byte length 16 less than expected minimum 17
//! case hal_assert_exact: assert_length(16)
vm.module @buffers {
  vm.import private @hal.devices.count() -> i32
  vm.import private @hal.devices.get(%index : i32) -> !vm.ref<!hal.device>
  vm.import private @hal.device.allocator(%device : !vm.ref<!hal.device>) -> !vm.ref<!hal.allocator>
  vm.import private @hal.device.query.i64(%device : !vm.ref<!hal.device>, %category : !vm.buffer, %key : !vm.buffer) -> (i32, i64)
  vm.import private @hal.allocator.allocate(%allocator : !vm.ref<!hal.allocator>, %affinity : i64, %types : i32, %usage : i32, %size : i64) -> !vm.ref<!hal.buffer>
  vm.import private @hal.allocator.select(%types : i32, %usage : i32, %flags : i64, %from : tuple<!vm.ref<!hal.device>, i64> ...) -> (!vm.ref<!hal.device>, i64)
  vm.import private @hal.buffer.assert(%buffer : !vm.ref<!hal.buffer>, %message : !vm.buffer, %allocator : !vm.ref<!hal.allocator>, %minimum : i64, %types : i32, %usage : i32)
  vm.import private @hal.buffer.allocation.preserve(%buffer : !vm.ref<!hal.buffer>)
  vm.import private @hal.buffer.allocation.discard(%buffer : !vm.ref<!hal.buffer>) -> i32
  vm.import private @hal.buffer.allocation.is_terminal(%buffer : !vm.ref<!hal.buffer>) -> i32
  vm.import private @hal.buffer.subspan(%buffer : !vm.ref<!hal.buffer>, %offset : i64, %length : i64) -> !vm.ref<!hal.buffer>
  vm.import private @hal.buffer.length(%buffer : !vm.ref<!hal.buffer>) -> i64
  vm.import private @hal.buffer.load(%buffer : !vm.ref<!hal.buffer>, %offset : i64, %length : i32) -> i32
  vm.import private @hal.buffer.store(%value : i32, %buffer : !vm.ref<!hal.buffer>, %offset : i64, %length : i32)
  vm.rodata private @category_id "hal.device.id"
  vm.rodata private @category_format "hal.executable.format"
  vm.rodata private @pattern_local "local-*"
  vm.rodata private @pattern_other "cuda*"
  vm.rodata private @format_elf "embedded-elf-x86_64"
  vm.rodata private @format_none "no-such-format"
  vm.rodata private @message "thing"

  vm.func private @device() -> !vm.ref<!hal.device> {
    %c0 = vm.const.i32.zero
    %device = vm.call @hal.devices.get(%c0) : (i32) -> !vm.ref<!hal.device>
    vm.return %device : !vm.ref<!hal.device>
  }

  vm.func private @fresh(%size: i64) -> !vm.ref<!hal.buffer> {
    %c0 = vm.const.i32.zero
    %any = vm.const.i64 -1
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %allocator = vm.call @hal.device.allocator(%device) : (!vm.ref<!hal.device>) -> !vm.ref<!hal.allocator>
    %buffer = vm.call @hal.allocator.allocate(%allocator, %any, %c0, %c0, %size) : (!vm.ref<!hal.allocator>, i64, i32, i32, i64) -> !vm.ref<!hal.buffer>
    vm.return %buffer : !vm.ref<!hal.buffer>
  }

  vm.export @load_store
  vm.func private @load_store(%value: i32) -> (i32, i32, i32, i32, i32) {
    %o0 = vm.const.i64.zero
    %o1 = vm.const.i64 1
    %o4 = vm.const.i64 4
    %size = vm.const.i64 16
    %c1 = vm.const.i32 1
    %c2 = vm.const.i32 2
    %c3 = vm.const.i32 3
    %c4 = vm.const.i32 4
    %buffer = vm.call @fresh(%size) : (i64) -> !vm.ref<!hal.buffer>
    vm.call @hal.buffer.store(%value, %buffer, %o0, %c4) : (i32, !vm.ref<!hal.buffer>, i64, i32) -> ()
    vm.call @hal.buffer.store(%value, %buffer, %o4, %c2) : (i32, !vm.ref<!hal.buffer>, i64, i32) -> ()
    %0 = vm.call @hal.buffer.load(%buffer, %o0, %c4) : (!vm.ref<!hal.buffer>, i64, i32) -> i32
    %1 = vm.call @hal.buffer.load(%buffer, %o0, %c1) : (!vm.ref<!hal.buffer>, i64, i32) -> i32
    %2 = vm.call @hal.buffer.load(%buffer, %o1, %c2) : (!vm.ref<!hal.buffer>, i64, i32) -> i32
    %3 = vm.call @hal.buffer.load(%buffer, %o1, %c3) : (!vm.ref<!hal.buffer>, i64, i32) -> i32
    %4 = vm.call @hal.buffer.load(%buffer, %o4, %c2) : (!vm.ref<!hal.buffer>, i64, i32) -> i32
    vm.return %0, %1, %2, %3, %4 : i32, i32, i32, i32, i32
  }

  // Subspans of subspans share the bytes; the whole range is the same object.
  vm.export @subspan
  vm.func private @subspan() -> (i64, i64, i32, i32) {
    %o0 = vm.const.i64.zero
    %o4 = vm.const.i64 4
    %rest = vm.const.i64 -1
    %size = vm.const.i64 16
    %c4 = vm.const.i32 4
    %value = vm.const.i32 77
    %buffer = vm.call @fresh(%size) : (i64) -> !vm.ref<!hal.buffer>
    %a = vm.call @hal.buffer.subspan(%buffer, %o4, %rest) : (!vm.ref<!hal.buffer>, i64, i64) -> !vm.ref<!hal.buffer>
    %b = vm.call @hal.buffer.subspan(%a, %o4, %o4) : (!vm.ref<!hal.buffer>, i64, i64) -> !vm.ref<!hal.buffer>
    %all = vm.call @hal.buffer.subspan(%buffer, %o0, %rest) : (!vm.ref<!hal.buffer>, i64, i64) -> !vm.ref<!hal.buffer>
    vm.call @hal.buffer.store(%value, %b, %o0, %c4) : (i32, !vm.ref<!hal.buffer>, i64, i32) -> ()
    %offset = vm.const.i64 8
    %seen = vm.call @hal.buffer.load(%buffer, %offset, %c4) : (!vm.ref<!hal.buffer>, i64, i32) -> i32
    %la = vm.call @hal.buffer.length(%a) : (!vm.ref<!hal.buffer>) -> i64
    %lb = vm.call @hal.buffer.length(%b) : (!vm.ref<!hal.buffer>) -> i64
    %same = vm.cmp.eq.ref %all, %buffer : !vm.ref<!hal.buffer>
    vm.return %la, %lb, %seen, %same : i64, i64, i32, i32
  }

  vm.export @owners
  vm.func private @owners() -> (i32, i32, i32, i32, i32) {
    %size = vm.const.i64 16
    %o4 = vm.const.i64 4
    %buffer = vm.call @fresh(%size) : (i64) -> !vm.ref<!hal.buffer>
    %part = vm.call @hal.buffer.subspan(%buffer, %o4, %o4) : (!vm.ref<!hal.buffer>, i64, i64) -> !vm.ref<!hal.buffer>
    %0 = vm.call @hal.buffer.allocation.is_terminal(%buffer) : (!vm.ref<!hal.buffer>) -> i32
    vm.call @hal.buffer.allocation.preserve(%part) : (!vm.ref<!hal.buffer>) -> ()
    %1 = vm.call @hal.buffer.allocation.is_terminal(%buffer) : (!vm.ref<!hal.buffer>) -> i32
    %2 = vm.call @hal.buffer.allocation.discard(%buffer) : (!vm.ref<!hal.buffer>) -> i32
    %3 = vm.call @hal.buffer.allocation.is_terminal(%part) : (!vm.ref<!hal.buffer>) -> i32
    %4 = vm.call @hal.buffer.allocation.discard(%part) : (!vm.ref<!hal.buffer>) -> i32
    vm.return %0, %1, %2, %3, %4 : i32, i32, i32, i32, i32
  }

  vm.export @sizes
  vm.func private @sizes(%size: i64) -> i64 {
    %buffer = vm.call @fresh(%size) : (i64) -> !vm.ref<!hal.buffer>
    %length = vm.call @hal.buffer.length(%buffer) : (!vm.ref<!hal.buffer>) -> i64
    vm.return %length : i64
  }

  vm.export @load
  vm.func private @load(%offset: i64, %length: i32) -> i32 {
    %size = vm.const.i64 16
    %buffer = vm.call @fresh(%size) : (i64) -> !vm.ref<!hal.buffer>
    %value = vm.call @hal.buffer.load(%buffer, %offset, %length) : (!vm.ref<!hal.buffer>, i64, i32) -> i32
    vm.return %value : i32
  }

  vm.export @assert_length
  vm.func private @assert_length(%minimum: i64) -> i64 {
    %size = vm.const.i64 16
    %types = vm.const.i32 2
    %usage = vm.const.i32 3075
    %message = vm.const.ref.rodata @message : !vm.buffer
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %allocator = vm.call @hal.device.allocator(%device) : (!vm.ref<!hal.device>) -> !vm.ref<!hal.allocator>
    %buffer = vm.call @fresh(%size) : (i64) -> !vm.ref<!hal.buffer>
    vm.call @hal.buffer.assert(%buffer, %message, %allocator, %minimum, %types, %usage) : (!vm.ref<!hal.buffer>, !vm.buffer, !vm.ref<!hal.allocator>, i64, i32, i32) -> ()
    vm.return %minimum : i64
  }

  // Found and value, for: a matching name, another name, a known format, an unknown format, an unknown category.
  vm.export @queries
  vm.func private @queries() -> (i32, i64, i32, i64, i32, i64, i32, i64, i32, i64) {
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %id = vm.const.ref.rodata @category_id : !vm.buffer
    %format = vm.const.ref.rodata @category_format : !vm.buffer
    %local = vm.const.ref.rodata @pattern_local : !vm.buffer
    %other = vm.const.ref.rodata @pattern_other : !vm.buffer
    %elf = vm.const.ref.rodata @format_elf : !vm.buffer
    %none = vm.const.ref.rodata @format_none : !vm.buffer
    %0:2 = vm.call @hal.device.query.i64(%device, %id, %local) : (!vm.ref<!hal.device>, !vm.buffer, !vm.buffer) -> (i32, i64)
    %1:2 = vm.call @hal.device.query.i64(%device, %id, %other) : (!vm.ref<!hal.device>, !vm.buffer, !vm.buffer) -> (i32, i64)
    %2:2 = vm.call @hal.device.query.i64(%device, %format, %elf) : (!vm.ref<!hal.device>, !vm.buffer, !vm.buffer) -> (i32, i64)
    %3:2 = vm.call @hal.device.query.i64(%device, %format, %none) : (!vm.ref<!hal.device>, !vm.buffer, !vm.buffer) -> (i32, i64)
    %4:2 = vm.call @hal.device.query.i64(%device, %none, %elf) : (!vm.ref<!hal.device>, !vm.buffer, !vm.buffer) -> (i32, i64)
    vm.return %0#0, %0#1, %1#0, %1#1, %2#0, %2#1, %3#0, %3#1, %4#0, %4#1 : i32, i64, i32, i64, i32, i64, i32, i64, i32, i64
  }

  // How many, and whether index 0, 1 and -1 give one.
  vm.export @devices
  vm.func private @devices() -> (i32, i32, i32, i32) {
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %minus = vm.const.i32 -1
    %count = vm.call @hal.devices.count() : () -> i32
    %a = vm.call @hal.devices.get(%c0) : (i32) -> !vm.ref<!hal.device>
    %b = vm.call @hal.devices.get(%c1) : (i32) -> !vm.ref<!hal.device>
    %c = vm.call @hal.devices.get(%minus) : (i32) -> !vm.ref<!hal.device>
    %0 = vm.cmp.nz.ref %a : !vm.ref<!hal.device>
    %1 = vm.cmp.nz.ref %b : !vm.ref<!hal.device>
    %2 = vm.cmp.nz.ref %c : !vm.ref<!hal.device>
    vm.return %count, %0, %1, %2 : i32, i32, i32, i32
  }

  vm.export @select
  vm.func private @select() -> (i32, i64) {
    %c48 = vm.const.i32 48
    %usage = vm.const.i32 3075
    %none = vm.const.i64.zero
    %any = vm.const.i64 -1
    %five = vm.const.i64 5
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %0:2 = vm.call.variadic @hal.allocator.select(%c48, %usage, %none, [(%device, %five), (%device, %any)]) : (i32, i32, i64, tuple<!vm.ref<!hal.device>, i64> ...) -> (!vm.ref<!hal.device>, i64)
    %same = vm.cmp.eq.ref %0#0, %device : !vm.ref<!hal.device>
    vm.return %same, %0#1 : i32, i64
  }
}
