// SPDX-License-Identifier: Apache-2.0
// What SentencePiece does before it merges: user-defined pieces, and spaces that say nothing.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "convert/vocabulary.hpp"
#include "mote/tokenizer.hpp"

namespace mote {
namespace {

using Ids = std::vector<std::uint32_t>;

constexpr std::size_t kFlagsOffset = 24;

/// Letters, pairs of them that merge, and user-defined pieces of which some begin like others.
host::Vocabulary make_vocabulary() {
  host::Vocabulary vocabulary;
  const auto add = [&](std::string bytes, TokenKind kind, float score = 0) {
    vocabulary.entries.push_back({std::move(bytes), score, kind, false});
  };
  add("<unk>", TokenKind::unknown);      // 0
  add(" ", TokenKind::normal, -20);      // 1
  add("a", TokenKind::normal, -21);      // 2
  add("b", TokenKind::normal, -22);      // 3
  add("c", TokenKind::normal, -23);      // 4
  add("ab", TokenKind::normal, -1);      // 5
  add("bc", TokenKind::normal, -2);      // 6
  add(" a", TokenKind::normal, -3);      // 7
  add("  ", TokenKind::normal, -4);      // 8
  add("ca", TokenKind::user_defined);    // 9
  add("cab", TokenKind::user_defined);   // 10
  add(" b", TokenKind::user_defined);    // 11
  add("b  b", TokenKind::user_defined);  // 12
  vocabulary.adds_space_prefix = false;
  return vocabulary;
}

Ids encode(const host::Vocabulary& vocabulary, std::string_view text) {
  const std::vector<std::uint8_t> section = build_tokenizer_section(vocabulary);
  Tokenizer tokenizer;
  EXPECT_EQ(tokenizer.open(section), Status::ok);
  Ids tokens(Tokenizer::max_tokens(text.size()));
  Ids scratch(tokens.size(), 0xa5a5a5a5U);
  std::size_t count = 0;
  EXPECT_EQ(tokenizer.encode(tokens, count, scratch, text), Status::ok);
  tokens.resize(count);
  return tokens;
}

TEST(TokenizerUserDefined, pieces_are_found_before_anything_is_merged) {
  const host::Vocabulary vocabulary = make_vocabulary();
  EXPECT_EQ(encode(vocabulary, "bca"), (Ids{3, 9}));
  EXPECT_EQ(encode(vocabulary, "abc"), (Ids{5, 4}));
  EXPECT_EQ(encode(vocabulary, "bcab"), (Ids{3, 10}));
  EXPECT_EQ(encode(vocabulary, "cabab"), (Ids{10, 5}));
  EXPECT_EQ(encode(vocabulary, "a b"), (Ids{2, 11}));
  EXPECT_EQ(encode(vocabulary, "ab  bc"), (Ids{2, 12, 4}));
  EXPECT_EQ(encode(vocabulary, "c"), (Ids{4}));
  EXPECT_EQ(encode(vocabulary, ""), (Ids{}));
}

TEST(TokenizerUserDefined, the_space_that_is_put_before_a_text_belongs_to_it) {
  host::Vocabulary vocabulary = make_vocabulary();
  vocabulary.adds_space_prefix = true;
  EXPECT_EQ(encode(vocabulary, "bb"), (Ids{11, 3}));
  EXPECT_EQ(encode(vocabulary, "ab"), (Ids{1, 5}));
  EXPECT_EQ(encode(vocabulary, "ca"), (Ids{1, 9}));
  EXPECT_EQ(encode(vocabulary, " ca"), (Ids{8, 9}));
  EXPECT_EQ(encode(vocabulary, ""), (Ids{}));
}

TEST(TokenizerUserDefined, extra_spaces_are_removed_where_the_vocabulary_says_so) {
  host::Vocabulary vocabulary = make_vocabulary();
  EXPECT_EQ(encode(vocabulary, " a   a "), (Ids{7, 8, 7, 1}));
  vocabulary.removes_extra_spaces = true;
  EXPECT_EQ(encode(vocabulary, " a   a "), (Ids{2, 7}));
  EXPECT_EQ(encode(vocabulary, "b  b"), (Ids{3, 11}));
  EXPECT_EQ(encode(vocabulary, "   "), (Ids{}));
  vocabulary.adds_space_prefix = true;
  EXPECT_EQ(encode(vocabulary, "  a a  "), (Ids{7, 7}));
  EXPECT_EQ(encode(vocabulary, "   "), (Ids{}));
  EXPECT_EQ(encode(vocabulary, ""), (Ids{}));
}

TEST(TokenizerUserDefined, a_longer_piece_than_the_text_is_not_read) {
  host::Vocabulary vocabulary = make_vocabulary();
  vocabulary.entries.push_back({std::string(300, 'a'), 0, TokenKind::user_defined, false});
  const std::string text(301, 'a');
  EXPECT_EQ(encode(vocabulary, text.substr(0, 2)), (Ids{2, 2}));
  EXPECT_EQ(encode(vocabulary, text), (Ids{13, 2}));
}

TEST(TokenizerUserDefined, a_section_says_whether_there_are_such_pieces) {
  std::vector<std::uint8_t> section = build_tokenizer_section(make_vocabulary());
  EXPECT_EQ(section[kFlagsOffset], kTokenizerHasUserDefined);
  Tokenizer tokenizer;
  section[kFlagsOffset] = 0;
  EXPECT_EQ(tokenizer.open(section), Status::image_bad_tokenizer);
  for (const unsigned flag : {64U, 128U}) {
    section[kFlagsOffset] = static_cast<std::uint8_t>(kTokenizerHasUserDefined | flag);
    EXPECT_EQ(tokenizer.open(section), Status::image_bad_tokenizer);
  }
  host::Vocabulary plain = make_vocabulary();
  plain.entries.resize(9);
  plain.removes_extra_spaces = true;
  section = build_tokenizer_section(plain);
  EXPECT_EQ(section[kFlagsOffset], kTokenizerRemovesExtraSpaces);
  EXPECT_EQ(tokenizer.open(section), Status::ok);
}

}  // namespace
}  // namespace mote
