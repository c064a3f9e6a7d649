#!/usr/bin/env bash
# Runs the fuzz targets of the asan preset (build/asan/fuzz/fuzz_*), each over its kept seeds in
# fuzz/corpus/<target>. The seeds are only read; what libFuzzer learns goes to build/fuzz.
#
# Usage: scripts/fuzz.sh [--seconds N | --runs N] [TARGET...]
#
#   --seconds N   time for each target; 10 by default. A night's run: --seconds 3600
#   --runs N      inputs for each target instead, however long they take
#   TARGET        a name without fuzz_, such as image; all targets by default
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "fuzz: $1" >&2
  exit 1
}

limit=-max_total_time=10
targets=()
while [ $# -gt 0 ]; do
  case $1 in
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/fuzz.sh
    exit 0
    ;;
  --seconds | --runs)
    # 0 would mean without end to libFuzzer.
    [[ ${2-} =~ ^[1-9][0-9]*$ ]] || fail "$1 needs a whole number from 1 up"
    [ "$1" = --runs ] && limit=-runs=$2 || limit=-max_total_time=$2
    shift 2
    ;;
  -*) fail "unknown option $1" ;;
  *)
    targets+=("${1#fuzz_}")
    shift
    ;;
  esac
done

if [ ${#targets[@]} -eq 0 ]; then
  for binary in build/asan/fuzz/fuzz_*; do
    [ -f "$binary" ] && [ -x "$binary" ] && targets+=("${binary##*/fuzz_}")
  done
fi
[ ${#targets[@]} -gt 0 ] ||
  fail "no target in build/asan/fuzz (cmake --preset asan && cmake --build --preset asan)"

# Stacks by name also where llvm-symbolizer is not installed.
export ASAN_OPTIONS=${ASAN_OPTIONS:-allow_addr2line=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:allow_addr2line=1}

failed=()
findings=build/fuzz/findings
mkdir -p "$findings"
for target in "${targets[@]}"; do
  binary=build/asan/fuzz/fuzz_$target
  seeds=fuzz/corpus/$target
  learnt=build/fuzz/corpus/$target
  log=build/fuzz/$target.log
  [ -x "$binary" ] || fail "$binary is not built"
  # Without seeds a short run would never get past the first check of a format.
  [ -n "$(ls -A "$seeds" 2>/dev/null)" ] || fail "$target has no seeds in $seeds"
  mkdir -p "$learnt"
  if "$binary" "$limit" -rss_limit_mb=2048 -timeout=10 \
    -artifact_prefix="$findings/$target-" "$learnt" "$seeds" >"$log" 2>&1 &&
    grep -q '^Done [1-9]' "$log"; then
    echo "fuzz $target: $(grep '^Done' "$log")"
  else
    failed+=("$target")
    tail -n 60 "$log" >&2
    kept=$(sed -n 's/.*Test unit written to //p' "$log")
    echo "fuzz $target: FAILED, input kept at ${kept:-(none written)}, log at $log" >&2
  fi
done
[ ${#failed[@]} -eq 0 ] || fail "findings in: ${failed[*]}"
