// SPDX-License-Identifier: Apache-2.0
// Memory, clocks and identity.
#include "firmware/board.hpp"

#include <algorithm>
#include <array>

#include "ecosystem/wide_counter.hpp"
#include "esp_cpu.h"
#include "esp_heap_caps.h"
#include "esp_mac.h"
#include "esp_partition.h"
#include "esp_random.h"
#include "esp_rom_sys.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "mote/arena.hpp"
#include "port.hpp"
#include "sdkconfig.h"

namespace mote::esp_idf {
namespace {

std::span<const std::uint8_t> image;
std::span<std::byte> arena_memory;
std::uint32_t boot;

#if CONFIG_MOTE_ARENA_PSRAM
constexpr std::uint32_t kArenaCaps = MALLOC_CAP_SPIRAM | MALLOC_CAP_8BIT;
#else
constexpr std::uint32_t kArenaCaps = MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT;
#endif
constexpr std::size_t kArenaBytes = std::size_t{CONFIG_MOTE_ARENA_KIB} * 1024;
// What stays for drivers that ask for memory later.
constexpr std::size_t kReserveBytes = std::size_t{CONFIG_MOTE_RESERVE_KIB} * 1024;

// The flash stays mapped for good, so its handle is not kept.
void map_image() {
  const esp_partition_t* partition = esp_partition_find_first(
      ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, CONFIG_MOTE_PARTITION_LABEL);
  if (partition == nullptr) return;
  const void* address = nullptr;
  esp_partition_mmap_handle_t handle = 0;
  if (esp_partition_mmap(partition, 0, partition->size, ESP_PARTITION_MMAP_DATA, &address,
                         &handle) != ESP_OK) {
    return;
  }
  image = {static_cast<const std::uint8_t*>(address), partition->size};
}

// The one allocation: ESP-IDF gives what the link leaves as its heap.
void take_arena() {
  const std::size_t largest = heap_caps_get_largest_free_block(kArenaCaps);
  const std::size_t spare = largest > kReserveBytes ? largest - kReserveBytes : 0;
  const std::size_t bytes = (kArenaBytes > 0 ? kArenaBytes : spare) & ~(kArenaAlignment - 1);
  void* memory = heap_caps_aligned_alloc(kArenaAlignment, bytes, kArenaCaps);
  if (memory != nullptr) arena_memory = {static_cast<std::byte*>(memory), bytes};
}

}  // namespace

void open_board() {
  boot = esp_random();
  map_image();
  take_arena();
}

}  // namespace mote::esp_idf

namespace mote::board {

std::string_view name() {
  return CONFIG_IDF_TARGET;
}

std::span<const std::uint8_t> image_region() {
  return esp_idf::image;
}

std::span<std::byte> arena() {
  return esp_idf::arena_memory;
}

std::uint64_t now_us() {
  return static_cast<std::uint64_t>(esp_timer_get_time());
}

// Cycles of core 0, where the program runs. Their counter wraps in seconds; the clock, which goes
// with it, says how often it has.
std::uint64_t work_count() {
  return ports::widen<32>(esp_cpu_get_cycle_count(), now_us() * esp_rom_get_cpu_ticks_per_us());
}

std::string_view work_unit() {
  return "cycles";
}

std::uint64_t identity() {
  std::array<std::uint8_t, 8> address{};  // six bytes, eight on chips with 802.15.4
  if (esp_efuse_mac_get_default(address.data()) != ESP_OK) return 0;
  std::uint64_t number = 0;
  for (const std::uint8_t byte : address) number = number << 8 | byte;
  return number;
}

std::uint32_t boot_number() {
  return esp_idf::boot;
}

void exit(int status) {
  if (status == 0) esp_restart();
  for (;;) vTaskDelay(portMAX_DELAY);
}

}  // namespace mote::board
