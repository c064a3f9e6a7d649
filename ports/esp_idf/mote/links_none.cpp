// SPDX-License-Identifier: Apache-2.0
// A board without links: one_chip alone.
#include "firmware/board.hpp"
#include "mote/frame.hpp"
#include "port.hpp"

namespace mote::esp_idf {

void open_links() {}

}  // namespace mote::esp_idf

namespace mote::board {

std::uint32_t link_count() {
  return 0;
}

std::size_t read_link(std::uint32_t, std::span<std::uint8_t>) {
  return 0;
}

std::size_t write_link(std::uint32_t, std::span<const std::uint8_t>) {
  return 0;
}

std::size_t link_frame_bytes() {
  return kMaxFrameBytes;
}

}  // namespace mote::board
