#!/usr/bin/env bash
# Speed of mote against llama.cpp and llama2.c: the same models in each one's format, the same
# number of threads, by turns.
#
# Usage: scripts/compare_llama_cpp.sh LLAMA_CPP_BUILD [LLAMA2C_BUILD] [MODEL_DIR]
#
# LLAMA_CPP_BUILD has bin/llama-bench; LLAMA2C_BUILD has the program `run`, which is best compiled
# with -O3 -march=native -ffast-math. MODEL_DIR (default ../shared/models) holds
# stories260K-Q8_0.gguf, stories260K.bin and tok512.bin; the other models have made-up weights,
# which cost the same time. MOTE names the program (default build/release/host/mote), MAKE_GGUF the
# one that makes models (default build/release/tests/make_gguf), PAIRS the number of runs of each
# (default 5), THREADS their threads (default 1). CLOCK=process counts processor time instead of
# time, of 8 runs less the start, where others use the machine; it says nothing about threads.
#
# Each row is a test: tg, 128 tokens generated; pp, a prompt of 128 tokens. The ratio is the median
# of the ratios of neighbouring runs. The last rows compare two threads with one, and decoding with
# what as many threads read from the same memory.
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

[[ $# -ge 1 && $# -le 3 && $1 != -* ]] || {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/compare_llama_cpp.sh >&2
  exit 2
}
llama_bench=$(from_caller "$1")/bin/llama-bench
llama2c=
[[ $# -lt 2 ]] || llama2c=$(from_caller "$2")/run
models=../shared/models
[[ $# -lt 3 ]] || models=$(from_caller "$3")
mote=build/release/host/mote
[[ -z ${MOTE-} ]] || mote=$(from_caller "$MOTE")
make_gguf=build/release/tests/make_gguf
[[ -z ${MAKE_GGUF-} ]] || make_gguf=$(from_caller "$MAKE_GGUF")
pairs=${PAIRS:-5}
threads=${THREADS:-1}
clock=${CLOCK:-wall}

[ -x "$llama_bench" ] || {
  echo "compare: skipped, $llama_bench is absent"
  exit 0
}
for program in "$mote" "$make_gguf"; do
  [ -x "$program" ] || fail "$program is missing: build the preset release first"
done

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# median NUMBER...
median() {
  printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END {
    printf "%.6g\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# field NAME JSON: the first field of that name
field() {
  sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" <<<"$2" | head -n 1
}

# process_seconds COMMAND...: processor time of a command
process_seconds() {
  local TIMEFORMAT='%U %S'
  { time "$@" >/dev/null 2>"$dir/log"; } 2>&1 | awk '{ print $1 + $2 }'
}

# process_rate LESS MORE TOKENS COMMAND...: tokens per second of processor time; TOKENS is by how
# many more are run by the command with the arguments MORE than with LESS.
process_rate() {
  local less more
  less=$(process_seconds "${@:4}" $1)
  more=$(process_seconds "${@:4}" $2)
  awk "BEGIN { print $3 / ($more - $less) }"
}

# mote_rate IMAGE TEST THREADS: tokens per second
mote_rate() {
  local options=(-p 0 -n 128)
  [ "$2" = tg ] || options=(-p 128 -n 0)
  if [ "$clock" = process ] && [ "$3" -eq 1 ]; then
    process_rate "-r 1" "-r 9" 1024 "$mote" bench -m "$1" "${options[@]}" -b 64
    return
  fi
  field tokens_per_second \
    "$("$mote" bench -m "$1" "${options[@]}" -b 64 -r 3 --threads "$3" -o json)"
}

# llama_rate GGUF TEST
llama_rate() {
  local options=(-p 0 -n 128)
  [ "$2" = tg ] || options=(-p 128 -n 0)
  if [ "$clock" = process ] && [ "$threads" -eq 1 ]; then
    process_rate "-r 1" "-r 9" 1024 "$llama_bench" -m "$1" "${options[@]}" -t 1
    return
  fi
  field avg_ts "$("$llama_bench" -m "$1" "${options[@]}" -r 3 -t "$threads" -o json 2>"$dir/log")"
}

llama2c_rate() {
  local options=(-z "$models/tok512.bin" -t 1.0 -s 7 -i "Once upon a time")
  if [ "$clock" = process ]; then
    process_rate "-n 50" "-n 450" 400 "$llama2c" "$models/stories260K.bin" "${options[@]}"
    return
  fi
  "$llama2c" "$models/stories260K.bin" -z "$models/tok512.bin" -t 0 -n 200 \
    -i "Once upon a time" 2>&1 >"$dir/text" | sed -n 's/^achieved tok\/s: //p'
}

# row LABEL BAR PEER_COMMAND MOTE_COMMAND: runs both by turns, prints one row.
row() {
  local peer=() ours=() ratios=()
  for ((i = 0; i < pairs; ++i)); do
    peer+=("$($3)")
    ours+=("$($4)")
    [ -n "${peer[-1]}" ] || fail "$1: the peer gave no figure ($(tail -n 1 "$dir/log"))"
    [ -n "${ours[-1]}" ] || fail "$1: mote gave no figure"
    ratios+=("$(awk "BEGIN { print ${ours[-1]} / ${peer[-1]} }")")
  done
  awk -v label="$1" -v bar="$2" -v peer="$(median "${peer[@]}")" \
    -v ours="$(median "${ours[@]}")" -v ratio="$(median "${ratios[@]}")" \
    'BEGIN { printf "| %s | %.0f | %.0f | %.2f | %s |\n", label, peer, ours, ratio, bar }'
}

# make_pair NAME TYPE WEIGHTS SHAPE...: a GGUF file of made-up weights, and its image.
make_pair() {
  [ -e "$dir/$1-$2.gguf" ] || "$make_gguf" "$dir/$1-$2.gguf" "$2" "${@:4}" >"$dir/log" 2>&1 ||
    fail "$(cat "$dir/log")"
  "$mote" convert "$dir/$1-$2.gguf" --weights "$3" -q -o "$dir/$1-$3.mote" >"$dir/log" 2>&1 ||
    fail "$(cat "$dir/log")"
}

echo "| test | peer tokens/s | mote tokens/s | mote / peer | bar |"
echo "|---|---:|---:|---:|---:|"

if [ -e "$models/stories260K-Q8_0.gguf" ]; then
  "$mote" convert "$models/stories260K.bin" --tokenizer "$models/tok512.bin" -q \
    -o "$dir/stories260K.mote" >"$dir/log" 2>&1 || fail "$(cat "$dir/log")"
  row "stories260K tg, int8 to Q8_0" 8 \
    "llama_rate $models/stories260K-Q8_0.gguf tg" "mote_rate $dir/stories260K.mote tg $threads"
  row "stories260K pp, int8 to Q8_0" - \
    "llama_rate $models/stories260K-Q8_0.gguf pp" "mote_rate $dir/stories260K.mote pp $threads"
  if [ -x "$llama2c" ]; then
    row "stories260K tg, int8 to llama2.c fp32" 2 llama2c_rate \
      "mote_rate $dir/stories260K.mote tg $threads"
  else
    echo "compare: skipped llama2.c, ${llama2c:-its folder} is absent" >&2
  fi
else
  echo "compare: skipped stories260K, $models/stories260K-Q8_0.gguf is absent" >&2
fi

# compare_shape NAME TG_BAR PP_BAR INT4_BAR SHAPE...
compare_shape() {
  make_pair "$1" Q8_0 int8 "${@:5}"
  row "$1 tg, int8 to Q8_0" "$2" "llama_rate $dir/$1-Q8_0.gguf tg" \
    "mote_rate $dir/$1-int8.mote tg $threads"
  row "$1 pp, int8 to Q8_0" "$3" "llama_rate $dir/$1-Q8_0.gguf pp" \
    "mote_rate $dir/$1-int8.mote pp $threads"
  [ "$4" = - ] || {
    make_pair "$1" Q4_0 int4 "${@:5}"
    row "$1 tg, int4 to Q4_0" "$4" "llama_rate $dir/$1-Q4_0.gguf tg" \
      "mote_rate $dir/$1-int4.mote tg $threads"
    rm -f "$dir/$1-Q4_0.gguf" "$dir/$1-int4.mote"
  }
  rm -f "$dir/$1-Q8_0.gguf"
}

compare_shape babyllama 5 1.0 - 128 352 5 8 4 105 256
compare_shape 15M 1.4 1.0 1.1 288 768 6 6 6 32000 1024
compare_shape 42M 1.15 - 1.1 512 1376 8 8 8 32000 1024
compare_shape 110M 1.15 - 1.1 768 2048 12 12 12 32000 1024

[ "$clock" != process ] || exit 0
# thread_rate IMAGE THREADS: longer runs, in which it does not matter when threads begin.
thread_rate() {
  field tokens_per_second "$("$mote" bench -m "$1" -p 0 -n 128 -r 12 --threads "$2" -o json)"
}
for name in 15M 42M 110M; do
  row "$name tg, two threads to one" 1.8 "thread_rate $dir/$name-int8.mote 1" \
    "thread_rate $dir/$name-int8.mote 2"
done

# read_rate THREADS: what threads read of an image's bytes where they lie, as tokens a second; by
# turns with decoding, whose rate `read_tokens` gives afterwards.
read_rate() {
  "$mote" bench -m "$dir/110M-int8.mote" -p 0 -n 32 -r 10 --read-bandwidth --threads "$1" \
    -o json >"$dir/read.json"
  field read_tokens_per_second "$(<"$dir/read.json")"
}
read_tokens() { field tokens_per_second "$(<"$dir/read.json")"; }
row "110M tg, int8 to plain reading of its weights" 0.9 "read_rate 1" read_tokens
row "110M, two threads to two threads' plain reading" - "read_rate 2" read_tokens
row "110M, plain reading of two threads to one's" - "read_rate 1" "read_rate 2"
