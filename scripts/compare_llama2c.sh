#!/usr/bin/env bash
# Decode speed of mote against runq.c, the int8 program of llama2.c: the same weights, one thread.
#
# Usage: scripts/compare_llama2c.sh PATH_TO_LLAMA2C_CHECKOUT [MODEL_DIR]
#
# MODEL_DIR (default ../shared/models) holds stories260K.bin, babyllama-0.9M.bin,
# stories3.3M-q80.bin and their tokenizers. runq.c is compiled with gcc -O3 -march=native, into a
# temporary folder. MOTE names the program (default build/release/host/mote), PAIRS the number of
# alternating runs (default 7). A row "padded" fills hidden_dim with zeros to a multiple of 64, so
# that runq.c gets its favourite group of 64 where it would have a smaller one.
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

[[ $# -ge 1 && $# -le 2 && $1 != -* ]] || {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/compare_llama2c.sh >&2
  exit 2
}
llama2c=$(from_caller "$1")
models=../shared/models
[[ $# -lt 2 ]] || models=$(from_caller "$2")
mote=build/release/host/mote
[[ -z ${MOTE-} ]] || mote=$(from_caller "$MOTE")
pairs=${PAIRS:-7}
tokens=200

for path in "$llama2c/runq.c" "$models"; do
  [ -e "$path" ] || {
    echo "compare: skipped, $path is absent"
    exit 0
  }
done
[ -x "$mote" ] || fail "$mote is missing: build the preset release first"

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
gcc -O3 -march=native -o "$dir/runq" "$llama2c/runq.c" -lm

# median NUMBER...
median() {
  printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END {
    printf "%.6g\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# field NAME JSON
field() {
  sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" <<<"$2"
}

# compare LABEL VERSION2_FILE TOKENIZER: prints one row.
compare() {
  local runq_speeds=() mote_speeds=() ratios=() output json speed bytes
  "$mote" convert "$2" --tokenizer "$3" -o "$dir/model.mote" >"$dir/log" 2>&1 ||
    fail "$(cat "$dir/log")"
  for ((i = 0; i < pairs; ++i)); do
    output=$("$dir/runq" "$2" -z "$3" -t 0 -n $tokens -i "Once upon a time" 2>&1 >"$dir/text")
    runq_speeds+=("$(sed -n 's/^achieved tok\/s: //p' <<<"$output")")
    json=$("$mote" bench -m "$dir/model.mote" -p 0 -n $tokens -r 1 -o json)
    mote_speeds+=("$(field tokens_per_second "$json")")
    ratios+=("$(awk "BEGIN { print ${mote_speeds[-1]} / ${runq_speeds[-1]} }")")
  done
  bytes=$(field bytes_per_token "$json")
  speed=$(median "${mote_speeds[@]}")
  awk -v label="$1" -v runq="$(median "${runq_speeds[@]}")" -v mote="$speed" -v bytes="$bytes" \
    -v ratio="$(median "${ratios[@]}")" 'BEGIN {
      printf "| %s | %.0f | %.0f | %.2f | %d | %.2f |\n", label, runq, mote, ratio, bytes,
        mote * bytes * 1e-9 }'
}

# compare_fp32 NAME TOKENIZER [OPTION]: makes the version 2 file first.
compare_fp32() {
  local group
  group=$(scripts/llama2c_to_q80.py ${3:+"$3"} "$models/$1.bin" "$dir/model.bin")
  compare "$1${3:+, padded}, groups of $group" "$dir/model.bin" "$models/$2"
}

echo "| model | runq tokens/s | mote tokens/s | mote / runq | bytes/token | mote GB/s |"
echo "|---|---:|---:|---:|---:|---:|"
compare_fp32 stories260K tok512.bin
compare_fp32 stories260K tok512.bin --pad
compare_fp32 babyllama-0.9M tok105.bin
compare_fp32 babyllama-0.9M tok105.bin --pad
compare "stories3.3M, groups of 64" "$models/stories3.3M-q80.bin" "$models/tok4096.bin"
