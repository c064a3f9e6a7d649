// SPDX-License-Identifier: Apache-2.0
#include "mote/tokenizer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "convert/vocabulary.hpp"
#include "support/llama2c_encode.hpp"

namespace mote {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Tokens = std::vector<std::uint32_t>;

// Words of the section's header.
constexpr std::size_t kVocabSize = 0;
constexpr std::size_t kTextBytes = 1;
constexpr std::size_t kMaxPieceBytes = 2;
constexpr std::size_t kBos = 3;
constexpr std::size_t kEos = 4;
constexpr std::size_t kUnknown = 5;
constexpr std::size_t kFlags = 6;
constexpr std::size_t kSortedCount = 7;
constexpr std::size_t kFirstByteToken = 8;
constexpr std::size_t kReserved = 9;
constexpr std::size_t kOffsets = 12;

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// A vocabulary three times: as the oracle has it, as the section's bytes, and opened.
struct Fixture {
  explicit Fixture(const test::Llama2cVocabulary& file)
      : vocab_size(static_cast<std::uint32_t>(file.pieces.size())),
        oracle(file),
        section(host::build_tokenizer_section(
            host::read_llama2c_tokenizer(test::format_llama2c(file), vocab_size, "test"))) {
    EXPECT_EQ(tokenizer.open(section), Status::ok);
  }

  Tokens encode(const std::string& text, EncodeOptions options = {}) const {
    Tokens tokens(Tokenizer::max_tokens(text.size()));
    Tokens scratch(tokens.size());
    std::size_t count = 0;
    EXPECT_EQ(tokenizer.encode(tokens, count, scratch, text, options), Status::ok);
    tokens.resize(count);
    return tokens;
  }

  std::string decode(const Tokens& tokens) const {
    std::string text;
    std::uint32_t previous = kNoToken;
    for (const std::uint32_t token : tokens) {
      text += tokenizer.decode(previous, token);
      previous = token;
    }
    return text;
  }

  std::uint32_t word(std::size_t index) const {
    std::uint32_t value = 0;
    std::memcpy(&value, section.data() + 4 * index, 4);
    return value;
  }
  std::size_t sorted_word() const { return kOffsets + 2 * std::size_t{vocab_size} + 1; }
  std::size_t attributes_offset() const { return 4 * (sorted_word() + word(kSortedCount)); }

  // Whether a copy of the section with this word is refused.
  bool refuses(std::size_t index, std::uint32_t value) const {
    Bytes damaged = section;
    std::memcpy(damaged.data() + 4 * index, &value, 4);
    return refuses(damaged);
  }
  bool refuses_attribute(std::uint32_t token, std::uint8_t value) const {
    Bytes damaged = section;
    damaged[attributes_offset() + token] = value;
    return refuses(damaged);
  }
  static bool refuses(const Bytes& bytes) {
    Tokenizer opened;
    return opened.open(bytes) == Status::image_bad_tokenizer && opened.vocab_size() == 0;
  }

  std::uint32_t vocab_size;
  test::Llama2cEncoder oracle;
  Bytes section;
  Tokenizer tokenizer;
};

Fixture synthetic() {
  return Fixture(test::synthetic_vocabulary());
}

test::Llama2cVocabulary without_bytes() {
  test::Llama2cVocabulary file = test::synthetic_vocabulary();
  file.pieces.erase(file.pieces.begin() + 3, file.pieces.begin() + 259);
  file.scores.erase(file.scores.begin() + 3, file.scores.begin() + 259);
  return file;
}

std::string random_text(std::mt19937& random, std::string_view alphabet) {
  std::string text;
  for (std::size_t n = random() % 60; n > 0; --n) {
    text += alphabet.empty() ? static_cast<char>(random() & 0xff)
                             : alphabet[random() % alphabet.size()];
  }
  return text;
}

std::vector<std::string> test_texts() {
  std::vector<std::string> texts = {"",
                                    " ",
                                    "  ",
                                    "   ",
                                    "     ",
                                    "a",
                                    "ab",
                                    "abc",
                                    "abcabcabc",
                                    "aaaaaaa",
                                    " hello hello",
                                    "Once upon a time, there was a little girl named Lily.",
                                    "é",
                                    "éé",
                                    "ééé",
                                    "€uro",
                                    "😀",
                                    "😀😀😀",
                                    "👩‍👩‍👧",
                                    "\n",
                                    "\n\n\n",
                                    "\t\r\n",
                                    "<s>",
                                    "</s>",
                                    "<unk>",
                                    "<0x41>",
                                    "\n<s>\n",
                                    "1e30",
                                    "Grüße, naïve café",
                                    "你好，世界",
                                    "\x80",
                                    "\x80\x80\x80\x80\x80",
                                    "a\x80",
                                    "\xc3",
                                    "\xc3\xc3",
                                    "\xf0\x9f\x98",
                                    "\xff\xfe",
                                    "\xe2\x82z",
                                    " \x80",
                                    "\xf0\x9f\x98\x80\x80\x80",
                                    "\xc3\xa9\xa9"};
  texts.emplace_back("a\0b", 3);
  texts.emplace_back(1, '\0');
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  texts.push_back(all);
  for (const char character : {'a', ' ', '\n', '\x80', '\0'}) texts.emplace_back(500, character);
  std::mt19937 random(20240601);
  for (int i = 0; i < 150; ++i) texts.push_back(random_text(random, ""));
  for (int i = 0; i < 150; ++i) texts.push_back(random_text(random, "abc "));
  for (int i = 0; i < 60; ++i) texts.push_back(random_text(random, "the andsoil.\n"));
  for (int i = 0; i < 60; ++i) texts.push_back(random_text(random, "a\x80\xc3\xa9\xf0\x9f\x98 "));
  return texts;
}

std::vector<std::string> story_lines() {
  std::ifstream stream(std::filesystem::path(MOTE_SHARED_DIR) / "data/tinystories_eval.txt");
  std::vector<std::string> lines;
  for (std::string line; lines.size() < 400 && std::getline(stream, line);) lines.push_back(line);
  return lines;
}

void expect_oracle(const Fixture& fixture, const std::vector<std::string>& texts, bool round_trip) {
  for (const std::string& text : texts) {
    for (const bool bos : {false, true}) {
      const Tokens tokens = fixture.encode(text, {.bos = bos, .eos = !bos});
      ASSERT_EQ(tokens, fixture.oracle.encode(text, bos, !bos)) << testing::PrintToString(text);
      if (round_trip) {
        ASSERT_EQ(fixture.decode(tokens), text);
      }
    }
  }
}

TEST(Tokenizer, EncodesAsLlama2cWithASyntheticVocabulary) {
  expect_oracle(synthetic(), test_texts(), true);
  expect_oracle(synthetic(), story_lines(), true);
}

TEST(Tokenizer, EncodesAsLlama2cWithoutByteTokens) {
  expect_oracle(Fixture(without_bytes()), test_texts(), false);
}

class SharedTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(SharedTokenizer, EncodesAsLlama2c) {
  const auto path = std::filesystem::path(MOTE_SHARED_DIR) / "models" / GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "missing: " << path;
  const Fixture fixture(test::parse_llama2c(read_file(path)));
  // The vocabulary of characters has no byte tokens, so that not every text comes back.
  EXPECT_EQ(fixture.word(kFirstByteToken), 3U);
  expect_oracle(fixture, test_texts(), fixture.vocab_size > 105);
  const std::vector<std::string> lines = story_lines();
  EXPECT_FALSE(lines.empty());
  expect_oracle(fixture, lines, true);  // one character a token, all in the vocabulary
}

INSTANTIATE_TEST_SUITE_P(Files, SharedTokenizer,
                         testing::Values("tok105.bin", "tok512.bin", "tok4096.bin"));

// Known answers, of llama2.c's own program with stories260K.
TEST(Tokenizer, EncodesAKnownSentence) {
  const auto path = std::filesystem::path(MOTE_SHARED_DIR) / "models/tok512.bin";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "missing: " << path;
  const Fixture fixture(test::parse_llama2c(read_file(path)));
  EXPECT_EQ(fixture.encode("Once upon a time"), (Tokens{1, 403, 407, 261, 378}));
}

TEST(Tokenizer, BytesOutsideAVocabularyOfCharactersAreUnknown) {
  const Fixture fixture{test::Llama2cVocabulary{{"<unk>", "s", "/s", " ", "a"}, {0, 0, 0, 0, 0}}};
  EXPECT_EQ(fixture.encode("a\n€"), (Tokens{1, 3, 4, 0, 0, 0, 0}));
  EXPECT_EQ(fixture.decode({1, 3, 4, 0}), "a<unk>");
}

TEST(Tokenizer, TheLowestIdAndTheLeftmostPairWin) {
  const Fixture fixture = synthetic();
  const std::uint32_t ab = fixture.tokenizer.find("ab");
  EXPECT_EQ(ab, 259U);  // stored again further on, with a higher score
  EXPECT_EQ(fixture.tokenizer.piece(269), "ab");
  const std::uint32_t c = fixture.tokenizer.find("c");
  // " a" is the best; without the prefix's space "ab" and "bc" are equal and "ab" stands first.
  EXPECT_EQ(fixture.encode("cabc", {.bos = false}),
            (Tokens{fixture.tokenizer.find(" "), fixture.tokenizer.find("ca"),
                    fixture.tokenizer.find("bc")}));
  EXPECT_EQ(fixture.encode("c", {.bos = false}), (Tokens{fixture.tokenizer.find(" "), c}));
}

TEST(Tokenizer, FindsPiecesOfText) {
  const Fixture fixture = synthetic();
  EXPECT_EQ(fixture.tokenizer.piece(fixture.tokenizer.find("hello")), "hello");
  for (const char* absent : {"", "<unk>", "\n<s>\n", "Z", "hell", "helloo", "zzzzzzzzzzzzzzz"}) {
    EXPECT_EQ(fixture.tokenizer.find(absent), kNoToken) << absent;
  }
  EXPECT_EQ(fixture.tokenizer.kind(fixture.tokenizer.find("<0x41>")), TokenKind::normal);
}

TEST(Tokenizer, TellsKindsAndEnds) {
  const Fixture fixture = synthetic();
  const Tokenizer& tokenizer = fixture.tokenizer;
  EXPECT_EQ(tokenizer.vocab_size(), fixture.vocab_size);
  EXPECT_EQ(tokenizer.bos(), 1U);
  EXPECT_EQ(tokenizer.eos(), 2U);
  EXPECT_EQ(tokenizer.unknown(), 0U);
  EXPECT_EQ(tokenizer.max_piece_bytes(), 8U);
  EXPECT_EQ(tokenizer.kind(0), TokenKind::unknown);
  EXPECT_EQ(tokenizer.kind(1), TokenKind::control);
  EXPECT_EQ(tokenizer.kind(3), TokenKind::byte);
  EXPECT_EQ(tokenizer.kind(259), TokenKind::normal);
  EXPECT_TRUE(tokenizer.is_end(1) && tokenizer.is_end(2));
  EXPECT_FALSE(tokenizer.is_end(0) || tokenizer.is_end(259));
  for (const std::uint32_t beyond : {fixture.vocab_size, kNoToken}) {
    EXPECT_EQ(tokenizer.kind(beyond), TokenKind::unknown);
    EXPECT_EQ(tokenizer.piece(beyond), "");
    EXPECT_EQ(tokenizer.decode(1, beyond), "");
    EXPECT_FALSE(tokenizer.is_end(beyond));
  }
}

TEST(Tokenizer, DropsTheSpacePrefixOnlyAtTheBeginning) {
  const Fixture fixture = synthetic();
  const std::uint32_t hello = fixture.tokenizer.find(" hello");
  EXPECT_EQ(fixture.tokenizer.decode(1, hello), "hello");
  EXPECT_EQ(fixture.tokenizer.decode(kNoToken, hello), "hello");
  EXPECT_EQ(fixture.tokenizer.decode(hello, hello), " hello");
  EXPECT_EQ(fixture.tokenizer.decode(2, hello), " hello");
  EXPECT_EQ(fixture.tokenizer.decode(hello, 1), "");
  EXPECT_EQ(fixture.tokenizer.decode(hello, 3 + 'x'), "x");
}

TEST(Tokenizer, WithoutPrefixAndSpecialTokens) {
  host::Vocabulary vocabulary;
  vocabulary.entries = {{" ", 0, TokenKind::normal, false}, {"a", 0, TokenKind::normal, true}};
  vocabulary.adds_space_prefix = false;
  const Bytes section = host::build_tokenizer_section(vocabulary);
  Tokenizer tokenizer;
  ASSERT_EQ(tokenizer.open(section), Status::ok);
  Tokens tokens(8);
  Tokens scratch(8);
  std::size_t count = 0;
  ASSERT_EQ(tokenizer.encode(tokens, count, scratch, " aa", {.bos = true, .eos = true}),
            Status::ok);
  tokens.resize(count);
  EXPECT_EQ(tokens, (Tokens{0, 1, 1}));
  EXPECT_EQ(tokenizer.decode(kNoToken, 0), " ");
  EXPECT_TRUE(tokenizer.is_end(1));
}

TEST(Tokenizer, NeedsRoomForTheLongestEncoding) {
  const Fixture fixture = synthetic();
  const std::string text = "ZZZZ";  // each byte is a token, so that the bound is reached
  Tokens tokens(Tokenizer::max_tokens(text.size()));
  Tokens scratch(tokens.size());
  std::size_t count = 99;
  const std::span<std::uint32_t> shorter(tokens.data(), tokens.size() - 1);
  const std::span<std::uint32_t> short_scratch(scratch.data(), scratch.size() - 1);
  const EncodeOptions both{.bos = true, .eos = true};
  EXPECT_EQ(fixture.tokenizer.encode(shorter, count, scratch, text, both),
            Status::output_too_small);
  EXPECT_EQ(count, 0U);
  EXPECT_EQ(fixture.tokenizer.encode(tokens, count, short_scratch, text, both),
            Status::output_too_small);
  EXPECT_EQ(fixture.tokenizer.encode(tokens, count, scratch, text, both), Status::ok);
  EXPECT_EQ(count, tokens.size());
}

TEST(TokenizerOpen, RefusesEveryOtherSize) {
  const Fixture fixture = synthetic();
  EXPECT_FALSE(Fixture::refuses(fixture.section));
  for (std::size_t bytes = 0; bytes < fixture.section.size(); ++bytes) {
    const auto end = fixture.section.begin() + static_cast<std::ptrdiff_t>(bytes);
    ASSERT_TRUE(Fixture::refuses(Bytes(fixture.section.begin(), end))) << bytes;
  }
  Bytes longer = fixture.section;
  longer.push_back(0);
  EXPECT_TRUE(Fixture::refuses(longer));
}

TEST(TokenizerOpen, RefusesAMisalignedSection) {
  const Fixture fixture = synthetic();
  Bytes shifted(fixture.section.size() + 1);
  std::copy(fixture.section.begin(), fixture.section.end(), shifted.begin() + 1);
  Tokenizer tokenizer;
  EXPECT_EQ(tokenizer.open(std::span<const std::uint8_t>(shifted).subspan(1)),
            Status::image_misaligned);
}

TEST(TokenizerOpen, KeepsWhatItHadAfterARefusal) {
  const Fixture fixture = synthetic();
  Tokenizer tokenizer = fixture.tokenizer;
  EXPECT_EQ(tokenizer.open({}), Status::image_bad_tokenizer);
  EXPECT_EQ(tokenizer.find("hello"), fixture.tokenizer.find("hello"));
}

TEST(TokenizerOpen, RefusesEveryDamagedHeaderField) {
  const Fixture fixture = synthetic();
  const std::uint32_t vocab_size = fixture.vocab_size;
  for (const std::size_t field : {kVocabSize, kTextBytes, kMaxPieceBytes, kSortedCount}) {
    for (const std::uint32_t value :
         {0U, fixture.word(field) - 1, fixture.word(field) + 1, 0x7fffffffU, 0xffffffffU}) {
      EXPECT_TRUE(fixture.refuses(field, value)) << field << " " << value;
    }
  }
  for (const std::size_t field : {kBos, kEos, kUnknown}) {
    EXPECT_TRUE(fixture.refuses(field, vocab_size));
    EXPECT_TRUE(fixture.refuses(field, 0xfffffffeU));
    EXPECT_EQ(fixture.refuses(field, kNoToken), field == kUnknown);
  }
  for (const std::uint32_t flags : {0U, 1U, 4U | 3U, 0x80000003U}) {
    EXPECT_TRUE(fixture.refuses(kFlags, flags)) << flags;
  }
  EXPECT_FALSE(fixture.refuses(kFlags, 2));
  for (const std::uint32_t first : {0U, 2U, 4U, vocab_size - 255, 0xffffff00U, kNoToken}) {
    EXPECT_TRUE(fixture.refuses(kFirstByteToken, first)) << first;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(fixture.refuses(kReserved + i, 1));
    EXPECT_TRUE(fixture.refuses(kReserved + i, 0x80000000U));
  }
}

TEST(TokenizerOpen, RefusesByteFallbackThatContradictsItself) {
  const Fixture fixture{without_bytes()};
  EXPECT_TRUE(fixture.refuses(kFlags, 1));
  EXPECT_TRUE(fixture.refuses(kFirstByteToken, kNoToken));
  EXPECT_TRUE(fixture.refuses(kFirstByteToken, fixture.vocab_size));
  EXPECT_TRUE(fixture.refuses_attribute(5, 1));  // its piece is not the byte 2
}

// Sizes that agree with each other in 32 bits but not in 64.
TEST(TokenizerOpen, RefusesSizesThatOverflow) {
  std::vector<std::uint32_t> words(kOffsets + 1, 0);
  words[kBos] = words[kEos] = words[kFirstByteToken] = kNoToken;
  words[kSortedCount] = 0x40000000U;
  Bytes section(words.size() * 4);
  std::memcpy(section.data(), words.data(), section.size());
  EXPECT_TRUE(Fixture::refuses(section));
  words[kSortedCount] = 0;
  std::memcpy(section.data(), words.data(), section.size());
  EXPECT_TRUE(Fixture::refuses(section));  // an empty vocabulary
}

TEST(TokenizerOpen, RefusesEveryDamagedOffset) {
  const Fixture fixture = synthetic();
  for (std::size_t i = 0; i <= fixture.vocab_size; ++i) {
    const std::uint32_t value = fixture.word(kOffsets + i);
    ASSERT_TRUE(fixture.refuses(kOffsets + i, 0xffffffffU)) << i;
    ASSERT_TRUE(fixture.refuses(kOffsets + i, value + 1000)) << i;
    // The first may be 0: token 0 is then empty, and its name belongs to token 1.
    if (i > 1) {
      ASSERT_TRUE(fixture.refuses(kOffsets + i, 0)) << i;
    }
  }
  EXPECT_TRUE(fixture.refuses(kOffsets, 1));
  EXPECT_TRUE(fixture.refuses(kOffsets + fixture.vocab_size, fixture.word(kTextBytes) - 1));
}

TEST(TokenizerOpen, RefusesEveryDamagedIndexEntry) {
  const Fixture fixture = synthetic();
  const std::size_t sorted = fixture.sorted_word();
  const std::uint32_t count = fixture.word(kSortedCount);
  for (std::uint32_t i = 0; i < count; ++i) {
    for (const std::uint32_t value : {0U, 1U, 3U, fixture.vocab_size, kNoToken}) {
      ASSERT_TRUE(fixture.refuses(sorted + i, value)) << i << " " << value;
    }
    if (i > 0) {
      ASSERT_TRUE(fixture.refuses(sorted + i, fixture.word(sorted + i - 1))) << i;
    }
  }
  // Two pieces of the same bytes must be in the order of their ids.
  Bytes swapped = fixture.section;
  for (std::uint32_t i = 0; i + 1 < count; ++i) {
    if (fixture.word(sorted + i) != 259 || fixture.word(sorted + i + 1) != 269) continue;
    std::swap_ranges(swapped.begin() + static_cast<long>(4 * (sorted + i)),
                     swapped.begin() + static_cast<long>(4 * (sorted + i + 1)),
                     swapped.begin() + static_cast<long>(4 * (sorted + i + 1)));
  }
  ASSERT_NE(swapped, fixture.section);
  EXPECT_TRUE(Fixture::refuses(swapped));
}

TEST(TokenizerOpen, RefusesAnIncompleteIndex) {
  const Fixture fixture = synthetic();
  Bytes shorter = fixture.section;
  const std::uint32_t count = fixture.word(kSortedCount) - 1;
  std::memcpy(shorter.data() + 4 * kSortedCount, &count, 4);
  const auto last = shorter.begin() + static_cast<long>(4 * (fixture.sorted_word() + count));
  shorter.erase(last, last + 4);
  EXPECT_TRUE(Fixture::refuses(shorter));
}

TEST(TokenizerOpen, RefusesEveryDamagedAttribute) {
  const Fixture fixture = synthetic();
  for (std::uint32_t token = 0; token < fixture.vocab_size; ++token) {
    for (const std::uint8_t value : std::to_array<std::uint8_t>({0x04, 0x0f, 0x10, 0x20, 0x40})) {
      ASSERT_TRUE(fixture.refuses_attribute(token, value)) << token;
    }
    const std::uint8_t kind = fixture.section[fixture.attributes_offset() + token] & kTokenKindMask;
    for (std::uint8_t other = 0; other < 4; ++other) {
      // A token that text does not match may be of another such kind: nothing depends on it.
      const bool allowed = other == kind || (token < 259 && other >= 2);
      ASSERT_EQ(fixture.refuses_attribute(token, other), !allowed) << token << " " << int{other};
    }
  }
}

TEST(TokenizerOpen, RefusesAByteTokenOfAnotherByte) {
  const Fixture fixture = synthetic();
  const std::size_t text = fixture.attributes_offset() + fixture.vocab_size;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    Bytes damaged = fixture.section;
    ++damaged[text + fixture.word(kOffsets + 3 + byte)];
    ASSERT_TRUE(Fixture::refuses(damaged)) << byte;
  }
}

// Whatever passes validation is safe to use: run under the address sanitizer.
TEST(TokenizerOpen, EveryFlippedBitIsRefusedOrHarmless) {
  const Fixture fixture = synthetic();
  const std::string text = "hello abc\x80 é😀\n";
  Tokens tokens(Tokenizer::max_tokens(text.size()));
  Tokens scratch(tokens.size());
  for (std::size_t bit = 0; bit < 8 * fixture.section.size(); ++bit) {
    Bytes damaged = fixture.section;
    damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << (bit % 8)));
    Tokenizer tokenizer;
    if (tokenizer.open(damaged) != Status::ok) continue;
    std::size_t count = 0;
    ASSERT_EQ(tokenizer.encode(tokens, count, scratch, text), Status::ok);
    for (std::size_t i = 0; i < count; ++i) ASSERT_LT(tokens[i], tokenizer.vocab_size());
  }
}

}  // namespace
}  // namespace mote
