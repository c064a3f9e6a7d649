// SPDX-License-Identifier: Apache-2.0
// Packets of a fixed size that carry a byte stream both ways over SPI: a marker, a flag whether
// more waits, a length of two bytes (little-endian), and the bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ecosystem/byte_queue.hpp"

namespace mote::ports {

inline constexpr std::size_t kPacketBytes = 256;
inline constexpr std::size_t kPacketHeaderBytes = 4;
inline constexpr std::uint8_t kPacketMarker = 0xA5;
using Packet = std::span<std::uint8_t, kPacketBytes>;

/// Fills `packet` from the front of `queue` and returns how many bytes it carries.
template <std::size_t Bytes>
std::size_t fill_packet(Packet packet, ByteQueue<Bytes>& queue) {
  const std::size_t count = queue.read(packet.subspan<kPacketHeaderBytes>());
  packet[0] = kPacketMarker;
  packet[1] = queue.size() > 0;
  packet[2] = static_cast<std::uint8_t>(count);
  packet[3] = static_cast<std::uint8_t>(count >> 8);
  return count;
}

/// What the other side said. `is_valid` is false where nobody spoke, or noise did.
struct Unpacked {
  bool is_valid = false;
  bool has_more = false;
  std::span<const std::uint8_t> bytes;
};
inline Unpacked unpack(std::span<const std::uint8_t, kPacketBytes> packet) {
  const std::size_t count = packet[2] | static_cast<std::size_t>(packet[3]) << 8;
  if (packet[0] != kPacketMarker || packet[1] > 1) return {};
  if (count > kPacketBytes - kPacketHeaderBytes) return {};
  return {.is_valid = true,
          .has_more = packet[1] == 1,
          .bytes = packet.subspan<kPacketHeaderBytes>().first(count)};
}

}  // namespace mote::ports
