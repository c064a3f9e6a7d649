#!/usr/bin/env bash
# Every check of the project; CI runs exactly this. The last line is "N passed, M failed".
#
# Usage: scripts/test.sh [JOB...]
#
#   release     builds with gcc and runs the tests
#   asan        builds with clang and the address and undefined-behaviour sanitizers, runs the tests
#   fuzz        each fuzz target for ten seconds over its seeds (scripts/fuzz.sh runs longer)
#   aarch64     the kernels for aarch64 in an emulated processor (scripts/check_aarch64.sh)
#   signature   gcc and clang, -O0 and -O3: one signature (scripts/check_signature.sh)
#
# Without arguments, all of them. A job that fails outside its tests (a build, a finding of a
# fuzzer, a signature) counts as one failed test.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
skipped=0
report=()

# The value of an attribute of the first <testsuite> in a JUnit file.
attribute() {
  sed -n "s/^[[:space:]]*$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -n 1
}

# Adds the counts of a JUnit file.
count_tests() {
  local total failures absent
  total=$(attribute tests "$1")
  failures=$(attribute failures "$1")
  absent=$(($(attribute skipped "$1") + $(attribute disabled "$1")))
  passed=$((passed + total - failures - absent))
  failed=$((failed + failures))
  skipped=$((skipped + absent))
}

build() {
  cmake --preset "$1" && cmake --build --preset "$1" "${@:2}"
}

build_and_test() {
  local junit=$PWD/build/$1/junit.xml
  rm -f "$junit"
  build "$1" || return 1
  local status=0
  ctest --preset "$1" -j 2 --no-tests=error --output-on-failure --output-junit "$junit" || status=$?
  [ ! -f "$junit" ] || count_tests "$junit"
  return "$status"
}

job_release() { build_and_test release; }
job_asan() { build_and_test asan; }
job_fuzz() { build asan --target fuzz/all && scripts/fuzz.sh --seconds 10; }
job_aarch64() { scripts/check_aarch64.sh; }
job_signature() { scripts/check_signature.sh; }

run_job() {
  local name=$1 start=$SECONDS failed_before=$failed verdict=ok
  echo "=== $name"
  if ! "job_$name"; then
    verdict=FAILED
    [ "$failed" -gt "$failed_before" ] || failed=$((failed + 1))
  fi
  report+=("$(printf '%-10s %-7s %4d s' "$name" "$verdict" $((SECONDS - start)))")
}

jobs=("$@")
[ ${#jobs[@]} -gt 0 ] || jobs=(release asan fuzz aarch64 signature)
for job in "${jobs[@]}"; do
  case $job in
  release | asan | fuzz | aarch64 | signature) ;;
  *)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/test.sh
    [ "$job" = --help ] || [ "$job" = -h ] && exit 0
    exit 2
    ;;
  esac
done

scripts/install.sh
# A board that cannot run is no reason to pass, nor is a tool that is absent.
[ -z "${CI:-}" ] || export MOTE_REQUIRE_PORTS=1 MOTE_REQUIRE_SENTENCEPIECE=1
# Stacks by name also where llvm-symbolizer is not installed.
export ASAN_OPTIONS=${ASAN_OPTIONS:-allow_addr2line=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:allow_addr2line=1}
for job in "${jobs[@]}"; do
  run_job "$job"
done

echo "=== all, $SECONDS s"
printf '%s\n' "${report[@]}"
summary="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || summary+=", $skipped skipped"
echo "$summary"
[ "$failed" -eq 0 ]
