#!/usr/bin/env bash
# Prints how much faster several simulated chips are than one, as README.md has it: 160 MHz, 3.3
# cycles a multiply-accumulate, a ring of SPI links at 5 MB/s with 50 us a message, int8. Times are
# computed from these figures; the chips run the real code, and their tokens are compared with those
# of one chip.
#
# Usage: scripts/cluster_speed.sh [MODEL.mote...]
#
# Without arguments two models with random weights: 3.1 M parameters (192 lanes, 6 layers,
# vocabulary 4,096) and 15 M (288 lanes, 6 layers, vocabulary 32,000). Needs the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
mote=build/release/host/mote
[ -x "$mote" ] || {
  echo "cluster_speed: build first: cmake --preset release && cmake --build --preset release" >&2
  exit 1
}

# One row: name, then the options that say the model.
print_row() {
  local name=$1 chips
  shift
  printf '| %s |' "$name"
  for chips in 2 4 8; do
    "$mote" simulate "$@" --chips "$chips" -n 16 --json 2>/dev/null |
      python3 -c 'import json, sys
run = json.load(sys.stdin)
assert run["identical"], "the tokens differ from those of one chip"
payload = run["cluster"]["mean_link_payload_bytes_per_token"]
print(" %.2f, %d bytes |" % (run["speedup"], payload), end="")'
  done
  echo
}

echo '| model | 2 chips | 4 chips | 8 chips |'
echo '|---|---|---|---|'
if [ $# -eq 0 ]; then
  print_row '3.1 M parameters' --shape 192,512,6,6,2,4096
  print_row '15 M parameters' --shape 288,768,6,6,6,32000
else
  for model in "$@"; do print_row "$(basename "$model" .mote)" -m "$model"; done
fi
