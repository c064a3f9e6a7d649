// SPDX-License-Identifier: Apache-2.0
#include "cluster/port_link.hpp"

#include <array>

namespace mote::host {
namespace {

constexpr std::size_t kReadBytes = 16384;
/// A neighbour that never stops sending must not keep the node from its other work.
constexpr int kMaxReads = 16;

/// What a serial port keeps under way, and the bits of a byte there.
constexpr std::uint64_t kSerialBytes = 4096;
constexpr std::uint64_t kSerialBits = 10;

}  // namespace

std::uint64_t retry_us(const Address& address) {
  const std::uint64_t usual_us = ClusterTiming{}.retry_us;
  if (!address.is_serial()) return usual_us;
  return usual_us + kSerialBytes * kSerialBits * 1'000'000 / address.baud;
}

void receive_frames(TensorParallelNode& node, std::uint32_t port, Link& link,
                    std::uint64_t now_us) {
  std::array<std::uint8_t, kReadBytes> bytes;
  for (int reads = 0; reads < kMaxReads; ++reads) {
    const std::size_t count = link.read(bytes);
    node.receive(port, std::span(bytes).first(count), now_us);
    if (count < bytes.size()) return;
  }
}

void send_frames(TensorParallelNode& node, std::uint32_t port, Link& link) {
  const std::size_t frame_bytes = node.config().frame_bytes;
  for (bool has_more = true; has_more && link.is_up();) {
    while (has_more && link.can_write(frame_bytes)) {
      const std::size_t bytes = node.transmit(port, link.space());
      link.commit(bytes);
      has_more = bytes != 0;
    }
    link.flush();
    // The rest leaves when the system takes it; what is made later is newer.
    if (link.has_unsent()) return;
  }
}

}  // namespace mote::host
