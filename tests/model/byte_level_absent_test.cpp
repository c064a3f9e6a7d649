// SPDX-License-Identifier: Apache-2.0
// A program that is built without byte-level tokenizers, as firmware is by default.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "mote/tokenizer.hpp"

namespace mote {
namespace {

/// Two tokens, "a" and the control token "<e>".
std::vector<std::uint8_t> section(std::uint32_t flags) {
  const bool is_byte_level = (flags & kTokenizerByteLevel) != 0;
  std::vector<std::uint32_t> words = {2, 4, 3, kNoToken, 1, 1, flags, 1, kNoToken, 0, 0, 0};
  for (const std::uint32_t offset : {0U, 1U, 4U}) words.push_back(offset);
  if (!is_byte_level) words.insert(words.end(), 2, 0);  // ranks
  words.push_back(0);                                   // sorted
  if (is_byte_level) {
    words[9] = 1;
    words[11] = 1;
    words.push_back(1);  // specials
  }
  std::vector<std::uint8_t> bytes(4 * words.size());
  std::memcpy(bytes.data(), words.data(), bytes.size());
  for (const char byte : std::string("\0\x02"
                                     "a<e>",
                                     6)) {
    bytes.push_back(static_cast<std::uint8_t>(byte));
  }
  return bytes;
}

TEST(ByteLevelAbsent, ByteLevelTokenizersAreRefusedByName) {
  const auto bytes = section(kTokenizerByteLevel);
  Tokenizer tokenizer;
  EXPECT_EQ(tokenizer.open(bytes), Status::tokenizer_not_built);
  EXPECT_EQ(tokenizer.vocab_size(), 0U);
  EXPECT_NE(std::string(status_text(Status::tokenizer_not_built)).find("byte-level"),
            std::string::npos);
}

TEST(ByteLevelAbsent, OthersWork) {
  const auto bytes = section(0);
  Tokenizer tokenizer;
  ASSERT_EQ(tokenizer.open(bytes), Status::ok);
  std::array<std::uint32_t, 5> tokens{};
  std::array<std::uint32_t, 5> scratch{};
  std::size_t count = 0;
  ASSERT_EQ(tokenizer.encode(tokens, count, scratch, "aa"), Status::ok);
  EXPECT_EQ(count, 2U);
}

}  // namespace
}  // namespace mote
