// SPDX-License-Identifier: Apache-2.0
#include "base/crc32.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "support/random.hpp"

namespace mote {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

std::vector<std::uint8_t> random_bytes(std::size_t count) {
  test::Random random(1);
  std::vector<std::uint8_t> bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  return bytes;
}

/// The polynomial division of IEEE 802.3, one bit at a time.
std::uint32_t divide_bit_by_bit(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const std::uint8_t byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool feed = (((crc ^ (std::uint32_t{byte} >> bit)) & 1U) != 0);
      crc = (crc >> 1) ^ (feed ? 0xedb88320U : 0U);
    }
  }
  return ~crc;
}

TEST(Crc32, check_value) {
  EXPECT_EQ(crc32(bytes_of("123456789")), 0xcbf43926U);
  EXPECT_EQ(crc32({}), 0U);
  EXPECT_EQ(crc32(bytes_of("The quick brown fox jumps over the lazy dog")), 0x414fa339U);
}

TEST(Crc32, equals_division_bit_by_bit) {
  const std::vector<std::uint8_t> bytes = random_bytes(600);
  for (std::size_t count = 0; count <= bytes.size(); ++count) {
    const std::span<const std::uint8_t> part(bytes.data(), count);
    ASSERT_EQ(crc32(part), divide_bit_by_bit(part)) << count;
  }
}

TEST(Crc32, continues_at_every_cut) {
  const std::vector<std::uint8_t> bytes = random_bytes(300);
  const std::span<const std::uint8_t> all(bytes);
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    ASSERT_EQ(crc32(all.subspan(cut), crc32(all.first(cut))), crc32(all)) << cut;
  }
}

TEST(Crc32, sees_every_single_bit) {
  std::vector<std::uint8_t> bytes = random_bytes(64);
  const std::uint32_t good = crc32(bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    bytes[bit / 8] ^= mask;
    ASSERT_NE(crc32(bytes), good) << bit;
    bytes[bit / 8] ^= mask;
  }
}

}  // namespace
}  // namespace mote
