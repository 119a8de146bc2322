#!/bin/sh
# Compiles the sources beside this script and dumps them with the reference's tool.
# `all_opcodes.vmfb` is written by the ignored test `write_a_module_with_every_opcode`.
#   NEWER=dir of iree-compile and iree-dump-module 3.13   OLDER=dir of iree-compile 3.12
set -eu
cd "$(dirname "$0")"
flags="--iree-hal-target-device=local --iree-hal-local-target-device-backends=llvm-cpu
  --iree-llvmcpu-target-cpu=generic --iree-vm-target-extension-f64 --iree-input-demote-f64-to-f32=false"
for program in scalars tensors; do
  # shellcheck disable=SC2086
  "$NEWER/iree-compile" $flags "$program.mlir" -o "$program.vmfb"
  "$NEWER/iree-compile" $flags --iree-vm-emit-polyglot-zip=false "$program.mlir" -o "$program.flat.vmfb"
  "$OLDER/iree-compile" $flags "$program.mlir" -o "$program.older.vmfb"
done
"$NEWER/iree-compile" $flags --iree-execution-model=async-external waiting.mlir -o waiting.vmfb
for module in *.vmfb; do
  "$NEWER/iree-dump-module" --output=disassembly --bytecode_offsets "$module" > "${module%.vmfb}.txt"
done
