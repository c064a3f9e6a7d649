#!/usr/bin/env bash
# Where the time of a token goes on this computer: samples by part of the work, in percent.
#
# Usage: scripts/profile_host.sh IMAGE [POSITION...]
#
# Runs `mote bench` under `perf record` (package linux-perf) and prints a table with a column for
# each POSITION (default 1 256): 16 tokens from there on, again and again, by one thread. MOTE_ISA
# names the kernels (default: the best that the computer has), MOTE the program (default
# build/release/host/mote), SECONDS_EACH how long a position is sampled (default 10). Opening the
# image is not counted.
set -euo pipefail
cd_from=$PWD
cd "$(dirname "$0")/.."

fail() {
  echo "profile: $1" >&2
  exit 1
}

# The argument as the caller meant it, from the folder where the script was started.
from_caller() {
  [[ $1 = /* ]] && echo "$1" || echo "$cd_from/$1"
}

[[ $# -ge 1 && $1 != -* ]] || {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/profile_host.sh >&2
  exit 2
}
image=$(from_caller "$1")
shift
positions=("$@")
[[ $# -gt 0 ]] || positions=(1 256)
mote=build/release/host/mote
[[ -z ${MOTE-} ]] || mote=$(from_caller "$MOTE")
tokens=16

[ -e "$image" ] || fail "$image is missing: make it with mote convert"
[ -x "$mote" ] || fail "$mote is missing: build the preset release first"
for position in "${positions[@]}"; do
  [[ $position =~ ^[0-9]+$ ]] || fail "position \"$position\": a number is expected"
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
perf record -q -e cpu-clock:u -o "$dir/data" true >"$dir/log" 2>&1 || {
  echo "profile: skipped, perf is absent or may not take samples (package linux-perf)"
  exit 0
}

# bench POSITION REPETITIONS [COMMAND...]: runs the program under a command
bench() {
  "${@:3}" "$mote" bench -m "$image" -p 0 -n $tokens -d "$1" -r "$2" -o json
}

# repetitions POSITION: how many last SECONDS_EACH seconds
repetitions() {
  local json
  json=$(bench "$1" 1) || exit 1
  sed -n 's/.*"tokens_per_second": \([0-9.e+-]*\).*/\1/p' <<<"$json" |
    awk -v seconds="${SECONDS_EACH:-10}" '{ n = int($1 * seconds / '$tokens')
      print (n < 1 ? 1 : n > 10000 ? 10000 : n) }'
}

# samples POSITION: lines "POSITION PERCENT SYMBOL"
samples() {
  local count
  count=$(repetitions "$1") || exit 1
  bench "$1" "$count" perf record -q -e cpu-clock:u -F 4000 -o "$dir/data" >"$dir/json" ||
    fail "perf record failed"
  perf report -i "$dir/data" --stdio -q -g none --no-children -F overhead,symbol 2>"$dir/log" |
    sed -n "s/^ *\([0-9.]*\)% *\[.\] /$1 \1 /p"
}

for position in "${positions[@]}"; do
  samples "$position" >>"$dir/samples"
done

# The first pattern that a symbol has decides; what opens an image has no part.
awk -v positions="${positions[*]}" '
  function part_of(symbol) {
    if (symbol ~ /crc32|Sha256|validate|Image::open|measure_reading/) return ""
    if (symbol ~ /matvec|round_row|multiply_rows/) return "matrix times vector"
    if (symbol ~ /attend|score|weigh|dot_rows|add_rows|add_all|add_segment/) return "attention"
    if (symbol ~ /widen|reciprocal|multiply_scale/) return "attention"
    if (symbol ~ /quantize|round_block|hadamard/) return "quantisation, transform of heads"
    if (symbol ~ /swiglu/) return "SwiGLU"
    if (symbol ~ /norm_|add_residual|align_scales|apply_gains/) return "norm, residual"
    if (symbol ~ /rotate/) return "rotation"
    if (symbol ~ /find_above|[cC]andidate/) return "search of the vocabulary"
    return "all else"
  }
  { part = part_of($0); if (part == "") next
    sum[part, $1] += $2; all[$1] += $2 }
  END {
    n = split(positions, p, " ")
    row = "| part, percent |"; line = "|---|"
    for (i = 1; i <= n; ++i) { row = row " " p[i] " |"; line = line "---:|" }
    print row; print line
    m = split("matrix times vector;attention;quantisation, transform of heads;SwiGLU;" \
              "norm, residual;rotation;search of the vocabulary;all else", name, ";")
    for (j = 1; j <= m; ++j) {
      row = "| " name[j] " |"
      for (i = 1; i <= n; ++i) row = row sprintf(" %.0f |", 100 * sum[name[j], p[i]] / all[p[i]])
      print row
    }
  }' "$dir/samples"
