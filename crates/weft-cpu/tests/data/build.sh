#!/bin/sh
# Rebuilds the samples beside this script. Needs the compiler from PyPI (iree-base-compiler 3.13) as $IREE_COMPILE, and
# gcc with GNU ld for x86-64 and (as aarch64-linux-gnu-gcc) for Arm. The results are in the repository: building weft needs
# none of this.
set -eu
cd "$(dirname "$0")"
compile="${IREE_COMPILE:-iree-compile}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

# sample OUTPUT SOURCE FLAGS...: the one executable of a compiled program.
sample() {
  output="$1"; source="$2"; shift 2
  mkdir "$scratch/$output"
  "$compile" "$source" -o "$scratch/program.vmfb" --iree-hal-dump-executable-binaries-to="$scratch/$output" "$@"
  cp "$scratch/$output"/*.so "$output"
}
local="--iree-hal-target-device=local --iree-hal-local-target-device-backends=llvm-cpu --iree-llvmcpu-target-cpu=generic"
stripped="--iree-llvmcpu-debug-symbols=false"
arm="--iree-llvmcpu-target-triple=aarch64-unknown-linux-gnu"
sample multiply.x86_64.so multiply.mlir $local $stripped
sample multiply.debug.x86_64.so multiply.mlir $local
sample multiply.arm_64.so multiply.mlir $local $arm $stripped
sample multiply.debug.arm_64.so multiply.mlir $local $arm
sample matmul.x86_64.so matmul.mlir $local $stripped
sample matmul.arm_64.so matmul.mlir $local $arm $stripped
sample several.x86_64.so several.mlir $local $stripped
sample several.arm_64.so several.mlir $local $arm $stripped
sample several.system.x86_64.so several.mlir $local $stripped --iree-llvmcpu-link-embedded=false
sample several.system.arm_64.so several.mlir $local $arm $stripped --iree-llvmcpu-link-embedded=false \
  --iree-llvmcpu-system-linker-path="$(command -v aarch64-linux-gnu-ld)"
sample import.x86_64.so import.mlir $stripped
sample constants.x86_64.so constants.mlir $stripped

# Small pages also on Arm: they keep the files small, and the loader has to serve both.
flags="-O1 -std=c11 -Wall -Wno-int-to-pointer-cast -Wno-unused-function -shared -fPIC -nostdlib -ffreestanding
  -fno-stack-protector -fno-asynchronous-unwind-tables -s
  -Wl,--hash-style=sysv,--build-id=none,-z,now,-z,relro,-z,max-page-size=4096"
gcc $flags -fcf-protection=none handmade.c -o handmade.x86_64.so
gcc $flags -fcf-protection=none -DIMPORTS handmade.c -o handmade.import.x86_64.so
aarch64-linux-gnu-gcc $flags handmade.c -o handmade.arm_64.so
aarch64-linux-gnu-gcc $flags -DIMPORTS handmade.c -o handmade.import.arm_64.so
chmod -x ./*.so
