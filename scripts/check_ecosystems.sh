#!/usr/bin/env bash
# Compiles the sources of the ESP-IDF, Arduino, Zephyr and pico-sdk ports against small headers of
# our own (ports/stubs), for the processors that these run on. It shows that the ports fit Mote and
# the signatures that the stubs repeat; scripts/check_esp_idf.sh checks the real ones of ESP-IDF.
#
# Usage: scripts/check_ecosystems.sh [esp_idf|arduino|zephyr|pico_sdk...]     (default: all)
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "check_ecosystems: $1" >&2
  exit 1
}

libstdcxx=/usr/include/newlib/c++/12.2.1
# shellcheck disable=SC2034  # used by its name
riscv=(riscv64-unknown-elf-g++ -march=rv32imc -mabi=ilp32 --specs=picolibc.specs)
xtensa=(xtensa-lx106-elf-g++ -mlongcalls)
cortex_m0=(arm-none-eabi-g++ -mcpu=cortex-m0plus -mthumb --specs=picolibc.specs)
cortex_m3=(arm-none-eabi-g++ -mcpu=cortex-m3 -mthumb --specs=picolibc.specs)
warnings=(-Wall -Wextra -Wconversion -Werror)
count=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# compile NAME COMPILER... -- FLAGS... SOURCE: to an object, so that code is made.
compile() {
  local source=${*: -1}
  [ -s "$source" ] || fail "$source is missing"
  "$@" -std=gnu++20 -Os -ffreestanding -fno-exceptions -fno-rtti \
    "${warnings[@]}" -Iinclude -Isrc -Iports -nostdinc++ -isystem $libstdcxx \
    -isystem $libstdcxx/arm-none-eabi -c -o "$work/object.o" ||
    fail "$source does not compile (${*:1:2})"
  # A guard of a variable that is made at its first use needs a C++ runtime.
  ! "${1%g++}nm" "$work/object.o" | grep -q __cxa_guard || fail "$source has a guarded variable"
  count=$((count + 1))
}

check_esp_idf() {
  local port=ports/esp_idf/mote name cores source first second
  local flags=(-isystem ports/stubs/esp_idf -Iports/stubs/esp_idf_config "-I$port"
    "-I$port/include" '-DCONFIG_IDF_TARGET="stub"' -DESP_PLATFORM)
  for name in riscv xtensa; do
    local -n compiler=$name
    cores=1
    [ $name = riscv ] || cores=2
    local all=("${compiler[@]}" "${flags[@]}" "-DCONFIG_FREERTOS_NUMBER_OF_CORES=$cores")
    for source in "$port"/*.cpp "$port"/examples/*/main/main.cpp; do
      [ "$source" = "$port/links_wired.cpp" ] || compile "${all[@]}" "$source"
    done
    while read -r first second; do
      compile "${all[@]}" "-DCONFIG_MOTE_LINK_$first=1" "-DCONFIG_MOTE_LINK_$second=1" \
        "$port/links_wired.cpp"
    done <<<$'0_UART 1_UART\n0_SPI_MASTER 1_SPI_SLAVE\n0_SPI_SLAVE 1_SPI_MASTER\n0_UART 1_NONE'
    compile "${all[@]}" -DCONFIG_MOTE_TOPOLOGY_BROADCAST=1 "$port/seat.cpp"
    compile "${all[@]}" -DCONFIG_MOTE_ARENA_PSRAM=1 "$port/board.cpp"
  done
}

# A sketch is C++ that begins with Arduino.h.
check_arduino() {
  local port=ports/arduino source
  local flags=(-isystem ports/stubs/arduino -isystem ports/stubs/esp_idf
    -Iports/stubs/esp_idf_config "-I$port/src")
  for source in "$port"/src/*.cpp; do
    compile "${cortex_m0[@]}" "${flags[@]}" "$source"
    compile "${xtensa[@]}" "${flags[@]}" -DESP32 -DCONFIG_FREERTOS_NUMBER_OF_CORES=2 "$source"
  done
  for source in "$port"/examples/*/*.ino; do
    compile "${cortex_m0[@]}" "${flags[@]}" -include Arduino.h -x c++ "$source"
    compile "${xtensa[@]}" "${flags[@]}" -DESP32 -include Arduino.h -x c++ "$source"
  done
}

check_zephyr() {
  local port=ports/zephyr source name
  for name in cortex_m3 riscv; do
    local -n compiler=$name
    local all=("${compiler[@]}" -isystem ports/stubs/zephyr -include autoconf.h "-I$port"
      "-I$port/include")
    for source in "$port"/*.cpp "$port"/samples/*/src/main.cpp; do
      compile "${all[@]}" "$source"
    done
    compile "${all[@]}" -DCONFIG_TIMING_FUNCTIONS=1 -DCONFIG_MOTE_IMAGE_EMBEDDED=1 "$port/board.cpp"
  done
  compile "${cortex_m3[@]}" "-DMOTE_IMAGE_FILE=\"$port/image.S\"" "$port/image.S"
}

check_pico_sdk() {
  local port=ports/pico_sdk source
  local all=("${cortex_m0[@]}" -isystem ports/stubs/pico_sdk "-I$port" "-I$port/include")
  for source in "$port"/*.cpp "$port"/examples/*.cpp; do
    compile "${all[@]}" "$source"
  done
}

all=("$@")
[ ${#all[@]} -gt 0 ] || all=(esp_idf arduino zephyr pico_sdk)
for ecosystem in "${all[@]}"; do
  case $ecosystem in
  esp_idf | arduino | zephyr | pico_sdk) ;;
  *) fail "usage: scripts/check_ecosystems.sh [esp_idf|arduino|zephyr|pico_sdk...]" ;;
  esac
  count=0
  "check_$ecosystem"
  [ "$count" -gt 0 ] || fail "$ecosystem: nothing was compiled"
  echo "check_ecosystems: $ecosystem, $count objects"
done
