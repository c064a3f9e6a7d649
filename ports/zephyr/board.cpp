// SPDX-License-Identifier: Apache-2.0
// Memory, clocks and identity.
#include "firmware/board.hpp"

#include <zephyr/devicetree.h>
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/kernel.h>
#include <zephyr/random/random.h>
#include <zephyr/sys/reboot.h>
#include <zephyr/timing/timing.h>

#include <array>

#include "ecosystem/wide_counter.hpp"
#include "mote/frame.hpp"
#include "port.hpp"

extern "C" {
extern const std::uint8_t mote_image[];
extern const std::uint8_t mote_image_end[];
}

namespace mote::zephyr {
namespace {

__aligned(16) __noinit std::byte arena_memory[CONFIG_MOTE_ARENA_SIZE];
std::uint32_t boot;

#if CONFIG_MOTE_IMAGE_EMBEDDED
std::span<const std::uint8_t> find_image() {
  return {mote_image, mote_image_end};
}
#else
// The partition's address within the flash, which the processor sees from a base address on.
std::span<const std::uint8_t> find_image() {
  constexpr std::uintptr_t kAddress =
      CONFIG_FLASH_BASE_ADDRESS + DT_REG_ADDR(DT_NODELABEL(model_partition));
  return {reinterpret_cast<const std::uint8_t*>(kAddress),
          DT_REG_SIZE(DT_NODELABEL(model_partition))};
}
#endif

// Cycles of the processor where Zephyr can count them, else of its system clock.
#if CONFIG_TIMING_FUNCTIONS
void open_clock() {
  timing_init();
  timing_start();
}
std::uint32_t read_counter() {
  return static_cast<std::uint32_t>(timing_counter_get());
}
std::uint64_t counter_hz() {
  return timing_freq_get();
}
#else
void open_clock() {}
std::uint32_t read_counter() {
  return k_cycle_get_32();
}
std::uint64_t counter_hz() {
  return static_cast<std::uint64_t>(sys_clock_hw_cycles_per_sec());
}
#endif

}  // namespace

// Without a source of entropy, the cycles until now.
void open_board() {
  open_clock();
  boot = IS_ENABLED(CONFIG_ENTROPY_HAS_DRIVER) ? sys_rand32_get() : k_cycle_get_32();
}

}  // namespace mote::zephyr

namespace mote::board {

std::string_view name() {
  return CONFIG_BOARD;
}

std::span<const std::uint8_t> image_region() {
  return zephyr::find_image();
}

std::span<std::byte> arena() {
  return zephyr::arena_memory;
}

std::size_t link_frame_bytes() {
  return kMaxFrameBytes;
}

FixedSeat fixed_seat() {
  return {.topology = Topology::ring, .seats = CONFIG_MOTE_SEATS, .seat = CONFIG_MOTE_SEAT};
}

std::uint64_t now_us() {
  return k_ticks_to_us_floor64(static_cast<std::uint64_t>(k_uptime_ticks()));
}

// The counter may wrap; the kernel's clock says how often it has. In milliseconds, so that the
// product of time and rate fits for centuries.
std::uint64_t work_count() {
  return ports::widen<32>(zephyr::read_counter(), now_us() / 1000 * zephyr::counter_hz() / 1000);
}

std::string_view work_unit() {
  return "cycles";
}

std::uint64_t identity() {
  std::array<std::uint8_t, 8> id{};
  if (!IS_ENABLED(CONFIG_HWINFO) || hwinfo_get_device_id(id.data(), id.size()) <= 0) return 0;
  std::uint64_t number = 0;
  for (const std::uint8_t byte : id) number = number << 8 | byte;
  return number;
}

std::uint32_t boot_number() {
  return zephyr::boot;
}

void exit(int status) {
  if (status == 0) sys_reboot(SYS_REBOOT_COLD);
  for (;;) k_sleep(K_FOREVER);
}

}  // namespace mote::board
