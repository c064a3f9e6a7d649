#!/usr/bin/env bash
# Assembles a package from the one list of sources, src/sources.cmake, in the layout that its
# ecosystem asks for.
#
# Usage: scripts/package_library.sh arduino|platformio|esp_idf OUT
#
#   arduino     OUT is a library for the folder `libraries`, or zipped for "Add .ZIP library"
#   platformio  OUT is a library for lib_deps, or for `pio pkg publish`
#   esp_idf     OUT is a component for a project's folder `components`, or for
#               `compote component upload`; its last folder must be called mote
#
# All have the kernels of every processor. ESP-IDF's build chooses; Arduino and PlatformIO compile
# every source, so that those of some processors alone are empty for others
# (ports/ecosystem/kernels_of_target.hpp).
#
# OUT must not exist, or be empty. MOTE_BYTE_LEVEL=ON in the environment makes a package for Arduino
# or PlatformIO with byte-level tokenizers (docs/FIRMWARE.md).
set -euo pipefail

fail() {
  echo "package_library: $1" >&2
  exit 1
}

[ $# -eq 2 ] || fail "usage: scripts/package_library.sh arduino|platformio|esp_idf OUT"
kind=$1
mkdir -p "$2" 2>/dev/null || fail "$2 cannot be made"
out=$(cd "$2" && pwd)
[ -z "$(ls -A "$out")" ] || fail "$2 is not empty"
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sets=(portable armv6m armv7em mve rv32)

# The device library's sources with the kernels $1, relative to src/, as CMake reads the list.
list_sources() {
  local script=$work/list.cmake
  cat >"$script" <<END
set(MOTE_BYTE_LEVEL ${MOTE_BYTE_LEVEL:-OFF})
set(MOTE_KERNELS $1)
include("$PWD/src/sources.cmake")
set(sources \${MOTE_SOURCES} \${MOTE_FIRMWARE_SOURCES})
if("$kind" STREQUAL "esp_idf") # its own build chooses
  list(APPEND sources \${MOTE_BYTE_LEVEL_SOURCES} \${MOTE_NO_BYTE_LEVEL_SOURCES})
  list(REMOVE_DUPLICATES sources)
endif()
foreach(source \${sources})
  message("\${source}")
endforeach()
END
  cmake -P "$script" 2>&1
}

copy() {
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2"
}

# copy_kernels SOURCE TARGET SET...: a source that only those sets have, empty for others.
copy_kernels() {
  local source=$1 target=$2 condition
  shift 2
  condition=$(printf ' || defined(MOTE_KERNELS_%s)' "${@^^}")
  mkdir -p "$(dirname "$target")"
  {
    printf '#include "ecosystem/kernels_of_target.hpp"\n#if%s\n' "${condition#' ||'}"
    cat "$source"
    printf '#endif\n'
  } >"$target"
}

# Sources and the headers beside them into $1.
copy_library() {
  local sources source header set
  local -A sets_of=()
  for set in "${sets[@]}"; do
    sources=$(list_sources "$set") || fail "src/sources.cmake could not be read: $sources"
    [ -n "$sources" ] || fail "src/sources.cmake names nothing"
    for source in $sources; do sets_of[$source]+="$set "; done
  done
  for source in "${!sets_of[@]}"; do
    # shellcheck disable=SC2086  # words
    if [ "$kind" = esp_idf ] || [ "${sets_of[$source]}" = "${sets[*]} " ]; then
      copy "src/$source" "$1/$source"
    else
      copy_kernels "src/$source" "$1/$source" ${sets_of[$source]}
    fi
  done
  for header in $(cd src && find . -name '*.hpp'); do
    copy "src/$header" "$1/$header"
  done
  for header in ports/ecosystem/*.hpp; do
    copy "$header" "$1/ecosystem/$(basename "$header")"
  done
}

# Arduino and PlatformIO have one folder for sources and headers.
copy_arduino() {
  copy_library "$out/src"
  cp -r include/mote "$out/src/mote"
  cp ports/arduino/src/* "$out/src/"
  cp -r ports/arduino/examples ports/arduino/extras "$out/"
  cp LICENSE "$out/"
}

case $kind in
arduino)
  copy_arduino
  cp ports/arduino/{library.properties,keywords.txt,README.md} "$out/"
  ;;
platformio)
  copy_arduino
  cp ports/platformio/{library.json,README.md} "$out/"
  for example in "$out"/examples/*/; do
    cp ports/platformio/platformio.ini "$example"
  done
  ;;
esp_idf)
  [ "$(basename "$out")" = mote ] || fail "the folder of the component must be called mote"
  copy_library "$out/src"
  cp src/sources.cmake "$out/src/"
  cp -r include "$out/include"
  cp -r ports/esp_idf/mote/. "$out/"
  cp LICENSE "$out/"
  ;;
*) fail "unknown package $kind: arduino, platformio or esp_idf" ;;
esac
echo "package_library: $kind in $out, $(find "$out" -type f | wc -l) files"
