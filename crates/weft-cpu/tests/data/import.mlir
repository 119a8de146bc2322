#x86_64_target = #hal.executable.target<"llvm-cpu", "embedded-elf-x86_64", {
  data_layout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128",
  native_vector_size = 32 : index,
  target_triple = "x86_64-none-elf", cpu = "generic", cpu_features = ""
}>
#cpu_target = #hal.device.target<"local", [#x86_64_target]> : !hal.device
module @example attributes {hal.device.targets = [#cpu_target]} {
  hal.executable private @executable {
    hal.executable.variant public @x86_64 target(#x86_64_target) {
      hal.executable.export public @simple_mul ordinal(0)
          layout(#hal.pipeline.layout<constants = 1, bindings = [
            #hal.pipeline.binding<storage_buffer, ReadOnly>,
            #hal.pipeline.binding<storage_buffer, ReadOnly>,
            #hal.pipeline.binding<storage_buffer>
          ]>) count(%device: !hal.device, %workload: index) -> (index, index, index) {
        %x = affine.apply affine_map<()[s0] -> (s0 ceildiv 64)>()[%workload]
        %c1 = arith.constant 1 : index
        hal.return %x, %c1, %c1 : index, index, index
      }
      builtin.module {
        func.func private @simple_mul_workgroup(
            %binding0: memref<f32>, %binding0_offset : index,
            %binding1: memref<f32>, %binding1_offset : index,
            %binding2: memref<f32>, %binding2_offset : index,
            %dim: index, %tid: index) -> i32 attributes {
          hal.import.fields = ["processor_id", "processor_data"],
          hal.import.cconv = 1 : i32,
          llvm.bareptr = true
        }
        func.func @simple_mul() {
          %c0 = arith.constant 0 : index
          %dim_i32 = hal.interface.constant.load layout(<constants = 1, bindings = [
            #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer>]>) ordinal(0) : i32
          %dim = arith.index_castui %dim_i32 : i32 to index
          %tid = hal.interface.workgroup.id[0] : index
          %b0 = hal.interface.binding.subspan layout(<constants = 1, bindings = [
            #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer>]>) binding(0) alignment(64) offset(%c0) : memref<?xf32>{%dim}
          %b1 = hal.interface.binding.subspan layout(<constants = 1, bindings = [
            #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer>]>) binding(1) alignment(64) offset(%c0) : memref<?xf32>{%dim}
          %b2 = hal.interface.binding.subspan layout(<constants = 1, bindings = [
            #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer, ReadOnly>, #hal.pipeline.binding<storage_buffer>]>) binding(2) alignment(64) offset(%c0) : memref<?xf32>{%dim}
          %p0, %o0, %s0, %st0 = memref.extract_strided_metadata %b0 : memref<?xf32> -> memref<f32>, index, index, index
          %p1, %o1, %s1, %st1 = memref.extract_strided_metadata %b1 : memref<?xf32> -> memref<f32>, index, index, index
          %p2, %o2, %s2, %st2 = memref.extract_strided_metadata %b2 : memref<?xf32> -> memref<f32>, index, index, index
          %r = func.call @simple_mul_workgroup(%p0, %o0, %p1, %o1, %p2, %o2, %dim, %tid) : (memref<f32>, index, memref<f32>, index, memref<f32>, index, index, index) -> i32
          return
        }
      }
    }
  }
  util.func public @mul(%arg0: tensor<?xf32>, %arg1: tensor<?xf32>) -> tensor<?xf32> {
    %c0 = arith.constant 0 : index
    %dim = tensor.dim %arg0, %c0 : tensor<?xf32>
    %dim_i32 = arith.index_cast %dim : index to i32
    %0 = flow.dispatch @executable::@x86_64::@simple_mul[%dim](%dim_i32, %arg0, %arg1) : (i32, tensor<?xf32>{%dim}, tensor<?xf32>{%dim}) -> tensor<?xf32>{%dim}
    util.return %0 : tensor<?xf32>
  }
}
