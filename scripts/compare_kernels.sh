#!/usr/bin/env bash
# Processor time of a token with two sets of kernels, by turns, as one row of a table for each
# position.
#
# Usage: scripts/compare_kernels.sh IMAGE [POSITION...]
#
# Each row is 16 tokens from POSITION (default 1 256) on, again and again, by one thread: user time
# in microseconds a token, and the median of the ratios of neighbouring runs. BEFORE_ISA (default
# reference) and MOTE_ISA (default avx2) name the sets, BEFORE and MOTE the programs (default
# build/release/host/mote; both must know --n-depth), PAIRS the number of runs of each (default 7),
# SECONDS_EACH how long a run lasts (default 1).
set -euo pipefail
cd_from=$PWD
cd "$(dirname "$0")/.."

fail() {
  echo "compare: $1" >&2
  exit 1
}

# The argument as the caller meant it, from the folder where the script was started.
from_caller() {
  [[ $1 = /* ]] && echo "$1" || echo "$cd_from/$1"
}

[[ $# -ge 1 && $1 != -* ]] || {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/compare_kernels.sh >&2
  exit 2
}
image=$(from_caller "$1")
shift
positions=("$@")
[[ $# -gt 0 ]] || positions=(1 256)
mote=build/release/host/mote
[[ -z ${MOTE-} ]] || mote=$(from_caller "$MOTE")
before=$mote
[[ -z ${BEFORE-} ]] || before=$(from_caller "$BEFORE")
tokens=16

[ -e "$image" ] || fail "$image is missing: make it with mote convert"
for program in "$mote" "$before"; do
  [ -x "$program" ] || fail "$program is missing: build the preset release first"
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# bench PROGRAM ISA POSITION REPETITIONS
bench() {
  "$1" bench -m "$image" --isa "$2" -p 0 -n $tokens -d "$3" -r "$4" -o json
}

# repetitions PROGRAM ISA POSITION: how many last SECONDS_EACH seconds
repetitions() {
  local json
  json=$(bench "$@" 1) || exit 1
  sed -n 's/.*"tokens_per_second": \([0-9.e+-]*\).*/\1/p' <<<"$json" |
    awk -v seconds="${SECONDS_EACH:-1}" '{ n = int($1 * seconds / '$tokens')
      print (n < 1 ? 1 : n > 9999 ? 9999 : n) }'
}

# user_seconds COMMAND...
user_seconds() {
  local TIMEFORMAT='%U'
  { time "$@" >"$dir/json"; } 2>&1
}

# token_us PROGRAM ISA POSITION REPETITIONS: of so many more repetitions than one
token_us() {
  local less more
  less=$(user_seconds bench "$1" "$2" "$3" 1)
  more=$(user_seconds bench "$1" "$2" "$3" $(($4 + 1)))
  awk "BEGIN { print 1e6 * ($more - $less) / $4 / $tokens }"
}

# median NUMBER...
median() {
  printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END {
    printf "%.6g\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

from=${BEFORE_ISA:-reference}
to=${MOTE_ISA:-avx2}
echo "| position | $from, us | $to, us | ratio |"
echo "|---:|---:|---:|---:|"
for position in "${positions[@]}"; do
  old_count=$(repetitions "$before" "$from" "$position") || exit 1
  new_count=$(repetitions "$mote" "$to" "$position") || exit 1
  olds=() news=() ratios=()
  for ((i = 0; i < ${PAIRS:-7}; ++i)); do
    olds+=("$(token_us "$before" "$from" "$position" "$old_count")")
    news+=("$(token_us "$mote" "$to" "$position" "$new_count")")
    ratios+=("$(awk "BEGIN { print ${olds[-1]} / ${news[-1]} }")")
  done
  printf '| %s | %.1f | %.1f | %.2f |\n' "$position" "$(median "${olds[@]}")" \
    "$(median "${news[@]}")" "$(median "${ratios[@]}")"
done
