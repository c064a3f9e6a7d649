// SPDX-License-Identifier: Apache-2.0
#include "mote/arena.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mote {
namespace {

struct Parts {
  std::span<std::uint8_t> bytes;
  std::span<std::uint64_t> words;
  std::span<std::int32_t> none;
  std::span<std::uint16_t> halves;
};

/// One layout for measuring and for placing: 16 + 48 + 0 + 16 bytes.
Parts lay_out(Arena& arena) {
  Parts parts;
  parts.bytes = arena.take<std::uint8_t>(1);
  parts.words = arena.take<std::uint64_t>(5);
  parts.none = arena.take<std::int32_t>(0);
  parts.halves = arena.take<std::uint16_t>(8);
  return parts;
}

constexpr std::size_t kPartsBytes = 80;

struct alignas(kArenaAlignment) Memory {
  std::array<std::byte, kPartsBytes + 32> bytes;
};

TEST(AlignUp, rounds_up) {
  EXPECT_EQ(align_up(0, 16), 0U);
  EXPECT_EQ(align_up(1, 16), 16U);
  EXPECT_EQ(align_up(16, 16), 16U);
  EXPECT_EQ(align_up(17, 16), 32U);
  EXPECT_EQ(align_up(17, 1), 17U);
}

TEST(Arena, measuring_counts_and_gives_nothing) {
  Arena arena;
  const Parts parts = lay_out(arena);
  EXPECT_TRUE(parts.bytes.empty() && parts.words.empty() && parts.halves.empty());
  EXPECT_EQ(arena.used_bytes(), kPartsBytes);
  EXPECT_FALSE(arena.is_exhausted());
}

TEST(Arena, placing_takes_what_measuring_counted) {
  Memory memory;
  Arena arena(std::span(memory.bytes).first(kPartsBytes));
  ASSERT_TRUE(arena.is_aligned());
  const Parts parts = lay_out(arena);
  EXPECT_EQ(arena.used_bytes(), kPartsBytes);
  EXPECT_FALSE(arena.is_exhausted());
  EXPECT_EQ(reinterpret_cast<std::byte*>(parts.bytes.data()), &memory.bytes[0]);
  EXPECT_EQ(reinterpret_cast<std::byte*>(parts.words.data()), &memory.bytes[16]);
  EXPECT_EQ(reinterpret_cast<std::byte*>(parts.halves.data()), &memory.bytes[64]);
  EXPECT_EQ(parts.bytes.size(), 1U);
  EXPECT_EQ(parts.words.size(), 5U);
  EXPECT_EQ(parts.none.size(), 0U);
  EXPECT_EQ(parts.halves.size(), 8U);
}

TEST(Arena, one_byte_too_few_is_exhaustion) {
  Memory memory;
  Arena arena(std::span(memory.bytes).first(kPartsBytes - 1));
  const Parts parts = lay_out(arena);
  EXPECT_TRUE(arena.is_exhausted());
  EXPECT_EQ(parts.words.size(), 5U);
  EXPECT_TRUE(parts.halves.empty());
  EXPECT_EQ(arena.used_bytes(), kPartsBytes);
}

TEST(Arena, stays_exhausted) {
  Memory memory;
  Arena arena(std::span(memory.bytes).first(32));
  EXPECT_TRUE(arena.take<std::uint8_t>(33).empty());
  EXPECT_TRUE(arena.take<std::uint8_t>(1).empty());
  EXPECT_TRUE(arena.is_exhausted());
}

TEST(Arena, an_empty_one_is_exhausted_by_the_first_byte) {
  Arena arena{std::span<std::byte>()};
  EXPECT_FALSE(arena.is_exhausted());
  EXPECT_TRUE(arena.take<std::uint8_t>(1).empty());
  EXPECT_TRUE(arena.is_exhausted());
}

TEST(Arena, sees_misaligned_memory) {
  Memory memory;
  for (std::size_t shift = 1; shift < kArenaAlignment; ++shift) {
    EXPECT_FALSE(Arena(std::span(memory.bytes).subspan(shift)).is_aligned());
  }
  EXPECT_TRUE(Arena(std::span(memory.bytes).subspan(kArenaAlignment)).is_aligned());
}

}  // namespace
}  // namespace mote
