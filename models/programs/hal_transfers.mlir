// Queue operations and command buffers by hand: alloca, fill, update, copy, file reads, direct and through a binding table.
//! flags: --compile-mode=vm
//! case transfer_queue: queue()
//! case transfer_commands: commands()
//! case transfer_table: table(5)
//! case transfer_table_again: table(-9)
//! case transfer_file: file()
//! failing case transfer_use_after_dealloca: use_after_dealloca()
//! error: FAILED_PRECONDITION
//! reference differs: its local-sync drops the error (local-task reports it)
//! failing case transfer_fill_eight: fill_pattern(8)
//! error: INVALID_ARGUMENT
//! case transfer_fill_two: fill_pattern(2)
//! failing case transfer_overlap: overlap()
//! error: INVALID_ARGUMENT
//! reference differs: its local-sync drops the error (local-task reports it)
//! failing case transfer_unfinished: unfinished()
//! error: FAILED_PRECONDITION
vm.module @transfers {
  vm.import private @hal.devices.get(%index : i32) -> !vm.ref<!hal.device>
  vm.import private @hal.buffer_view.create(%buffer : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %type : i32, %encoding : i32, %shape : i64 ...) -> !vm.ref<!hal.buffer_view>
  vm.import private @hal.fence.create(%device : !vm.ref<!hal.device>, %flags : i64) -> !vm.ref<!hal.fence>
  vm.import private @hal.fence.await(%timeout : i32, %flags : i64, %fences : !vm.ref<!hal.fence>...) -> i32 attributes {vm.yield}
  vm.import private @hal.device.queue.alloca(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %pool : i64, %types : i32, %usage : i32, %size : i64, %flags : i64) -> !vm.ref<!hal.buffer>
  vm.import private @hal.device.queue.dealloca(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %buffer : !vm.ref<!hal.buffer>, %flags : i64)
  vm.import private @hal.device.queue.fill(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %target : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %pattern : i64, %pattern_length : i32, %flags : i64)
  vm.import private @hal.device.queue.update(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %source : !vm.buffer, %source_offset : i64, %target : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %flags : i64)
  vm.import private @hal.device.queue.copy(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %source : !vm.ref<!hal.buffer>, %source_offset : i64, %target : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %flags : i64)
  vm.import private @hal.device.queue.read(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %source : !vm.ref<!hal.file>, %source_offset : i64, %target : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %flags : i64)
  vm.import private @hal.device.queue.execute(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %commands : !vm.ref<!hal.command_buffer>, %flags : i64)
  vm.import private @hal.device.queue.execute.indirect(%device : !vm.ref<!hal.device>, %affinity : i64, %wait : !vm.ref<!hal.fence>, %signal : !vm.ref<!hal.fence>, %commands : !vm.ref<!hal.command_buffer>, %flags : i64, %table : tuple<!vm.ref<!hal.buffer>, i64, i64> ...)
  vm.import private @hal.command_buffer.create(%device : !vm.ref<!hal.device>, %modes : i32, %categories : i32, %affinity : i64, %capacity : i32) -> !vm.ref<!hal.command_buffer> attributes {minimum_version = 6 : i32}
  vm.import private @hal.command_buffer.finalize(%commands : !vm.ref<!hal.command_buffer>)
  vm.import private @hal.command_buffer.execution_barrier(%commands : !vm.ref<!hal.command_buffer>, %source : i32, %target : i32, %flags : i64)
  vm.import private @hal.command_buffer.fill_buffer(%commands : !vm.ref<!hal.command_buffer>, %target : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %slot : i32, %pattern : i64, %pattern_length : i32, %flags : i64)
  vm.import private @hal.command_buffer.update_buffer(%commands : !vm.ref<!hal.command_buffer>, %source : !vm.buffer, %source_offset : i64, %target : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %slot : i32, %flags : i64)
  vm.import private @hal.command_buffer.copy_buffer(%commands : !vm.ref<!hal.command_buffer>, %source_slot : i32, %target_slot : i32, %source : !vm.ref<!hal.buffer>, %source_offset : i64, %target : !vm.ref<!hal.buffer>, %offset : i64, %length : i64, %flags : i64)
  vm.import private @hal.ex.file.from_memory(%device : !vm.ref<!hal.device>, %affinity : i64, %access : i32, %source : !vm.buffer, %offset : i64, %length : i64, %flags : i32) -> !vm.ref<!hal.file>
  vm.rodata private @text "abcdefghijklmnop"

  vm.func private @device() -> !vm.ref<!hal.device> {
    %c0 = vm.const.i32.zero
    %device = vm.call @hal.devices.get(%c0) : (i32) -> !vm.ref<!hal.device>
    vm.return %device : !vm.ref<!hal.device>
  }

  vm.func private @fence() -> !vm.ref<!hal.fence> {
    %none = vm.const.i64.zero
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %fence = vm.call @hal.fence.create(%device, %none) : (!vm.ref<!hal.device>, i64) -> !vm.ref<!hal.fence>
    vm.return %fence : !vm.ref<!hal.fence>
  }

  vm.func private @alloca(%size: i64, %signal: !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer> {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %types = vm.const.i32 48
    %usage = vm.const.i32 3075
    %null = vm.const.ref.zero : !vm.ref<!hal.fence>
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %buffer = vm.call @hal.device.queue.alloca(%device, %any, %null, %signal, %none, %types, %usage, %size, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, i64, i32, i32, i64, i64) -> !vm.ref<!hal.buffer>
    vm.return %buffer : !vm.ref<!hal.buffer>
  }

  vm.func private @await(%fence: !vm.ref<!hal.fence>) {
    %forever = vm.const.i32 -1
    %none = vm.const.i64.zero
    %status = vm.call.variadic @hal.fence.await(%forever, %none, [%fence]) : (i32, i64, !vm.ref<!hal.fence>...) -> i32
    vm.cond_fail %status, "await"
    vm.return
  }

  vm.func private @bytes(%buffer: !vm.ref<!hal.buffer>, %n: i64) -> !vm.ref<!hal.buffer_view> {
    %o0 = vm.const.i64.zero
    %type = vm.const.i32 0x10000008
    %dense = vm.const.i32 1
    %view = vm.call.variadic @hal.buffer_view.create(%buffer, %o0, %n, %type, %dense, [%n]) : (!vm.ref<!hal.buffer>, i64, i64, i32, i32, i64 ...) -> !vm.ref<!hal.buffer_view>
    vm.return %view : !vm.ref<!hal.buffer_view>
  }

  // alloca, fill, update, copy, each waiting for the one before.
  vm.export @queue
  vm.func private @queue() -> (!vm.ref<!hal.buffer_view>, !vm.ref<!hal.buffer_view>) {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %o1 = vm.const.i64 1
    %o2 = vm.const.i64 2
    %o3 = vm.const.i64 3
    %o4 = vm.const.i64 4
    %o8 = vm.const.i64 8
    %size = vm.const.i64 16
    %pattern = vm.const.i64 0x0201
    %width = vm.const.i32 2
    %one = vm.const.i32 1
    %text = vm.const.ref.rodata @text : !vm.buffer
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %f0 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f1 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f2 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f3 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f4 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f5 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %a = vm.call @alloca(%size, %f0) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    vm.call @hal.device.queue.fill(%device, %any, %f0, %f1, %a, %none, %any, %pattern, %width, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.buffer>, i64, i64, i64, i32, i64) -> ()
    vm.call @hal.device.queue.update(%device, %any, %f1, %f2, %text, %o2, %a, %o1, %o3, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.buffer, i64, !vm.ref<!hal.buffer>, i64, i64, i64) -> ()
    %b = vm.call @alloca(%o8, %f3) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    vm.call @await(%f2) : (!vm.ref<!hal.fence>) -> ()
    vm.call @hal.device.queue.fill(%device, %any, %f3, %f4, %b, %none, %o8, %none, %one, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.buffer>, i64, i64, i64, i32, i64) -> ()
    vm.call @hal.device.queue.copy(%device, %any, %f4, %f5, %a, %none, %b, %o2, %o4, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.buffer>, i64, !vm.ref<!hal.buffer>, i64, i64, i64) -> ()
    vm.call @await(%f5) : (!vm.ref<!hal.fence>) -> ()
    %va = vm.call @bytes(%a, %size) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    %vb = vm.call @bytes(%b, %o8) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    vm.return %va, %vb : !vm.ref<!hal.buffer_view>, !vm.ref<!hal.buffer_view>
  }

  // The same kinds of transfer, recorded, with barriers between them.
  vm.export @commands
  vm.func private @commands() -> !vm.ref<!hal.buffer_view> {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %o4 = vm.const.i64 4
    %o8 = vm.const.i64 8
    %size = vm.const.i64 16
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %c4 = vm.const.i32 4
    %c13 = vm.const.i32 13
    %c28 = vm.const.i32 28
    %pattern = vm.const.i64 0x04030201
    %text = vm.const.ref.rodata @text : !vm.buffer
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %f0 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f1 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %a = vm.call @alloca(%size, %f0) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    %commands = vm.call @hal.command_buffer.create(%device, %c1, %c1, %any, %c0) : (!vm.ref<!hal.device>, i32, i32, i64, i32) -> !vm.ref<!hal.command_buffer>
    vm.call @hal.command_buffer.fill_buffer(%commands, %a, %none, %size, %c0, %pattern, %c4, %none) : (!vm.ref<!hal.command_buffer>, !vm.ref<!hal.buffer>, i64, i64, i32, i64, i32, i64) -> ()
    vm.call @hal.command_buffer.execution_barrier(%commands, %c28, %c13, %none) : (!vm.ref<!hal.command_buffer>, i32, i32, i64) -> ()
    vm.call @hal.command_buffer.update_buffer(%commands, %text, %none, %a, %o4, %o4, %c0, %none) : (!vm.ref<!hal.command_buffer>, !vm.buffer, i64, !vm.ref<!hal.buffer>, i64, i64, i32, i64) -> ()
    vm.call @hal.command_buffer.execution_barrier(%commands, %c28, %c13, %none) : (!vm.ref<!hal.command_buffer>, i32, i32, i64) -> ()
    vm.call @hal.command_buffer.copy_buffer(%commands, %c0, %c0, %a, %o4, %a, %o8, %o4, %none) : (!vm.ref<!hal.command_buffer>, i32, i32, !vm.ref<!hal.buffer>, i64, !vm.ref<!hal.buffer>, i64, i64, i64) -> ()
    vm.call @hal.command_buffer.finalize(%commands) : (!vm.ref<!hal.command_buffer>) -> ()
    vm.call @hal.device.queue.execute(%device, %any, %f0, %f1, %commands, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.command_buffer>, i64) -> ()
    vm.call @await(%f1) : (!vm.ref<!hal.fence>) -> ()
    %view = vm.call @bytes(%a, %size) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    vm.return %view : !vm.ref<!hal.buffer_view>
  }

  // One reusable recording, executed twice with different tables: the second copies what the first filled.
  vm.export @table
  vm.func private @table(%value: i32) -> (!vm.ref<!hal.buffer_view>, !vm.ref<!hal.buffer_view>) {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %o2 = vm.const.i64 2
    %o4 = vm.const.i64 4
    %o8 = vm.const.i64 8
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %c2 = vm.const.i32 2
    %c13 = vm.const.i32 13
    %c28 = vm.const.i32 28
    %null = vm.const.ref.zero : !vm.ref<!hal.buffer>
    %pattern = vm.ext.i32.i64.u %value : i32 -> i64
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %f0 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f1 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f2 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f3 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %a = vm.call @alloca(%o8, %f0) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    %b = vm.call @alloca(%o8, %f1) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    vm.call @await(%f0) : (!vm.ref<!hal.fence>) -> ()
    vm.call @await(%f1) : (!vm.ref<!hal.fence>) -> ()
    %commands = vm.call @hal.command_buffer.create(%device, %c0, %c1, %any, %c2) : (!vm.ref<!hal.device>, i32, i32, i64, i32) -> !vm.ref<!hal.command_buffer>
    vm.call @hal.command_buffer.fill_buffer(%commands, %null, %none, %o8, %c0, %pattern, %c1, %none) : (!vm.ref<!hal.command_buffer>, !vm.ref<!hal.buffer>, i64, i64, i32, i64, i32, i64) -> ()
    vm.call @hal.command_buffer.execution_barrier(%commands, %c28, %c13, %none) : (!vm.ref<!hal.command_buffer>, i32, i32, i64) -> ()
    vm.call @hal.command_buffer.fill_buffer(%commands, %null, %o2, %o2, %c0, %none, %c1, %none) : (!vm.ref<!hal.command_buffer>, !vm.ref<!hal.buffer>, i64, i64, i32, i64, i32, i64) -> ()
    vm.call @hal.command_buffer.execution_barrier(%commands, %c28, %c13, %none) : (!vm.ref<!hal.command_buffer>, i32, i32, i64) -> ()
    vm.call @hal.command_buffer.copy_buffer(%commands, %c0, %c1, %null, %none, %null, %o4, %o4, %none) : (!vm.ref<!hal.command_buffer>, i32, i32, !vm.ref<!hal.buffer>, i64, !vm.ref<!hal.buffer>, i64, i64, i64) -> ()
    vm.call @hal.command_buffer.finalize(%commands) : (!vm.ref<!hal.command_buffer>) -> ()
    %nofence = vm.const.ref.zero : !vm.ref<!hal.fence>
    vm.call.variadic @hal.device.queue.execute.indirect(%device, %any, %nofence, %f2, %commands, %none, [(%a, %none, %o8), (%b, %none, %o8)]) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.command_buffer>, i64, tuple<!vm.ref<!hal.buffer>, i64, i64> ...)
    vm.call @await(%f2) : (!vm.ref<!hal.fence>) -> ()
    vm.call.variadic @hal.device.queue.execute.indirect(%device, %any, %nofence, %f3, %commands, %none, [(%b, %none, %any), (%a, %none, %any)]) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.command_buffer>, i64, tuple<!vm.ref<!hal.buffer>, i64, i64> ...)
    vm.call @await(%f3) : (!vm.ref<!hal.fence>) -> ()
    %va = vm.call @bytes(%a, %o8) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    %vb = vm.call @bytes(%b, %o8) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    vm.return %va, %vb : !vm.ref<!hal.buffer_view>, !vm.ref<!hal.buffer_view>
  }

  vm.export @file
  vm.func private @file() -> !vm.ref<!hal.buffer_view> {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %o3 = vm.const.i64 3
    %o5 = vm.const.i64 5
    %o16 = vm.const.i64 16
    %read = vm.const.i32 1
    %c0 = vm.const.i32.zero
    %text = vm.const.ref.rodata @text : !vm.buffer
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %f0 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f1 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %a = vm.call @alloca(%o5, %f0) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    %file = vm.call @hal.ex.file.from_memory(%device, %any, %read, %text, %none, %o16, %c0) : (!vm.ref<!hal.device>, i64, i32, !vm.buffer, i64, i64, i32) -> !vm.ref<!hal.file>
    vm.call @hal.device.queue.read(%device, %any, %f0, %f1, %file, %o3, %a, %none, %o5, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.file>, i64, !vm.ref<!hal.buffer>, i64, i64, i64) -> ()
    vm.call @await(%f1) : (!vm.ref<!hal.fence>) -> ()
    %view = vm.call @bytes(%a, %o5) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    vm.return %view : !vm.ref<!hal.buffer_view>
  }

  vm.export @use_after_dealloca
  vm.func private @use_after_dealloca() -> !vm.ref<!hal.buffer_view> {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %o8 = vm.const.i64 8
    %c1 = vm.const.i32 1
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %f0 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f1 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f2 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %a = vm.call @alloca(%o8, %f0) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    vm.call @hal.device.queue.dealloca(%device, %any, %f0, %f1, %a, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.buffer>, i64) -> ()
    vm.call @hal.device.queue.fill(%device, %any, %f1, %f2, %a, %none, %o8, %none, %c1, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.buffer>, i64, i64, i64, i32, i64) -> ()
    vm.call @await(%f2) : (!vm.ref<!hal.fence>) -> ()
    %view = vm.call @bytes(%a, %o8) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    vm.return %view : !vm.ref<!hal.buffer_view>
  }

  vm.export @fill_pattern
  vm.func private @fill_pattern(%width: i32) -> !vm.ref<!hal.buffer_view> {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %o8 = vm.const.i64 8
    %pattern = vm.const.i64 0x0807060504030201
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %f0 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f1 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %a = vm.call @alloca(%o8, %f0) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    vm.call @hal.device.queue.fill(%device, %any, %f0, %f1, %a, %none, %o8, %pattern, %width, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.buffer>, i64, i64, i64, i32, i64) -> ()
    vm.call @await(%f1) : (!vm.ref<!hal.fence>) -> ()
    %view = vm.call @bytes(%a, %o8) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    vm.return %view : !vm.ref<!hal.buffer_view>
  }

  vm.export @overlap
  vm.func private @overlap() -> !vm.ref<!hal.buffer_view> {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %o2 = vm.const.i64 2
    %o4 = vm.const.i64 4
    %o8 = vm.const.i64 8
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %f0 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %f1 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %a = vm.call @alloca(%o8, %f0) : (i64, !vm.ref<!hal.fence>) -> !vm.ref<!hal.buffer>
    vm.call @hal.device.queue.copy(%device, %any, %f0, %f1, %a, %none, %a, %o2, %o4, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.buffer>, i64, !vm.ref<!hal.buffer>, i64, i64, i64) -> ()
    vm.call @await(%f1) : (!vm.ref<!hal.fence>) -> ()
    %view = vm.call @bytes(%a, %o8) : (!vm.ref<!hal.buffer>, i64) -> !vm.ref<!hal.buffer_view>
    vm.return %view : !vm.ref<!hal.buffer_view>
  }

  // A command buffer that is still being recorded cannot be executed.
  vm.export @unfinished
  vm.func private @unfinished() {
    %any = vm.const.i64 -1
    %none = vm.const.i64.zero
    %c0 = vm.const.i32.zero
    %c1 = vm.const.i32 1
    %null = vm.const.ref.zero : !vm.ref<!hal.fence>
    %device = vm.call @device() : () -> !vm.ref<!hal.device>
    %f1 = vm.call @fence() : () -> !vm.ref<!hal.fence>
    %commands = vm.call @hal.command_buffer.create(%device, %c1, %c1, %any, %c0) : (!vm.ref<!hal.device>, i32, i32, i64, i32) -> !vm.ref<!hal.command_buffer>
    vm.call @hal.device.queue.execute(%device, %any, %null, %f1, %commands, %none) : (!vm.ref<!hal.device>, i64, !vm.ref<!hal.fence>, !vm.ref<!hal.fence>, !vm.ref<!hal.command_buffer>, i64) -> ()
    vm.call @await(%f1) : (!vm.ref<!hal.fence>) -> ()
    vm.return
  }
}
