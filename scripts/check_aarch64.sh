#!/usr/bin/env bash
# Builds the engine for aarch64 and runs the tests of its kernels and, with each set of them, the
# golden run in qemu-aarch64: on a processor with SDOT, where every set runs, and on one without,
# where that is noticed.
#
# Usage: scripts/check_aarch64.sh
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "aarch64: $1" >&2
  exit 1
}

if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/check_aarch64.sh
  exit 0
fi
[[ $# -eq 0 ]] || fail "takes no arguments"
tests=(kernels_test attention_test)
golden=$(cat tests/signature.txt)

dir=build/aarch64
log=$dir/build.log
mkdir -p "$dir"
{
  cmake -S . -B "$dir" -G Ninja --toolchain scripts/aarch64-linux-gnu.cmake \
    -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1 -DMOTE_BENCH=OFF -DMOTE_MPI=OFF &&
    cmake --build "$dir" --target "${tests[@]}" mote_signature
} >"$log" 2>&1 || {
  tail -n 40 "$log" >&2
  fail "the build failed (scripts/install.sh installs the compiler)"
}

# check CPU KERNELS TEST...
check() {
  local cpu=$1 expected=$2 kernels signature
  local run=("${@:3}")
  export QEMU_CPU=$cpu
  kernels=$(qemu-aarch64-static "$dir/host/mote_signature" --kernels | paste -sd ' ')
  [ "$kernels" = "$expected" ] || fail "$cpu has kernels \"$kernels\" instead of \"$expected\""
  for test in "${run[@]}"; do
    qemu-aarch64-static "$dir/tests/$test" --gtest_brief=1 >"$dir/$test.log" 2>&1 || {
      tail -n 40 "$dir/$test.log" >&2
      fail "$test on $cpu"
    }
  done
  for set in $kernels; do
    signature=$(MOTE_ISA=$set qemu-aarch64-static "$dir/host/mote_signature")
    [ "$signature" = "$golden" ] || fail "$set on $cpu: signature $signature instead of $golden"
  done
  echo "aarch64: $cpu, kernels $kernels: passed"
}
check max "reference neon dotprod" "${tests[@]}"
check cortex-a53 "reference neon" kernels_test
