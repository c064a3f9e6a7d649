#!/usr/bin/env bash
# Fails when the firmware of a port holds what it may not: heap, exceptions, RTTI, the unwinder,
# stdio or floating point in software. Refuses files that are missing or are no program of ours.
#
# Usage: scripts/check_port_symbols.sh [PORT...]
#
# Reads build/ports (MOTE_PORTS_DIR), as scripts/build_ports.sh leaves it; without arguments all.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "port_symbols: $1" >&2
  exit 1
}

if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/check_port_symbols.sh
  exit 0
fi
folder=${MOTE_PORTS_DIR:-build/ports}
ports=("$@")
if [ ${#ports[@]} -eq 0 ]; then
  for file in ports/*/port.cmake; do ports+=("$(basename "$(dirname "$file")")"); done
fi

# The value of a variable that a port's or a toolchain's file sets.
value_of() {
  sed -n "s/^set($1 \(.*\))\$/\1/p" "$2"
}

forbidden='operator (new|delete)|__cxa_|_Unwind_|__gxx_personality|__dynamic_cast'
forbidden+='|typeinfo (for|name)|std::__throw|std::terminate|guard variable for|_GLOBAL__sub_I_'
forbidden+='|__aeabi_(unwind|atexit|[fd]|u?[il]2[fd]|c[fd])'
forbidden+='|^(malloc|calloc|realloc|free|_?sbrk|atexit|abort|exit|v?[sfd]?n?i?printf|puts|fputs'
forbidden+='|putchar|fwrite|fread|fopen|write|read|__std(in|out|err)|std(in|out|err)'
forbidden+='|__(add|sub|mul|div|neg|fix|fixuns|float|floatun|extend|trunc|gt|lt|ge|le|eq|ne|cmp'
forbidden+='|unord|powi)[a-z]*[sdtx][fc][a-z0-9]*)$'

checked=0
for port in "${ports[@]}"; do
  [ -f "ports/$port/port.cmake" ] || fail "no port $port in ports/"
  toolchain=ports/toolchains/$(value_of MOTE_PORT_TOOLCHAIN "ports/$port/port.cmake").cmake
  nm=$(value_of MOTE_TOOL_PREFIX "$toolchain")nm
  command -v "$nm" >/dev/null || fail "$nm is not installed (scripts/install.sh)"
  for program in $(value_of MOTE_PORT_PROGRAMS "ports/$port/port.cmake"); do
    file=$folder/$port/$program.elf
    [ -s "$file" ] || fail "$file is missing or empty (scripts/build_ports.sh $port)"
    names=$("$nm" --demangle "$file" | sed 's/^[0-9a-f ]*[A-Za-z] //') ||
      fail "$nm cannot read $file"
    # Without these a stripped or wrong file would pass.
    for needed in 'mote_main$' 'mote_start$' 'mote::.*::decode\('; do
      grep -qE "$needed" <<<"$names" || fail "$file has no symbol $needed: is it $program?"
    done
    if found=$(grep -E "$forbidden" <<<"$names"); then
      printf '%s\n' "$found" >&2
      fail "$file holds what firmware may not; its map is $file.map"
    fi
    checked=$((checked + 1))
  done
done
echo "port_symbols: $checked programs of ${#ports[@]} ports are clean"
