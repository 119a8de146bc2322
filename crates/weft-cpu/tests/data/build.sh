#!/bin/sh
# Rebuilds the samples beside this script. Needs the compiler from PyPI (iree-base-compiler 3.13) as $IREE_COMPILE, and
# gcc with GNU ld for x86-64. The results are in the repository: building weft needs none of this.
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
sample several.x86_64.so several.mlir $local $stripped
sample several.system.x86_64.so several.mlir $local $stripped --iree-llvmcpu-link-embedded=false
sample import.x86_64.so import.mlir $stripped
sample constants.x86_64.so constants.mlir $stripped

flags="-O1 -std=c11 -Wall -shared -fPIC -nostdlib -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables
  -fcf-protection=none -s -Wl,--hash-style=sysv,--build-id=none,-z,now,-z,relro,-z,max-page-size=4096"
gcc $flags -Wno-int-to-pointer-cast handmade.c -o handmade.x86_64.so
gcc $flags -Wno-int-to-pointer-cast -Wno-unused-function -DIMPORTS handmade.c -o handmade.import.x86_64.so
