// SPDX-License-Identifier: Apache-2.0
// Memory, console, clocks and identity.
#include "firmware/board.hpp"

#include <array>

#include "config.hpp"
#include "ecosystem/wide_counter.hpp"
#include "hardware/clocks.h"
#include "hardware/watchdog.h"
#include "mote/frame.hpp"
#include "pico/platform.h"
#include "pico/rand.h"
#include "pico/stdio.h"
#include "pico/time.h"
#include "pico/unique_id.h"
#include "port.hpp"

namespace mote::pico {
namespace {

static_assert(MOTE_IMAGE_OFFSET % 4096 == 0 && MOTE_IMAGE_OFFSET < PICO_FLASH_SIZE_BYTES);

alignas(16) std::array<std::byte, MOTE_ARENA_BYTES> arena_memory;
// SysTick has no more.
constexpr unsigned kCycleBits = 24;

std::uint32_t boot;

}  // namespace

void open_board() {
  boot = get_rand_32();
}

}  // namespace mote::pico

namespace mote::board {

std::string_view name() {
  return PICO_BOARD;
}

std::span<const std::uint8_t> image_region() {
  return {reinterpret_cast<const std::uint8_t*>(XIP_BASE + MOTE_IMAGE_OFFSET),
          PICO_FLASH_SIZE_BYTES - MOTE_IMAGE_OFFSET};
}

std::span<std::byte> arena() {
  return pico::arena_memory;
}

int read_console() {
  const int byte = stdio_getchar_timeout_us(0);
  return byte < 0 ? -1 : byte;
}

void write_console(std::string_view text) {
  stdio_put_string(text.data(), static_cast<int>(text.size()), false, false);
}

std::size_t link_frame_bytes() {
  return kMaxFrameBytes;
}

FixedSeat fixed_seat() {
  return {.topology = Topology::ring, .seats = MOTE_SEATS, .seat = MOTE_SEAT};
}

std::uint64_t now_us() {
  return time_us_64();
}

// The counter wraps within a second; the clock, which runs from the same crystal, says how often.
std::uint64_t work_count() {
  return ports::widen<pico::kCycleBits>(pico::read_cycles(),
                                        now_us() * clock_get_hz(clk_sys) / 1'000'000);
}

std::string_view work_unit() {
  return "cycles";
}

std::uint64_t identity() {
  pico_unique_board_id_t id;
  pico_get_unique_board_id(&id);
  std::uint64_t number = 0;
  for (const std::uint8_t byte : id.id) number = number << 8 | byte;
  return number;
}

std::uint32_t boot_number() {
  return pico::boot;
}

void exit(int status) {
  if (status == 0) watchdog_reboot(0, 0, 0);
  for (;;) tight_loop_contents();
}

}  // namespace mote::board
