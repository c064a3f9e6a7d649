// SPDX-License-Identifier: Apache-2.0
// What all ports without an operating system answer alike: the layout of the linker script, and
// what a chip with one core and byte streams for links has to say.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/layout.hpp"
#include "firmware/board.hpp"
#include "mote/frame.hpp"

namespace mote::board {

std::string_view name() {
  return MOTE_PORT_NAME;
}

std::span<const std::uint8_t> image_region() {
  return {mote_image_start, static_cast<std::size_t>(mote_image_end - mote_image_start)};
}

std::span<std::byte> arena() {
  return {mote_arena_start, static_cast<std::size_t>(mote_arena_end - mote_arena_start)};
}

std::span<const std::byte> stack() {
  return {mote_stack_limit, static_cast<std::size_t>(mote_stack_top - mote_stack_limit)};
}

// An emulated chip has no number of its own: who starts it writes one into its memory, a new one at
// each start.
std::uint64_t identity() {
  return *static_cast<const volatile std::uint32_t*>(mote_chip_number);
}

std::uint32_t boot_number() {
  return *static_cast<const volatile std::uint32_t*>(mote_chip_number);
}

std::size_t link_frame_bytes() {
  return kMaxFrameBytes;
}

FixedSeat fixed_seat() {
  return {};
}

bool start_apart(void (*)(void*), void*) {
  return false;
}

bool is_apart_done() {
  return true;
}

}  // namespace mote::board
