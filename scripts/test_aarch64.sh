#!/usr/bin/env bash
# Compares the kernels for 64-bit Arm with the reference, bit for bit, under QEMU's user emulation:
# those with the dot product extension, and what a processor without it runs.
#
# Usage: scripts/test_aarch64.sh
#
# CXX_AARCH64 names the compiler (default aarch64-linux-gnu-g++), QEMU_AARCH64 the emulator (default
# qemu-aarch64-static). Ends with status 77 where either is absent.
set -euo pipefail
cd "$(dirname "$0")/.."

cxx=${CXX_AARCH64:-aarch64-linux-gnu-g++}
qemu=${QEMU_AARCH64:-qemu-aarch64-static}
for program in "$cxx" "$qemu"; do
  command -v "$program" >/dev/null || {
    echo "aarch64: skipped, $program is absent"
    exit 77
  }
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# run NAME CPU FLAGS KERNEL: builds the comparison of one set and runs it.
run() {
  # shellcheck disable=SC2086
  "$cxx" -std=c++20 -O3 -static $3 -Wall -Wextra -Wconversion -Werror -Iinclude -Isrc -Itests \
    tests/kernels/arch_equals_ref_main.cpp src/kernels/matvec_ref.cpp "src/kernels/$4" \
    -o "$dir/$1"
  local answer
  answer=$("$qemu" -cpu "$2" "$dir/$1") || {
    echo "aarch64: $1 differs from the reference: $answer" >&2
    exit 1
  }
  echo "$1: $answer"
}

run portable cortex-a53 -march=armv8-a matvec_portable.cpp
run dotprod max -march=armv8.2-a+dotprod matvec_dotprod.cpp
