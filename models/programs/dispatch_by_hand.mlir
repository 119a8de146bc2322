// Dispatches recorded by hand: direct in three dimensions, with no workgroups, and indirect, with counts from memory.
// The module says itself what device it is for, because kernels written by hand belong to a device.
//! device: declared
//! case dispatch_direct: direct(2; 3; 2)
//! case dispatch_direct_one: direct(1; 1; 1)
//! case dispatch_direct_none: direct(4; 0; 1)
//! case dispatch_indirect: indirect(3xi32=5 1 1; 9)
//! case dispatch_indirect_none: indirect(3xi32=0 1 1; 9)
//! case dispatch_indirect_computed: computed(7; -1)
//! failing case dispatch_indirect_usage: unsuited(3xi32=5 1 1)
//! error: PERMISSION_DENIED
#target = #hal.executable.target<"llvm-cpu", "embedded-elf-x86_64", {cpu = "generic", cpu_features = "", data_layout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128", native_vector_size = 16 : i64, target_triple = "x86_64-unknown-unknown-eabi-elf"}>
#marks = #hal.pipeline.layout<constants = 1, bindings = [#hal.pipeline.binding<storage_buffer>]>
#counts = #hal.pipeline.layout<constants = 1, bindings = [#hal.pipeline.binding<storage_buffer>]>
module @dispatch attributes {stream.affinity.default = #hal.device.affinity<@device>} {
  util.global private @device = #hal.device.target<"local", [#target]> : !hal.device

  hal.executable private @kernels {
    hal.executable.variant public @embedded_elf_x86_64 target(#target) {
      hal.executable.export public @mark ordinal(0) layout(#marks) count(%device: !hal.device) -> (index, index, index) {
        %c1 = arith.constant 1 : index
        hal.return %c1, %c1, %c1 : index, index, index
      }
      hal.executable.export public @number ordinal(1) layout(#marks) count(%device: !hal.device, %x: index, %y: index, %z: index) -> (index, index, index) {
        hal.return %x, %y, %z : index, index, index
      }
      hal.executable.export public @count ordinal(2) layout(#counts) count(%device: !hal.device) -> (index, index, index) {
        %c1 = arith.constant 1 : index
        hal.return %c1, %c1, %c1 : index, index, index
      }
      builtin.module {
        // out[x] = constant
        func.func @mark() {
          %c0 = arith.constant 0 : index
          %value = hal.interface.constant.load layout(#marks) ordinal(0) : i32
          %x = hal.interface.workgroup.id[0] : index
          %out = hal.interface.binding.subspan layout(#marks) binding(0) alignment(64) offset(%c0) : memref<16xi32>
          memref.store %value, %out[%x] : memref<16xi32>
          return
        }
        // out[linear id] = constant + 100 z + 10 y + x
        func.func @number() {
          %c0 = arith.constant 0 : index
          %c10 = arith.constant 10 : index
          %value = hal.interface.constant.load layout(#marks) ordinal(0) : i32
          %x = hal.interface.workgroup.id[0] : index
          %y = hal.interface.workgroup.id[1] : index
          %z = hal.interface.workgroup.id[2] : index
          %columns = hal.interface.workgroup.count[0] : index
          %rows = hal.interface.workgroup.count[1] : index
          %0 = arith.muli %z, %rows : index
          %1 = arith.addi %0, %y : index
          %2 = arith.muli %1, %columns : index
          %linear = arith.addi %2, %x : index
          %3 = arith.muli %z, %c10 : index
          %4 = arith.addi %3, %y : index
          %5 = arith.muli %4, %c10 : index
          %6 = arith.addi %5, %x : index
          %digits = arith.index_cast %6 : index to i32
          %sum = arith.addi %value, %digits : i32
          %out = hal.interface.binding.subspan layout(#marks) binding(0) alignment(64) offset(%c0) : memref<16xi32>
          memref.store %sum, %out[%linear] : memref<16xi32>
          return
        }
        // (constant, 1, 1): workgroup counts for a later dispatch
        func.func @count() {
          %c0 = arith.constant 0 : index
          %c1 = arith.constant 1 : index
          %c2 = arith.constant 2 : index
          %one = arith.constant 1 : i32
          %value = hal.interface.constant.load layout(#counts) ordinal(0) : i32
          %out = hal.interface.binding.subspan layout(#counts) binding(0) alignment(64) offset(%c0) : memref<3xi32>
          memref.store %value, %out[%c0] : memref<3xi32>
          memref.store %one, %out[%c1] : memref<3xi32>
          memref.store %one, %out[%c2] : memref<3xi32>
          return
        }
      }
    }
  }

  // 64 bytes of zeros.
  util.func private @zeros(%device: !hal.device) -> !hal.buffer attributes {inlining_policy = #util.inline.never} {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %any = arith.constant -1 : i64
    %none = util.null : !hal.fence
    %pool = arith.constant 0 : i64
    %pattern = arith.constant 0 : i32
    %type = hal.memory_type<"DeviceVisible|DeviceLocal"> : i32
    %usage = hal.buffer_usage<"TransferSource|TransferTarget|Transfer|DispatchIndirectParameters|DispatchStorageRead|DispatchStorageWrite|DispatchStorage"> : i32
    %allocated = hal.fence.create device(%device : !hal.device) flags("None") : !hal.fence
    %filled = hal.fence.create device(%device : !hal.device) flags("None") : !hal.fence
    %buffer = hal.device.queue.alloca<%device : !hal.device> affinity(%any) wait(%none) signal(%allocated) pool(%pool) type(%type) usage(%usage) flags("None") : !hal.buffer{%c64}
    hal.device.queue.fill<%device : !hal.device> affinity(%any) wait(%allocated) signal(%filled) target(%buffer : !hal.buffer)[%c0] length(%c64) pattern(%pattern : i32) flags("None")
    util.call @await(%filled) : (!hal.fence) -> ()
    util.return %buffer : !hal.buffer
  }

  util.func private @await(%fence: !hal.fence) attributes {inlining_policy = #util.inline.never} {
    %forever = arith.constant -1 : i32
    %status = hal.fence.await until([%fence]) timeout_millis(%forever) flags("None") : i32
    util.status.check_ok %status, "the work failed"
    util.return
  }

  util.func private @submit(%device: !hal.device, %commands: !hal.command_buffer) attributes {inlining_policy = #util.inline.never} {
    %any = arith.constant -1 : i64
    %none = util.null : !hal.fence
    %done = hal.fence.create device(%device : !hal.device) flags("None") : !hal.fence
    hal.command_buffer.finalize<%commands : !hal.command_buffer>
    hal.device.queue.execute<%device : !hal.device> affinity(%any) wait(%none) signal(%done) commands(%commands) flags("None")
    util.call @await(%done) : (!hal.fence) -> ()
    util.return
  }

  util.func private @view(%buffer: !hal.buffer) -> !hal.buffer_view attributes {inlining_policy = #util.inline.never} {
    %c0 = arith.constant 0 : index
    %c16 = arith.constant 16 : index
    %c64 = arith.constant 64 : index
    %type = hal.element_type<i32> : i32
    %encoding = hal.encoding_type<dense_row_major> : i32
    %view = hal.buffer_view.create buffer(%buffer : !hal.buffer)[%c0, %c64] shape([%c16]) type(%type) encoding(%encoding) : !hal.buffer_view
    util.return %view : !hal.buffer_view
  }

  util.func public @direct(%x: index, %y: index, %z: index) -> !hal.buffer_view {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %any = arith.constant -1 : i64
    %thousand = arith.constant 1000 : i32
    %device = hal.device.resolve on(#hal.device.affinity<@device>) : !hal.device
    %out = util.call @zeros(%device) : (!hal.device) -> !hal.buffer
    %executable = hal.executable.lookup device(%device : !hal.device) executable(@kernels) : !hal.executable
    %number = hal.executable.lookup.function target(%executable : !hal.executable) function(@kernels::@embedded_elf_x86_64::@number) : i64
    %commands = hal.command_buffer.create device(%device : !hal.device) mode("OneShot") categories("Transfer|Dispatch") affinity(%any) : !hal.command_buffer
    hal.command_buffer.dispatch<%commands : !hal.command_buffer> target(%executable : !hal.executable)[%number] workgroups([%x, %y, %z]) constants([%thousand]) bindings([(%out : !hal.buffer)[%c0, %c64]]) flags("None")
    util.call @submit(%device, %commands) : (!hal.device, !hal.command_buffer) -> ()
    %view = util.call @view(%out) : (!hal.buffer) -> !hal.buffer_view
    util.return %view : !hal.buffer_view
  }

  util.func public @indirect(%counts: !hal.buffer_view, %value: i32) -> !hal.buffer_view {
    %c0 = arith.constant 0 : index
    %c12 = arith.constant 12 : index
    %c64 = arith.constant 64 : index
    %any = arith.constant -1 : i64
    %device = hal.device.resolve on(#hal.device.affinity<@device>) : !hal.device
    %source = hal.buffer_view.buffer<%counts : !hal.buffer_view> : !hal.buffer
    %parameters = util.call @zeros(%device) : (!hal.device) -> !hal.buffer
    %out = util.call @zeros(%device) : (!hal.device) -> !hal.buffer
    %executable = hal.executable.lookup device(%device : !hal.device) executable(@kernels) : !hal.executable
    %mark = hal.executable.lookup.function target(%executable : !hal.executable) function(@kernels::@embedded_elf_x86_64::@mark) : i64
    %commands = hal.command_buffer.create device(%device : !hal.device) mode("OneShot") categories("Transfer|Dispatch") affinity(%any) : !hal.command_buffer
    hal.command_buffer.copy_buffer<%commands : !hal.command_buffer> source(%source : !hal.buffer)[%c0] target(%parameters : !hal.buffer)[%c12] length(%c12) flags("None")
    hal.command_buffer.execution_barrier<%commands : !hal.command_buffer> source("Dispatch|Transfer|CommandRetire") target("CommandIssue|Dispatch|Transfer") flags("None")
    hal.command_buffer.dispatch.indirect<%commands : !hal.command_buffer> target(%executable : !hal.executable)[%mark] workgroups(%parameters : !hal.buffer)[%c12] constants([%value]) bindings([(%out : !hal.buffer)[%c0, %c64]]) flags("None")
    util.call @submit(%device, %commands) : (!hal.device, !hal.command_buffer) -> ()
    %view = util.call @view(%out) : (!hal.buffer) -> !hal.buffer_view
    util.return %view : !hal.buffer_view
  }

  // The counts are written by a kernel of the same command buffer.
  util.func public @computed(%count: i32, %value: i32) -> !hal.buffer_view {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %any = arith.constant -1 : i64
    %device = hal.device.resolve on(#hal.device.affinity<@device>) : !hal.device
    %parameters = util.call @zeros(%device) : (!hal.device) -> !hal.buffer
    %out = util.call @zeros(%device) : (!hal.device) -> !hal.buffer
    %executable = hal.executable.lookup device(%device : !hal.device) executable(@kernels) : !hal.executable
    %mark = hal.executable.lookup.function target(%executable : !hal.executable) function(@kernels::@embedded_elf_x86_64::@mark) : i64
    %write = hal.executable.lookup.function target(%executable : !hal.executable) function(@kernels::@embedded_elf_x86_64::@count) : i64
    %commands = hal.command_buffer.create device(%device : !hal.device) mode("OneShot") categories("Transfer|Dispatch") affinity(%any) : !hal.command_buffer
    hal.command_buffer.dispatch<%commands : !hal.command_buffer> target(%executable : !hal.executable)[%write] workgroups([%c1, %c1, %c1]) constants([%count]) bindings([(%parameters : !hal.buffer)[%c0, %c64]]) flags("None")
    hal.command_buffer.execution_barrier<%commands : !hal.command_buffer> source("Dispatch|Transfer|CommandRetire") target("CommandIssue|Dispatch|Transfer") flags("None")
    hal.command_buffer.dispatch.indirect<%commands : !hal.command_buffer> target(%executable : !hal.executable)[%mark] workgroups(%parameters : !hal.buffer)[%c0] constants([%value]) bindings([(%out : !hal.buffer)[%c0, %c64]]) flags("None")
    util.call @submit(%device, %commands) : (!hal.device, !hal.command_buffer) -> ()
    %view = util.call @view(%out) : (!hal.buffer) -> !hal.buffer_view
    util.return %view : !hal.buffer_view
  }

  // Workgroup counts in a buffer that was not made for them.
  util.func public @unsuited(%counts: !hal.buffer_view) -> !hal.buffer_view {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %any = arith.constant -1 : i64
    %value = arith.constant 1 : i32
    %device = hal.device.resolve on(#hal.device.affinity<@device>) : !hal.device
    %source = hal.buffer_view.buffer<%counts : !hal.buffer_view> : !hal.buffer
    %out = util.call @zeros(%device) : (!hal.device) -> !hal.buffer
    %executable = hal.executable.lookup device(%device : !hal.device) executable(@kernels) : !hal.executable
    %mark = hal.executable.lookup.function target(%executable : !hal.executable) function(@kernels::@embedded_elf_x86_64::@mark) : i64
    %commands = hal.command_buffer.create device(%device : !hal.device) mode("OneShot") categories("Transfer|Dispatch") affinity(%any) : !hal.command_buffer
    hal.command_buffer.dispatch.indirect<%commands : !hal.command_buffer> target(%executable : !hal.executable)[%mark] workgroups(%source : !hal.buffer)[%c0] constants([%value]) bindings([(%out : !hal.buffer)[%c0, %c64]]) flags("None")
    util.call @submit(%device, %commands) : (!hal.device, !hal.command_buffer) -> ()
    %view = util.call @view(%out) : (!hal.buffer) -> !hal.buffer_view
    util.return %view : !hal.buffer_view
  }
}
