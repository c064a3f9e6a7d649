#!/usr/bin/env bash
# Checks the sources of the ESP-IDF port against the real headers of a copy of ESP-IDF (5.5 or
# later; submodules are not needed): names, types and signatures, for every kind of console and
# link. It does not build: that needs Espressif's toolchain and `idf.py build`.
#
# Usage: scripts/check_esp_idf.sh PATH [CHIP...]      (default: esp32c3 esp32c6 esp32 esp32s3)
set -euo pipefail

fail() {
  echo "check_esp_idf: $1" >&2
  exit 1
}

[ $# -ge 1 ] || fail "usage: scripts/check_esp_idf.sh PATH [CHIP...], PATH a copy of ESP-IDF"
idf=$(cd "$1" 2>/dev/null && pwd) || fail "$1 is no folder"
shift
cd "$(dirname "$0")/.."
components=$idf/components
[ -f "$components/esp_system/include/esp_system.h" ] || fail "$idf is no copy of ESP-IDF"
chips=("$@")
[ ${#chips[@]} -gt 0 ] || chips=(esp32c3 esp32c6 esp32 esp32s3)

libstdcxx=/usr/include/newlib/c++/12.2.1
port=ports/esp_idf/mote
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The compiler and the configuration of a chip, in `compiler` and `config`.
choose_chip() {
  local chip=$1 cores=1
  [ -d "$components/soc/$chip" ] || fail "this ESP-IDF knows no $chip"
  config=("-DCONFIG_IDF_TARGET=\"$chip\"" "-DCONFIG_IDF_TARGET_${chip^^}=1" -DESP_PLATFORM
    '-DIDF_VER="x"' -Iports/stubs/esp_idf_config)
  case $chip in
  esp32 | esp32s2 | esp32s3)
    architecture=xtensa
    compiler=(xtensa-lx106-elf-g++ -mabi=windowed -isystem "$components/xtensa/$chip/include")
    ;;
  *)
    architecture=riscv
    compiler=(riscv64-unknown-elf-g++ -march=rv32imc -misa-spec=2.2 -mabi=ilp32
      --specs=picolibc.specs)
    config+=(-DCONFIG_FREERTOS_TICK_SUPPORT_SYSTIMER=1 -DCONFIG_FREERTOS_SYSTICK_USES_SYSTIMER=1)
    ;;
  esac
  command -v "${compiler[0]}" >/dev/null || fail "${compiler[0]} is not installed"
  case $chip in esp32 | esp32s3 | esp32p4) cores=2 ;; esac
  [ "$cores" = 2 ] || config+=(-DCONFIG_FREERTOS_UNICORE=1 -DCONFIG_ESP_SYSTEM_SINGLE_CORE_MODE=1)
  config+=("-DCONFIG_IDF_TARGET_ARCH_${architecture^^}=1" "-DCONFIG_FREERTOS_NUMBER_OF_CORES=$cores"
    "-DCONFIG_SOC_CPU_CORES_NUM=$cores" "-DCONFIG_IDF_TARGET_ARCH=\"$architecture\"")
}

# All folders of headers that ESP-IDF's build would name, and some more.
find_includes() {
  local chip=$1 c=$components folder
  includes=()
  for folder in "$c"/*/include "$c"/*/"$chip"/include "$c"/*/include/"$chip" \
    "$c"/*/platform_include "$c"/freertos/{FreeRTOS-Kernel,config,esp_additions}/include \
    "$c"/freertos/{config,esp_additions}/include/freertos \
    "$c/freertos/FreeRTOS-Kernel/portable/$architecture/include" \
    "$c/freertos/FreeRTOS-Kernel/portable/$architecture/include/freertos" \
    "$c/freertos/config/$architecture/include" \
    "$c/soc/$chip" "$c/soc/$chip/register" "$c/soc/$chip/register/hw_ver1" \
    "$c/hal/platform_port/include" \
    "$c"/esp_hw_support/*/include "$c/esp_hw_support/include/soc" \
    "$c/esp_hw_support/include/soc/$chip" "$c"/riscv/*/include "$c/esp_rom/$chip" \
    "$c/esp_rom/$chip/include" "$c/esp_rom/$chip/include/$chip" "$c"/esp_wifi/*/include \
    "$c"/esp_event/*/include; do
    # The component `linux` stands in for a C library on a PC.
    if [ -d "$folder" ] && [[ $folder != "$c"/linux/* ]]; then includes+=(-isystem "$folder"); fi
  done
}

check_source() {
  "${compiler[@]}" -std=gnu++20 -fsyntax-only -Wall -Wextra -Werror -fno-exceptions -fno-rtti \
    "${config[@]}" -Iinclude -Isrc -Iports -I"$port" -I"$port/include" "${includes[@]}" \
    -nostdinc++ -isystem $libstdcxx -isystem $libstdcxx/arm-none-eabi "$@"
}

check_chip() {
  local chip=$1 source variant count=0
  choose_chip "$chip"
  find_includes "$chip"
  # Without this a check that sees no headers at all would pass.
  cat >"$work/missing.cpp" <<<'#include "driver/uart.h"
    int install() { return uart_driver_install(UART_NUM_1, 1, 1, 0); }'
  ! check_source "$work/missing.cpp" 2>"$work/log" || fail "$chip: a missing argument went unseen"
  grep -q 'uart_driver_install' "$work/log" || fail "$chip: $(cat "$work/log")"
  for source in "$port"/*.cpp "$port"/examples/*/main/main.cpp; do
    case $source in
    */links_wired.cpp) continue ;;
    */links_esp_now.cpp) [[ $chip != esp32h2 && $chip != esp32p4 ]] || continue ;;
    */console_usb.cpp) [[ $chip != esp32 && $chip != esp32s2 ]] || continue ;;
    esac
    check_source "$source" || fail "$chip: $source does not fit"
    count=$((count + 1))
  done
  for variant in "LINK_0_UART LINK_1_UART" "LINK_0_SPI_MASTER LINK_1_SPI_SLAVE" \
    "LINK_0_SPI_SLAVE LINK_1_SPI_MASTER" "LINK_0_UART LINK_1_NONE"; do
    local flags=()
    for name in $variant; do flags+=("-DCONFIG_MOTE_$name=1"); done
    check_source "${flags[@]}" "$port/links_wired.cpp" || fail "$chip: links_wired.cpp, $variant"
    count=$((count + 1))
  done
  echo "check_esp_idf: $chip fits ($count checks, and a missing argument is seen)"
}

for chip in "${chips[@]}"; do
  check_chip "$chip"
done
