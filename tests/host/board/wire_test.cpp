// SPDX-License-Identifier: Apache-2.0
#include "board/wire.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <numeric>
#include <vector>

namespace mote::host {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes make_bytes(std::size_t count) {
  Bytes bytes(count);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

/// All of `bytes` through `wire`, however long it takes.
Bytes send_through(Wire& wire, const Bytes& bytes) {
  Bytes out;
  std::size_t sent = 0;
  for (std::uint64_t now_us = 1; out.size() != bytes.size(); ++now_us) {
    const std::size_t count = std::min(wire.room(), bytes.size() - sent);
    wire.put(std::span(bytes).subspan(sent, count), now_us);
    sent += count;
    for (auto some = wire.arrived(now_us); !some.empty(); some = wire.arrived(now_us)) {
      out.insert(out.end(), some.begin(), some.end());
      wire.take(some.size());
    }
    if (out.size() != bytes.size()) now_us = wire.next_us() - 1;
  }
  return out;
}

TEST(Wire, passes_bytes_on_in_order) {
  Wire wire({}, 1);
  const Bytes bytes = make_bytes(20'000);
  EXPECT_EQ(send_through(wire, bytes), bytes);
  EXPECT_EQ(wire.counters().bytes, bytes.size());
  EXPECT_EQ(wire.counters().flipped_bits, 0U);
  EXPECT_EQ(wire.next_us(), Wire::kNever);
}

TEST(Wire, takes_the_time_of_its_rate_and_its_latency) {
  Wire wire({100'000, 500, 0}, 1);  // 100 us a byte
  wire.put(make_bytes(10), 1000);
  EXPECT_EQ(wire.next_us(), 1000U + 10 * 100 + 500);
  EXPECT_TRUE(wire.arrived(2499).empty());
  EXPECT_EQ(wire.arrived(2500).size(), 10U);
  // What is sent while the line is taken comes behind it.
  wire.put(make_bytes(5), 1200);
  wire.take(10);
  EXPECT_EQ(wire.next_us(), 2500U + 5 * 100);
}

TEST(Wire, begins_anew_after_a_pause) {
  Wire wire({100'000, 0, 0}, 1);
  wire.put(make_bytes(1), 1000);
  wire.take(wire.arrived(1100).size());
  wire.put(make_bytes(1), 50'000);
  EXPECT_EQ(wire.next_us(), 50'100U);
}

TEST(Wire, has_room_for_a_part_of_what_stands_in_line) {
  Wire wire({1000, 0, 0}, 1);
  std::size_t taken = 0;
  while (wire.room() != 0) {
    taken += wire.room();
    wire.put(make_bytes(wire.room()), 1);
  }
  EXPECT_GE(taken, 512U);
  EXPECT_LE(taken, 131'072U);
  wire.take(wire.arrived(1'000'000'000).size());
  EXPECT_NE(wire.room(), 0U);
}

TEST(Wire, takes_bytes_one_by_one) {
  Wire wire({}, 1);
  wire.put(make_bytes(3), 1);
  for (std::uint8_t expected = 0; expected < 3; ++expected) {
    ASSERT_EQ(wire.arrived(1).front(), expected);
    wire.take(1);
  }
  EXPECT_TRUE(wire.arrived(1).empty());
}

TEST(Wire, flips_the_share_of_bits_that_it_is_told) {
  constexpr double kRate = 1e-3;
  constexpr std::size_t kBytes = 500'000;
  Wire wire({0, 0, kRate}, 7);
  const Bytes bytes = make_bytes(kBytes);
  const Bytes out = send_through(wire, bytes);
  std::uint64_t flipped = 0;
  for (std::size_t i = 0; i < kBytes; ++i) {
    flipped +=
        static_cast<std::uint64_t>(std::popcount(static_cast<std::uint8_t>(out[i] ^ bytes[i])));
  }
  EXPECT_EQ(flipped, wire.counters().flipped_bits);
  EXPECT_NEAR(static_cast<double>(flipped), kRate * 8 * kBytes, 5 * 64);  // five sigma
}

TEST(Wire, damage_is_a_function_of_the_seed) {
  const Bytes bytes = make_bytes(50'000);
  const auto through = [&](std::uint64_t seed) {
    Wire wire({0, 0, 1e-3}, seed);
    return send_through(wire, bytes);
  };
  EXPECT_EQ(through(3), through(3));
  EXPECT_NE(through(3), through(4));
}

TEST(Wire, loses_what_is_on_its_way) {
  Wire wire({0, 1000, 0}, 1);
  wire.put(make_bytes(40), 1);
  wire.lose();
  EXPECT_TRUE(wire.arrived(1'000'000).empty());
  EXPECT_EQ(wire.counters().lost_bytes, 40U);
  EXPECT_EQ(wire.counters().bytes, 0U);
}

}  // namespace
}  // namespace mote::host
