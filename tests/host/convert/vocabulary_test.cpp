// SPDX-License-Identifier: Apache-2.0
#include "convert/vocabulary.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "support/error.hpp"
#include "support/llama2c_encode.hpp"

namespace mote::host {
namespace {

using Bytes = std::vector<std::uint8_t>;

test::Llama2cVocabulary small_file() {
  return {{"<unk>", "\n<s>\n", "\n</s>\n", "a", "", "bc"}, {0, 0, 0, -1, -2, 3}};
}

std::string fault_of(const Bytes& file, std::uint32_t vocab_size) {
  try {
    (void)read_llama2c_tokenizer(file, vocab_size, "some/path");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

template <typename Number>
void patch(Bytes& bytes, std::size_t offset, Number value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(Number));
}

std::string fault_of_section(const Vocabulary& vocabulary) {
  try {
    (void)build_tokenizer_section(vocabulary);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Llama2cTokenizer, ReadsPiecesScoresAndSpecialTokens) {
  const Vocabulary read = read_llama2c_tokenizer(test::format_llama2c(small_file()), 6, "p");
  ASSERT_EQ(read.entries.size(), 6U);
  EXPECT_EQ(read.unknown, 0U);
  EXPECT_EQ(read.bos, 1U);
  EXPECT_EQ(read.eos, 2U);
  EXPECT_TRUE(read.adds_space_prefix);
  EXPECT_EQ(read.entries[0].kind, TokenKind::unknown);
  EXPECT_FALSE(read.entries[0].ends_text);
  for (const std::size_t token : {1U, 2U}) {
    EXPECT_EQ(read.entries[token].kind, TokenKind::control);
    EXPECT_TRUE(read.entries[token].ends_text);
  }
  EXPECT_EQ(read.entries[1].bytes, "<s>");
  EXPECT_EQ(read.entries[2].bytes, "</s>");
  EXPECT_EQ(read.entries[4].bytes, "");
  EXPECT_EQ(read.entries[5].bytes, "bc");
  EXPECT_EQ(read.entries[5].score, 3.0F);
  EXPECT_EQ(read.entries[5].kind, TokenKind::normal);
  EXPECT_FALSE(read.entries[5].ends_text);
}

TEST(Llama2cTokenizer, RefusesEveryOtherSize) {
  const Bytes file = test::format_llama2c(small_file());
  EXPECT_EQ(fault_of(file, 6), "");
  for (std::size_t bytes = 0; bytes < file.size(); ++bytes) {
    const std::string fault =
        fault_of(Bytes(file.begin(), file.begin() + static_cast<long>(bytes)), 6);
    EXPECT_TRUE(fault.starts_with("some/path: ")) << bytes << fault;
  }
  Bytes longer = file;
  longer.push_back(0);
  EXPECT_NE(fault_of(longer, 6).find("1 bytes are left after 6 tokens"), std::string::npos);
  for (const std::uint32_t vocab_size : {0U, 1U, 2U, 5U, 7U, 1U << 20, 0xffffffffU}) {
    EXPECT_TRUE(fault_of(file, vocab_size).starts_with("some/path: ")) << vocab_size;
  }
}

TEST(Llama2cTokenizer, RefusesDamagedNumbers) {
  const Bytes file = test::format_llama2c(small_file());
  const std::size_t score = 4;
  const std::size_t length = 8;
  for (const std::int32_t longest : {-1, 0, 5, std::numeric_limits<std::int32_t>::min()}) {
    Bytes damaged = file;
    patch(damaged, 0, longest);
    EXPECT_NE(fault_of(damaged, 6), "") << longest;
  }
  for (const std::int32_t value : {-1, 7, 6, 4, std::numeric_limits<std::int32_t>::max(),
                                   std::numeric_limits<std::int32_t>::min()}) {
    Bytes damaged = file;
    patch(damaged, length, value);
    EXPECT_NE(fault_of(damaged, 6), "") << value;
  }
  Bytes damaged = file;
  patch(damaged, score, std::numeric_limits<float>::quiet_NaN());
  EXPECT_NE(fault_of(damaged, 6).find("token 0"), std::string::npos);
  patch(damaged, score, -std::numeric_limits<float>::infinity());
  EXPECT_EQ(fault_of(damaged, 6), "");
}

TEST(Llama2cTokenizer, RecognisesByteTokensOnlyWhenAllAreThere) {
  test::Llama2cVocabulary file = test::synthetic_vocabulary();
  const auto size = static_cast<std::uint32_t>(file.pieces.size());
  const Vocabulary whole = read_llama2c_tokenizer(test::format_llama2c(file), size, "p");
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(whole.entries[3 + byte].kind, TokenKind::byte);
    EXPECT_EQ(whole.entries[3 + byte].bytes, std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(whole.entries[259].kind, TokenKind::normal);
  file.pieces[3 + 200] = "<0xc8>";
  const Vocabulary partial = read_llama2c_tokenizer(test::format_llama2c(file), size, "p");
  EXPECT_EQ(partial.entries[3].kind, TokenKind::normal);
  EXPECT_EQ(partial.entries[3].bytes, "<0x00>");
}

TEST(Llama2cTokenizer, ReadsTheSharedFiles) {
  const std::pair<const char*, std::uint32_t> files[] = {
      {"tok105.bin", 105}, {"tok512.bin", 512}, {"tok4096.bin", 4096}};
  for (const auto& [name, vocab_size] : files) {
    const std::filesystem::path path = std::filesystem::path(MOTE_SHARED_DIR) / "models" / name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "missing: " << path;
    std::ifstream stream(path, std::ios::binary);
    const Bytes file{std::istreambuf_iterator<char>(stream), {}};
    const Vocabulary read = read_llama2c_tokenizer(file, vocab_size, path);
    ASSERT_EQ(read.entries.size(), vocab_size);
    EXPECT_EQ(read.entries[1].bytes, "<s>");
    // The vocabulary of characters has no byte tokens: its third token is the space.
    const bool has_bytes = vocab_size > 105;
    EXPECT_EQ(read.entries[3].kind, has_bytes ? TokenKind::byte : TokenKind::normal);
    EXPECT_EQ(read.entries[3].bytes, has_bytes ? std::string(1, '\0') : " ");
    EXPECT_NE(fault_of(file, vocab_size - 1), "");
    EXPECT_NE(fault_of(file, vocab_size + 1), "");
    EXPECT_EQ(fault_of_section(read), "");
  }
}

TEST(TokenizerSection, HasTheBytesOfTheSpecification) {
  Vocabulary vocabulary;
  vocabulary.entries = {{"<unk>", 0, TokenKind::unknown, false},
                        {"", 0, TokenKind::control, true},
                        {"b", -2.5F, TokenKind::normal, false},
                        {"a", 7, TokenKind::normal, false},
                        {"b", -0.0F, TokenKind::normal, true}};
  vocabulary.bos = 1;
  const std::vector<std::uint32_t> words = {5, 8, 5, 1, kNoToken, 0, 1, 3, kNoToken,
                                            0, 0, 0, 0, 5,        5, 6, 7, 8,  // offsets
                                            1, 1, 0, 2, 1,                     // ranks
                                            3, 2, 4};                          // sorted
  Bytes expected(words.size() * 4);
  std::memcpy(expected.data(), words.data(), expected.size());
  for (const int attribute : {0x03, 0x82, 0x00, 0x00, 0x80}) {
    expected.push_back(static_cast<std::uint8_t>(attribute));
  }
  for (const char byte : std::string("<unk>bab")) {
    expected.push_back(static_cast<std::uint8_t>(byte));
  }
  EXPECT_EQ(build_tokenizer_section(vocabulary), expected);
}

TEST(TokenizerSection, RanksKeepTheOrderAndTheEqualityOfScores) {
  const test::Llama2cVocabulary file = test::synthetic_vocabulary();
  const auto size = static_cast<std::uint32_t>(file.pieces.size());
  const Bytes section =
      build_tokenizer_section(read_llama2c_tokenizer(test::format_llama2c(file), size, "p"));
  std::vector<std::int32_t> ranks(size);
  std::memcpy(ranks.data(), section.data() + kTokenizerHeaderBytes + 4 * (size + 1), 4 * size);
  for (std::uint32_t a = 0; a < size; ++a) {
    for (std::uint32_t b = 0; b < size; ++b) {
      EXPECT_EQ(ranks[a] < ranks[b], file.scores[a] < file.scores[b]) << a << " " << b;
    }
  }
}

TEST(TokenizerSection, RefusesAVocabularyThatNoDeviceWouldOpen) {
  Vocabulary good;
  good.entries = {{"a", 0, TokenKind::normal, false}};
  EXPECT_EQ(fault_of_section(good), "");
  EXPECT_NE(fault_of_section(Vocabulary{}), "");
  Vocabulary bad = good;
  bad.bos = 1;
  EXPECT_NE(fault_of_section(bad), "");
  bad = good;
  bad.unknown = 1;
  EXPECT_NE(fault_of_section(bad), "");
  bad = good;
  bad.entries[0].score = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(fault_of_section(bad), "");
  bad = good;
  bad.entries[0].kind = TokenKind::byte;
  EXPECT_NE(fault_of_section(bad), "");
}

}  // namespace
}  // namespace mote::host
