// SPDX-License-Identifier: Apache-2.0
#include "run/read_bandwidth.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace mote::host {
namespace {

std::uint64_t fold_words(std::span<const std::uint64_t> words) {
  std::uint64_t folded = 0;
  for (const std::uint64_t word : words) folded ^= word;
  return folded;
}

std::span<const std::uint8_t> bytes_of(std::span<const std::uint64_t> words) {
  return {reinterpret_cast<const std::uint8_t*>(words.data()), words.size_bytes()};
}

// Each word of every whole line counts, wherever the lines begin.
TEST(ReadBandwidth, every_whole_line_is_read) {
  std::vector<std::uint64_t> words(1 + 8 * 11 + 3);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = (i + 1) * 0x9e3779b97f4a7c15U;
  for (const std::size_t lines : {0U, 1U, 3U, 4U, 5U, 8U, 11U}) {
    const auto whole = std::span(words).subspan(1, 8 * lines);
    EXPECT_EQ(fold_lines(bytes_of(std::span(words).subspan(1, 8 * lines + 3))), fold_words(whole));
  }
}

TEST(ReadBandwidth, threads_read_at_some_speed) {
  const std::vector<std::uint64_t> words(1 << 16, 1);
  for (const std::uint32_t threads : {1U, 3U}) {
    ThreadTeam team(threads);
    EXPECT_GT(measure_reading(team, bytes_of(words)), 1e6);
  }
}

}  // namespace
}  // namespace mote::host
