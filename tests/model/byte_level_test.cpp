// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE against GPT-2's algorithm written down plainly.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "model/pre_tokenizer.hpp"
#include "mote/tokenizer.hpp"
#include "support/byte_level_model.hpp"

namespace mote {
namespace {

using Tokens = std::vector<std::uint32_t>;

struct Fixture {
  explicit Fixture(const test::ByteLevelTexts& of, PreTokenizer pre = PreTokenizer::gpt2,
                   bool ignores_merges = false)
      : texts(of) {
    host::Vocabulary vocabulary = texts.vocabulary(pre);
    vocabulary.ignores_merges = ignores_merges;
    section = host::build_tokenizer_section(vocabulary);
    EXPECT_EQ(tokenizer.open(section), Status::ok);
  }

  Tokens encode(std::string_view text, EncodeOptions options = {}) const {
    Tokens tokens(Tokenizer::max_tokens(text.size()));
    Tokens scratch(tokens.size());
    std::size_t count = 0;
    EXPECT_EQ(tokenizer.encode(tokens, count, scratch, text, options), Status::ok);
    tokens.resize(count);
    return tokens;
  }

  Tokens encode_marked(std::string_view text) const {
    Tokens tokens(Tokenizer::max_tokens(text.size()));
    Tokens scratch(tokens.size());
    std::size_t count = 0;
    EXPECT_EQ(tokenizer.encode_marked(tokens, count, scratch, text), Status::ok);
    tokens.resize(count);
    return tokens;
  }

  Tokens encode_plainly(std::string_view text) const {
    Tokens tokens;
    PieceSplitter splitter(tokenizer.pre_tokenizer(), text);
    for (auto piece = splitter.next(); !piece.empty(); piece = splitter.next()) {
      for (const std::string& part : test::merge_as_gpt2(texts, piece)) {
        tokens.push_back(texts.token(part));
      }
    }
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

  test::ByteLevelTexts texts;
  std::vector<std::uint8_t> section;
  Tokenizer tokenizer;
};

std::string random_text(std::mt19937& random, std::string_view letters, std::size_t most) {
  std::string text;
  for (std::size_t n = random() % most; n > 0; --n) {
    text +=
        letters.empty() ? static_cast<char>(random() & 0xff) : letters[random() % letters.size()];
  }
  return text;
}

TEST(ByteLevel, MergesAsGpt2) {
  std::mt19937 random(7);
  for (std::uint32_t seed = 0; seed < 6; ++seed) {
    const Fixture fixture(test::random_byte_level(seed, std::size_t{40} << seed));
    for (int i = 0; i < 300; ++i) {
      const std::string_view letters = i % 3 == 0 ? "" : i % 3 == 1 ? "abcthe 12" : "ab";
      const std::string text = random_text(random, letters, 80);
      const Tokens tokens = fixture.encode(text);
      ASSERT_EQ(tokens, fixture.encode_plainly(text)) << seed << testing::PrintToString(text);
      ASSERT_EQ(fixture.decode(tokens), text);
    }
  }
}

TEST(ByteLevel, APairMustStandInTheTable) {
  test::ByteLevelTexts texts = test::random_byte_level(0, 0);
  for (const char* text : {"ab", "abc", "bc"}) texts.add(text, host::PieceKind::normal);
  // "abc" is made of "a" and "bc" alone: "ab" and "c" stay apart.
  texts.merges = {{"a", "b"}, {"b", "c"}, {"a", "bc"}};
  const Fixture first(texts);
  EXPECT_EQ(first.encode("abc"), (Tokens{texts.token("ab"), texts.token("c")}));
  texts.merges = {{"b", "c"}, {"a", "b"}, {"a", "bc"}};
  const Fixture second(texts);
  EXPECT_EQ(second.encode("abc"), (Tokens{texts.token("abc")}));
}

TEST(ByteLevel, TheLeftmostOfEqualPairsMergesFirst) {
  test::ByteLevelTexts texts = test::random_byte_level(0, 0);
  for (const char* text : {"aa", "aaaa"}) texts.add(text, host::PieceKind::normal);
  texts.merges = {{"a", "a"}, {"aa", "aa"}};
  const Fixture fixture(texts);
  const std::uint32_t four = texts.token("aaaa");
  EXPECT_EQ(fixture.encode("aaa"), (Tokens{texts.token("aa"), texts.token("a")}));
  EXPECT_EQ(fixture.encode("aaaaaaaaaaa"),
            (Tokens{four, four, texts.token("aa"), texts.token("a")}));
}

TEST(ByteLevel, APieceThatIsATokenMayIgnoreMerges) {
  test::ByteLevelTexts texts = test::random_byte_level(0, 0);
  for (const char* text : {"ab", "abc"}) texts.add(text, host::PieceKind::normal);
  texts.merges = {{"a", "b"}};
  EXPECT_EQ(Fixture(texts).encode("abc"), (Tokens{texts.token("ab"), texts.token("c")}));
  const Fixture whole(texts, PreTokenizer::gpt2, true);
  EXPECT_EQ(whole.encode("abc"), (Tokens{texts.token("abc")}));
  EXPECT_EQ(whole.encode("abcb"), (Tokens{texts.token("ab"), texts.token("c"), texts.token("b")}));
}

TEST(ByteLevel, SpecialTokensAreFoundWhereTheCallerAsks) {
  test::ByteLevelTexts texts = test::random_byte_level(0, 0);
  const std::uint32_t longer = texts.add("<|im_end|>\n", host::PieceKind::control);
  const std::uint32_t tool = texts.token("<tool>");
  const std::uint32_t end = texts.token("<|im_end|>");
  const Fixture fixture(texts);
  const Tokens plain = fixture.encode("<|im_end|>");
  EXPECT_EQ(plain.size(), 10U);
  EXPECT_EQ(fixture.decode(plain), "<|im_end|>");
  EXPECT_EQ(fixture.encode_marked("<|im_end|>"), Tokens{end});
  EXPECT_EQ(fixture.encode_marked("<|im_end|>\n<|im_end|>"), (Tokens{longer, end}));
  EXPECT_EQ(fixture.encode("a<tool>b<tool"), (Tokens{'a', tool, 'b', '<', 't', 'o', 'o', 'l'}));
  EXPECT_EQ(fixture.encode_marked("<tool><|im_end|>"), (Tokens{tool, end}));
  EXPECT_EQ(fixture.encode("<<tool>>"), (Tokens{'<', tool, '>'}));
  EXPECT_EQ(fixture.decode({tool, end, 'a'}), "<tool>a");
}

TEST(ByteLevel, TheLeftmostAndThenTheLongestSpecialTokenWins) {
  test::ByteLevelTexts texts = test::random_byte_level(0, 0);
  const std::uint32_t ab = texts.add("ab", host::PieceKind::user_defined);
  const std::uint32_t bcd = texts.add("bcd", host::PieceKind::user_defined);
  const std::uint32_t abc = texts.add("abce", host::PieceKind::user_defined);
  texts.add("abcef", host::PieceKind::control);
  const std::uint32_t again = texts.add("ab", host::PieceKind::user_defined);
  const Fixture fixture(texts);
  EXPECT_GT(again, ab);
  EXPECT_EQ(fixture.encode("abcd"), (Tokens{ab, 'c', 'd'}));
  EXPECT_EQ(fixture.encode("bcd"), Tokens{bcd});
  EXPECT_EQ(fixture.encode("abcef"), (Tokens{abc, 'f'}));
}

TEST(ByteLevel, BeginningAndEnd) {
  test::ByteLevelTexts texts = test::random_byte_level(0, 0);
  host::ByteLevelModel model = texts.model();
  model.special.bos = texts.token("<|im_start|>");
  model.special.eos = texts.token("<|endoftext|>");
  const auto section =
      host::build_tokenizer_section(host::make_byte_level_vocabulary(model, "test"));
  Tokenizer tokenizer;
  ASSERT_EQ(tokenizer.open(section), Status::ok);
  Tokens tokens(10);
  Tokens scratch(10);
  std::size_t count = 0;
  ASSERT_EQ(tokenizer.encode(tokens, count, scratch, "a", {.bos = true, .eos = true}), Status::ok);
  tokens.resize(count);
  EXPECT_EQ(tokens, (Tokens{model.special.bos, 'a', model.special.eos}));
  ASSERT_EQ(tokenizer.encode(tokens, count, scratch, "", {.bos = false}), Status::ok);
  EXPECT_EQ(count, 0U);
}

// A byte of no UTF-8 that has no token; all others must have one.
TEST(ByteLevel, AByteWithoutATokenIsUnknown) {
  test::ByteLevelTexts texts = test::random_byte_level(0, 0);
  texts.kinds[0xff] = host::PieceKind::unknown;
  const Fixture fixture(texts);
  EXPECT_EQ(fixture.tokenizer.unknown(), 0xffU);
  EXPECT_EQ(fixture.encode("a\xff"), (Tokens{'a', 0xff}));
}

// One piece of a million bytes: with n^2 steps this would take hours.
TEST(ByteLevel, LongPiecesTakeBoundedTime) {
  const Fixture fixture(test::random_byte_level(3, 300));
  std::mt19937 random(11);
  std::string text;
  for (int i = 0; i < 1 << 20; ++i) text += "abcthe"[random() % 6];
  EXPECT_EQ(fixture.decode(fixture.encode(text)), text);
  const std::string same(1 << 20, 'a');
  EXPECT_EQ(fixture.decode(fixture.encode(same)), same);
}

}  // namespace
}  // namespace mote
