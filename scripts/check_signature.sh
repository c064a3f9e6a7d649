#!/usr/bin/env bash
# Builds the signature program with gcc and clang, without and with optimisation, and compares what
# each prints with tests/signature.txt, with each set of kernels that this computer runs: the same
# bits everywhere.
#
# Usage: scripts/check_signature.sh
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "signature: $1" >&2
  exit 1
}

[[ $# -eq 0 ]] || fail "takes no arguments"
expected=$(cat tests/signature.txt 2>/dev/null) || fail "tests/signature.txt is missing"
[[ $expected =~ ^[0-9a-f]+$ ]] || fail "tests/signature.txt is not one line of hexadecimal digits"

declare -A compilers=([gcc]=g++ [clang]=clang++)
differ=()
printf '%-8s %-6s %-10s %s\n' compiler level kernels signature
for compiler in gcc clang; do
  for level in -O0 -O3; do
    name=$compiler$level
    dir=build/signature/$name
    log=build/signature/$name.log
    mkdir -p "$dir"
    {
      cmake -S . -B "$dir" -G Ninja -DCMAKE_CXX_COMPILER="${compilers[$compiler]}" \
        -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="$level" \
        -DMOTE_TESTS=OFF -DMOTE_BENCH=OFF -DMOTE_FUZZ=OFF &&
        cmake --build "$dir" --target mote_signature
    } >"$log" 2>&1 || {
      tail -n 40 "$log" >&2
      fail "the build with $compiler $level failed"
    }
    kernels=$("$dir/host/mote_signature" --kernels) || fail "$dir/host/mote_signature does not run"
    for set in $kernels; do
      actual=$(MOTE_ISA=$set "$dir/host/mote_signature") || actual="(exit status $?)"
      verdict=
      if [ "$actual" != "$expected" ]; then
        differ+=("$compiler $level $set")
        verdict="  DIFFERS"
      fi
      printf '%-8s %-6s %-10s %s%s\n' "$compiler" "$level" "$set" "$actual" "$verdict"
    done
  done
done
if [ ${#differ[@]} -gt 0 ]; then
  printf 'signature: %s differs from tests/signature.txt (%s)\n' \
    "$(IFS=,; echo "${differ[*]}")" "$expected" >&2
  exit 1
fi
