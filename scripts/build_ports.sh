#!/usr/bin/env bash
# Builds the firmware of emulated boards into build/ports/PORT/{one_chip,cluster_node}.elf, and puts
# ports/boards.json beside them, which says how to run each.
#
# Usage: scripts/build_ports.sh [PORT...]
#
# Without arguments all ports. MOTE_PORTS_DIR is where to build instead of build/ports;
# MOTE_PORTS_OPTIONS are further options for cmake, such as -DMOTE_OPTIMIZE=-Os.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "build_ports: $1" >&2
  exit 1
}

if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/build_ports.sh
  exit 0
fi

folder=${MOTE_PORTS_DIR:-build/ports}
known=()
for file in ports/*/port.cmake; do known+=("$(basename "$(dirname "$file")")"); done
ports=("$@")
[ ${#ports[@]} -gt 0 ] || ports=("${known[@]}")
for port in "${ports[@]}"; do
  [ -f "ports/$port/port.cmake" ] || fail "no port $port; there are: ${known[*]}"
done

# What rp2040js runs goes where it is run, so that the sources stay clean.
install_rp2040js() {
  local target=$folder/rp2040
  cp ports/rp2040/*.mjs "$target"
  if ! command -v npm >/dev/null; then
    echo "build_ports: rp2040 is built, but cannot run here: node and npm are not installed" >&2
    return
  fi
  cmp -s ports/rp2040/package-lock.json "$target/package-lock.json" &&
    [ -d "$target/node_modules/rp2040js" ] && return
  cp ports/rp2040/package.json ports/rp2040/package-lock.json "$target"
  if ! (cd "$target" && npm ci --ignore-scripts --no-audit --no-fund) >"$target/npm.log" 2>&1; then
    rm -f "$target/package-lock.json"
    cat "$target/npm.log" >&2
    fail "rp2040js could not be installed (npm ci in $target)"
  fi
}

build_port() {
  local port=$1 log=$folder/$1.log
  # shellcheck disable=SC2086
  if { cmake -S ports -B "$folder/$port" -G Ninja -DMOTE_PORT="$port" ${MOTE_PORTS_OPTIONS:-} &&
    cmake --build "$folder/$port" -- -j 1; } >"$log" 2>&1; then
    return
  fi
  grep -E 'error|Error|undefined|FAILED|not found' "$log" | cut -c 1-300 | head -n 20 >&2 || true
  fail "$port could not be built (compilers: scripts/install.sh); all of it: $log"
}

# Two ports at a time, each with one job.
mkdir -p "$folder"
running=0
status=0
for port in "${ports[@]}"; do
  if [ $running -ge 2 ]; then
    wait -n || status=1
    running=$((running - 1))
  fi
  build_port "$port" &
  running=$((running + 1))
done
while [ $running -gt 0 ]; do
  wait -n || status=1
  running=$((running - 1))
done
[ $status -eq 0 ] || exit 1
for port in "${ports[@]}"; do [ "$port" != rp2040 ] || install_rp2040js; done
cp ports/boards.json "$folder"
echo "build_ports: ${#ports[@]} built in $folder: ${ports[*]}"
