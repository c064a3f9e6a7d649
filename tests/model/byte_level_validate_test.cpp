// SPDX-License-Identifier: Apache-2.0
// The parts of the section that byte-level tokenizers add, damaged in every way.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "mote/tokenizer.hpp"
#include "support/byte_level_model.hpp"

namespace mote {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Tokens = std::vector<std::uint32_t>;

// Words of the section's header.
constexpr std::size_t kVocabSize = 0;
constexpr std::size_t kFlags = 6;
constexpr std::size_t kSortedCount = 7;
constexpr std::size_t kFirstByteToken = 8;
constexpr std::size_t kPreTokenizer = 9;
constexpr std::size_t kMergeCount = 10;
constexpr std::size_t kSpecialCount = 11;
constexpr std::size_t kOffsets = 12;

std::uint32_t word(const Bytes& section, std::size_t index) {
  std::uint32_t value = 0;
  std::memcpy(&value, section.data() + 4 * index, 4);
  return value;
}
void set_word(Bytes& section, std::size_t index, std::uint32_t value) {
  std::memcpy(section.data() + 4 * index, &value, 4);
}

struct Fixture {
  explicit Fixture(std::size_t merges = 30)
      : texts(test::random_byte_level(2, merges)),
        section(host::build_tokenizer_section(texts.vocabulary())) {}

  std::size_t merges() const {
    return kOffsets + 1 + word(section, kVocabSize) + word(section, kSortedCount);
  }
  std::size_t specials() const { return merges() + 3 * std::size_t{word(section, kMergeCount)}; }
  std::size_t attributes() const { return 4 * (specials() + word(section, kSpecialCount)); }

  bool refuses(std::size_t index, std::uint32_t value) const {
    Bytes damaged = section;
    set_word(damaged, index, value);
    return refuses(damaged);
  }
  static bool refuses(const Bytes& bytes) {
    Tokenizer opened;
    return opened.open(bytes) == Status::image_bad_tokenizer && opened.vocab_size() == 0;
  }

  test::ByteLevelTexts texts;
  Bytes section;
};

TEST(ByteLevelOpen, TakesWhatItShould) {
  const Fixture fixture;
  Tokenizer tokenizer;
  ASSERT_EQ(tokenizer.open(fixture.section), Status::ok);
  EXPECT_TRUE(tokenizer.is_byte_level());
  EXPECT_EQ(tokenizer.pre_tokenizer(), PreTokenizer::gpt2);
  EXPECT_FALSE(fixture.refuses(kFlags, kTokenizerByteLevel | kTokenizerIgnoresMerges));
  for (std::uint32_t kind = 1; kind <= kMaxPreTokenizer; ++kind) {
    EXPECT_FALSE(fixture.refuses(kPreTokenizer, kind));
  }
  // Without any merge each byte is a token.
  EXPECT_FALSE(Fixture::refuses(Fixture(0).section));
}

TEST(ByteLevelOpen, RefusesEveryOtherSize) {
  const Fixture fixture;
  for (std::size_t bytes = 0; bytes < fixture.section.size(); ++bytes) {
    const auto end = fixture.section.begin() + static_cast<std::ptrdiff_t>(bytes);
    ASSERT_TRUE(Fixture::refuses(Bytes(fixture.section.begin(), end))) << bytes;
  }
  Bytes longer = fixture.section;
  longer.push_back(0);
  EXPECT_TRUE(Fixture::refuses(longer));
}

TEST(ByteLevelOpen, RefusesEveryDamagedHeaderField) {
  const Fixture fixture;
  for (const std::uint32_t flags : {0U, 1U, 2U, 5U, 6U, 8U, 20U, 0x80000004U}) {
    EXPECT_TRUE(fixture.refuses(kFlags, flags)) << flags;
  }
  for (const std::uint32_t value : {0U, 1U, 260U}) {
    EXPECT_TRUE(fixture.refuses(kFirstByteToken, value));
  }
  for (const std::uint32_t value : {0U, kMaxPreTokenizer + 1, 0xffffffffU}) {
    EXPECT_TRUE(fixture.refuses(kPreTokenizer, value));
  }
  for (const std::size_t field : {kMergeCount, kSpecialCount}) {
    const std::uint32_t count = word(fixture.section, field);
    for (const std::uint32_t value : {0U, count - 1, count + 1, 0x55555555U, 0xffffffffU}) {
      EXPECT_TRUE(fixture.refuses(field, value)) << field << " " << value;
    }
  }
}

TEST(ByteLevelOpen, RefusesEveryDamagedMerge) {
  const Fixture fixture;
  const std::uint32_t count = word(fixture.section, kMergeCount);
  const std::uint32_t control = fixture.texts.token("<|im_end|>");
  const std::uint32_t user = fixture.texts.token("<tool>");
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t place = fixture.merges() + 3 * i;
    for (const std::uint32_t token : {control, user, word(fixture.section, kVocabSize), kNoToken}) {
      ASSERT_TRUE(fixture.refuses(place, token)) << i;
      ASSERT_TRUE(fixture.refuses(place + 1, token)) << i;
    }
    // No token is made of the byte 7 and another one.
    ASSERT_TRUE(fixture.refuses(place, 7)) << i;
    ASSERT_TRUE(fixture.refuses(place + 1, 7)) << i;
    ASSERT_TRUE(fixture.refuses(place + 2, count)) << i;
    ASSERT_FALSE(fixture.refuses(place + 2, count - 1)) << i;
    if (i == 0) continue;
    Bytes swapped = fixture.section;
    std::swap_ranges(swapped.begin() + static_cast<long>(4 * place),
                     swapped.begin() + static_cast<long>(4 * place + 12),
                     swapped.begin() + static_cast<long>(4 * place - 12));
    ASSERT_TRUE(Fixture::refuses(swapped)) << i;
    Bytes doubled = fixture.section;
    std::copy_n(doubled.begin() + static_cast<long>(4 * place - 12), 12,
                doubled.begin() + static_cast<long>(4 * place));
    ASSERT_TRUE(Fixture::refuses(doubled)) << i;
  }
}

TEST(ByteLevelOpen, RefusesEveryDamagedSpecialToken) {
  const Fixture fixture;
  const std::uint32_t count = word(fixture.section, kSpecialCount);
  EXPECT_EQ(count, 4U);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t place = fixture.specials() + i;
    const std::uint32_t own = word(fixture.section, place);
    for (std::uint32_t other = 0; other <= word(fixture.section, kVocabSize); ++other) {
      ASSERT_EQ(fixture.refuses(place, other), other != own) << i << " " << other;
    }
  }
}

TEST(ByteLevelOpen, RefusesAKindThatIsNone) {
  const Fixture fixture;
  for (std::uint32_t token = 0; token < word(fixture.section, kVocabSize); ++token) {
    for (const int kind : {1, 5, 15, 16, 64}) {
      Bytes damaged = fixture.section;
      damaged[fixture.attributes() + token] = static_cast<std::uint8_t>(kind);
      ASSERT_TRUE(Fixture::refuses(damaged)) << token << " " << kind;
    }
  }
}

// Whatever passes validation is safe to use: run under the address sanitizer.
TEST(ByteLevelOpen, EveryFlippedBitIsRefusedOrHarmless) {
  const Fixture fixture;
  const std::string text = "the cab <|im_end|> 12\x80 <tool>\xc3\xa9 'll\n";
  Tokens tokens(Tokenizer::max_tokens(text.size()));
  Tokens scratch(tokens.size());
  for (std::size_t bit = 0; bit < 8 * fixture.section.size(); ++bit) {
    Bytes damaged = fixture.section;
    damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << (bit % 8)));
    Tokenizer tokenizer;
    if (tokenizer.open(damaged) != Status::ok) continue;
    std::size_t count = 0;
    ASSERT_EQ(tokenizer.encode_marked(tokens, count, scratch, text), Status::ok);
    for (std::size_t i = 0; i < count; ++i) ASSERT_LT(tokens[i], tokenizer.vocab_size());
  }
}

}  // namespace
}  // namespace mote
