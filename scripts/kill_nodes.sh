#!/usr/bin/env bash
# Kills one of four TCP nodes with SIGKILL at a random moment of an answer, again and again, and
# compares each answer with that of one chip. The node is started anew before the next answer.
#
# Usage: scripts/kill_nodes.sh [COUNT [MODEL]]
#
# COUNT answers (100 if not given) are struck in the middle; those that were over before the signal
# came are not counted. MODEL is an image (.mote); without it stories260K of ../shared/models is
# converted. MOTE names the program (build/release/host/mote), SEED the series of random moments.
set -euo pipefail
cd_from=$PWD
cd "$(dirname "$0")/.."

fail() {
  echo "kill_nodes: $1" >&2
  exit 1
}

case ${1-} in
-h | --help)
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/kill_nodes.sh
  exit 0
  ;;
esac
count=${1-100}
[[ $count =~ ^[1-9][0-9]*$ ]] || fail "COUNT is a whole number from 1 up"
mote=${MOTE-build/release/host/mote}
[ -x "$mote" ] || fail "$mote is not built (cmake --build --preset release)"
RANDOM=${SEED-1}

folder=$(mktemp -d)
pids=()
trap 'kill -9 "${pids[@]}" 2>/dev/null || true; rm -rf "$folder"' EXIT

model=${2-}
if [ -n "$model" ]; then
  [[ $model = /* ]] || model=$cd_from/$model
else
  model=$folder/model.mote
  [ -f ../shared/models/stories260K.bin ] || fail "no model at hand; name one"
  "$mote" convert ../shared/models/stories260K.bin \
    --tokenizer ../shared/models/tok512.bin -o "$model" --quiet
fi

# start_node INDEX ADDRESS: a node, once it listens; its address goes to addresses[INDEX].
addresses=()
start_node() {
  local log=$folder/node$1
  : >"$log"
  "$mote" node -m "$model" --listen "$2" --quiet >"$log" 2>&1 &
  pids[$1]=$!
  disown
  for _ in $(seq 200); do
    if addresses[$1]=$(sed -n 's/^listening on //p' "$log") && [ -n "${addresses[$1]}" ]; then
      return
    fi
    sleep 0.02
  done
  fail "a node does not start: $(cat "$log")"
}
for i in 0 1 2 3; do start_node "$i" tcp://127.0.0.1:0; done
nodes=$(IFS=,; echo "${addresses[*]}")

ask=("$mote" run -m "$model" -p "Once upon a time" -n 200 --temp 0.9 --seed 11)
"${ask[@]}" >"$folder/expected" 2>"$folder/errors" || fail "$(cat "$folder/errors")"
begin=$(date +%s%N)
"${ask[@]}" --nodes "$nodes" >"$folder/undisturbed" 2>"$folder/errors" ||
  fail "$(cat "$folder/errors")"
duration_ms=$((($(date +%s%N) - begin) / 1000000 + 1))
cmp "$folder/expected" "$folder/undisturbed" || fail "undisturbed nodes say something else"

struck=0
runs=0
longest_ms=0
while [ $struck -lt "$count" ]; do
  runs=$((runs + 1))
  [ $runs -le $((3 * count + 10)) ] || fail "most answers are over before the signal comes"
  victim=$((RANDOM % 4))
  delay_us=$((RANDOM * 32768 + RANDOM))
  delay_us=$((delay_us % (duration_ms * 1000)))
  begin=$(date +%s%N)
  "${ask[@]}" --nodes "$nodes" >"$folder/answer" 2>"$folder/errors" &
  run=$!
  sleep "$(printf '%d.%06d' $((delay_us / 1000000)) $((delay_us % 1000000)))"
  kill -9 "${pids[$victim]}"
  wait "$run" || fail "run $runs, node $((victim + 1)): $(cat "$folder/errors")"
  took_ms=$((($(date +%s%N) - begin) / 1000000))
  cmp "$folder/expected" "$folder/answer" ||
    fail "run $runs: another text after node $((victim + 1)) died at $delay_us us"
  if grep -q 'going on with [0-9]' "$folder/errors"; then
    struck=$((struck + 1))
    [ $took_ms -le $longest_ms ] || longest_ms=$took_ms
  fi
  start_node "$victim" "${addresses[$victim]}"
done
echo "kill_nodes: $struck answers struck in the middle, all exact ($runs runs;" \
  "undisturbed $duration_ms ms, the longest struck one $longest_ms ms)"
