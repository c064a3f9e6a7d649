// SPDX-License-Identifier: Apache-2.0
#include "ecosystem/packet.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mote::ports {
namespace {

TEST(Packet, CarriesAStream) {
  ByteQueue<1024> queue;
  std::vector<std::uint8_t> sent(600);
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::uint8_t>(i);
  queue.write(sent);
  std::vector<std::uint8_t> received;
  std::array<std::uint8_t, kPacketBytes> packet{};
  bool has_more = true;
  while (has_more) {
    EXPECT_GT(fill_packet(packet, queue), 0U);
    const Unpacked unpacked = unpack(packet);
    ASSERT_TRUE(unpacked.is_valid);
    received.insert(received.end(), unpacked.bytes.begin(), unpacked.bytes.end());
    has_more = unpacked.has_more;
  }
  EXPECT_EQ(received, sent);
}

TEST(Packet, SaysThatThereIsNothing) {
  ByteQueue<16> queue;
  std::array<std::uint8_t, kPacketBytes> packet{};
  EXPECT_EQ(fill_packet(packet, queue), 0U);
  EXPECT_TRUE(unpack(packet).is_valid);
  EXPECT_FALSE(unpack(packet).has_more);
  EXPECT_TRUE(unpack(packet).bytes.empty());
}

TEST(Packet, RefusesWhatNobodySent) {
  for (const int fill : {0, 0xff, 0xa5}) {
    std::array<std::uint8_t, kPacketBytes> packet;
    packet.fill(static_cast<std::uint8_t>(fill));
    EXPECT_FALSE(unpack(packet).is_valid) << fill;
  }
  std::array<std::uint8_t, kPacketBytes> packet{kPacketMarker, 0, 252, 0};
  EXPECT_EQ(unpack(packet).bytes.size(), 252U);
  packet[2] = 253;
  EXPECT_FALSE(unpack(packet).is_valid);
}

}  // namespace
}  // namespace mote::ports
