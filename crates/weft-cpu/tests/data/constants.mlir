#target = #hal.executable.target<"llvm-cpu", "embedded-elf-x86_64", {
  data_layout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128",
  native_vector_size = 16 : index, target_triple = "x86_64-none-elf", cpu = "generic", cpu_features = ""
}>
#layout = #hal.pipeline.layout<bindings = [
  #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer>]>
#cpu_target = #hal.device.target<"local", [#target]> : !hal.device
module @example attributes {hal.device.targets = [#cpu_target]} {
  hal.executable private @executable {
    hal.executable.variant public @x86_64 target(#target) {
      hal.executable.constant.block(%device: !hal.device) -> (i32, i32) as ("foo", "bar") {
        %c3 = arith.constant 3 : i32
        %c7 = arith.constant 7 : i32
        hal.return %c3, %c7 : i32, i32
      }
      hal.executable.export public @shift_scale ordinal(0) layout(#layout) count(%device: !hal.device) -> (index, index, index) {
        %c1 = arith.constant 1 : index
        hal.return %c1, %c1, %c1 : index, index, index
      }
      builtin.module {
        func.func @shift_scale() {
          %c0 = arith.constant 0 : index
          %foo = hal.executable.constant.load "foo" : i32
          %bar = hal.executable.constant.load "bar" : i32
          %in = hal.interface.binding.subspan layout(#layout) binding(0) alignment(64) offset(%c0) : !iree_tensor_ext.dispatch.tensor<readonly:tensor<4xi32>>
          %out = hal.interface.binding.subspan layout(#layout) binding(1) alignment(64) offset(%c0) : !iree_tensor_ext.dispatch.tensor<writeonly:tensor<4xi32>>
          %a = iree_tensor_ext.dispatch.tensor.load %in, offsets = [0], sizes = [4], strides = [1] : !iree_tensor_ext.dispatch.tensor<readonly:tensor<4xi32>> -> tensor<4xi32>
          %e = tensor.empty() : tensor<4xi32>
          %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%a : tensor<4xi32>) outs(%e : tensor<4xi32>) {
          ^bb0(%x: i32, %y: i32):
            %s = arith.addi %x, %foo : i32
            %m = arith.muli %s, %bar : i32
            linalg.yield %m : i32
          } -> tensor<4xi32>
          iree_tensor_ext.dispatch.tensor.store %r, %out, offsets = [0], sizes = [4], strides = [1] : tensor<4xi32> -> !iree_tensor_ext.dispatch.tensor<writeonly:tensor<4xi32>>
          return
        }
      }
    }
  }
  util.func public @run(%arg0: tensor<4xi32>) -> tensor<4xi32> {
    %0 = flow.dispatch @executable::@x86_64::@shift_scale(%arg0) : (tensor<4xi32>) -> tensor<4xi32>
    util.return %0 : tensor<4xi32>
  }
}
