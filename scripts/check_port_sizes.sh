#!/usr/bin/env bash
# Prints code, read-only data, RAM and stack of each port's programs, and fails where one exceeds
# its budget in ports/budgets.json. The stack is the longest way through the calls
# (-fcallgraph-info=su); RAM is what the program has besides stack and arena.
#
# Usage: scripts/check_port_sizes.sh [--write] [PORT...]
#
# Reads build/ports (MOTE_PORTS_DIR), as scripts/build_ports.sh leaves it. Without ports, all of
# them, and also the bar of one_chip where size counts, which it builds into build/ports/small.
# --write makes the present figures, and 3 % more, the budgets.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/check_port_sizes.sh
  exit 0
fi
folder=${MOTE_PORTS_DIR:-build/ports}
mode=--check
if [[ ${1-} == --write ]]; then
  mode=--write
  shift
fi
ports=("$@")
if [ ${#ports[@]} -eq 0 ]; then
  for file in ports/*/port.cmake; do ports+=("$(basename "$(dirname "$file")")"); done
  if [ $mode = --check ]; then
    mode=--with-small
    while read -r port options; do
      MOTE_PORTS_DIR=$folder/small MOTE_PORTS_OPTIONS="-DMOTE_OPTIMIZE=${options// /;}" \
        scripts/build_ports.sh "$port" >/dev/null
    done < <(python3 scripts/check_port_sizes.py "$folder" --small-options)
  fi
fi
python3 scripts/check_port_sizes.py "$folder" "$mode" "${ports[@]}"
