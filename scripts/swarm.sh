#!/usr/bin/env bash
# Runs simulated clusters with faults, each drawn from a seed, and stops at the first that ends in
# a wrong token, in no answer or in an error without need. The night's run.
#
# Usage: scripts/swarm.sh [COUNT [FIRST]]
#
#   COUNT   runs; 10000 by default
#   FIRST   seed of the first; by default the day's number times a million
#
# MOTE names the program; build/release/host/mote by default.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/swarm.sh
  exit 0
fi
count=${1:-10000}
first=${2:-$(($(date +%s) / 86400 * 1000000))}
mote=${MOTE:-build/release/host/mote}
for number in "$count" "$first"; do
  [[ $number =~ ^[0-9]+$ ]] || {
    echo "swarm: $number is no whole number" >&2
    exit 1
  }
done
[ -x "$mote" ] || {
  echo "swarm: $mote is not built (cmake --preset release && cmake --build --preset release)" >&2
  exit 1
}
echo "swarm: $count runs from seed $first"
exec "$mote" simulate --swarm "$count" --seed "$first"
