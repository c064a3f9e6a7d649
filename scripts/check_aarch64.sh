#!/usr/bin/env bash
# Builds the kernels for aarch64 and runs their tests in qemu-aarch64: on a processor with SDOT,
# where every set of kernels runs, and on one without, where that is noticed.
#
# Usage: scripts/check_aarch64.sh [--whole]
#
#   --whole   builds the host tools too, and compares the golden signature of each set
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
tests=(kernels_test attention_test)
if [[ ${1-} == --whole ]]; then
  tests+=(host_kernels_test)
  shift
fi
[[ $# -eq 0 ]] || fail "unknown argument $1"

dir=build/aarch64
log=$dir/build.log
mkdir -p "$dir"
{
  cmake -S . -B "$dir" -G Ninja --toolchain scripts/aarch64-linux-gnu.cmake \
    -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O1 -DMOTE_BENCH=OFF -DMOTE_MPI=OFF &&
    cmake --build "$dir" --target "${tests[@]}"
} >"$log" 2>&1 || {
  tail -n 40 "$log" >&2
  fail "the build failed (scripts/install.sh installs the compiler)"
}

check() {
  local cpu=$1 expected=$2 kernels
  export QEMU_CPU=$cpu
  # A name that no set has makes the program tell those that run.
  kernels=$(MOTE_ISA=none qemu-aarch64-static "$dir/tests/kernels_test" 2>&1 || true)
  kernels=${kernels##* has }
  [ "$kernels" = "$expected" ] || fail "$cpu has kernels \"$kernels\" instead of \"$expected\""
  for test in "${tests[@]}"; do
    qemu-aarch64-static "$dir/tests/$test" --gtest_brief=1 >"$dir/$test.log" 2>&1 || {
      tail -n 40 "$dir/$test.log" >&2
      fail "$test on $cpu"
    }
  done
  echo "aarch64: $cpu, kernels $kernels: passed"
}
check max "reference, neon, dotprod"
check cortex-a53 "reference, neon"
