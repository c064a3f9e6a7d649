// SPDX-License-Identifier: Apache-2.0
#include "link_spi.hpp"

#include "port.hpp"

namespace mote::esp_idf {

std::size_t SpiLink::write(std::span<const std::uint8_t> bytes) {
  const std::size_t count = to_send_.write(bytes);
  if (count > 0) notice_bytes();
  return count;
}

void SpiLink::start_task(TaskFunction_t function, const char* name) {
  task_ = xTaskCreateStaticPinnedToCore(function, name, kStackBytes, this, kLinkPriority,
                                        stack_.data(), &task_memory_, kProgramCore);
}

// Where the program does not keep up, bytes are lost here, and frames with them; they come again.
bool SpiLink::take_packet() {
  const ports::Unpacked packet = ports::unpack(in_);
  if (!packet.bytes.empty() && received_.write_whole(packet.bytes)) wake();
  return packet.has_more;
}

}  // namespace mote::esp_idf
