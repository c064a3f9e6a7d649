// SPDX-License-Identifier: Apache-2.0
// Known splits; tests/model/pre_tokenizer_test.py compares random texts with regular expressions.
#include "model/pre_tokenizer.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace mote {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(PreTokenizer kind, std::string_view text) {
  Pieces pieces;
  PieceSplitter splitter(kind, text);
  for (auto piece = splitter.next(); !piece.empty(); piece = splitter.next()) {
    pieces.emplace_back(piece);
  }
  return pieces;
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ(split(PreTokenizer::gpt2, "I've 12  apples,\n\n ok!? it'S"),
            (Pieces{"I", "'ve", " 12", " ", " apples", ",", "\n\n", " ok", "!?", " it", "'", "S"}));
  EXPECT_EQ(split(PreTokenizer::gpt2, "a   "), (Pieces{"a", "   "}));
  EXPECT_EQ(split(PreTokenizer::gpt2, " \tb"), (Pieces{" ", "\t", "b"}));
  EXPECT_EQ(split(PreTokenizer::gpt2, "").size(), 0U);
}

TEST(PreTokenizer, Llama3AndQwen2) {
  EXPECT_EQ(
      split(PreTokenizer::llama3, "I'VE (x)12345 a!\n\n  b  \n c"),
      (Pieces{"I", "'VE", " (", "x", ")", "123", "45", " a", "!\n\n", " ", " b", "  \n", " c"}));
  EXPECT_EQ(split(PreTokenizer::qwen2, "12 3"), (Pieces{"1", "2", " ", "3"}));
  EXPECT_EQ(split(PreTokenizer::llama3, "'\xc5\xbfo"), (Pieces{"'\xc5\xbf", "o"}));
  EXPECT_EQ(split(PreTokenizer::llama3, "_a\r\n"), (Pieces{"_a", "\r\n"}));
}

TEST(PreTokenizer, SmollmSplitsAtDigitsFirst) {
  EXPECT_EQ(split(PreTokenizer::smollm, "a  12 b"), (Pieces{"a", "  ", "1", "2", " b"}));
}

TEST(PreTokenizer, Deepseek) {
  EXPECT_EQ(split(PreTokenizer::deepseek_llm, "Hi there\n\n12 ok.  "),
            (Pieces{"Hi", " there", "\n", "\n", "12", " ok", ".", "  "}));
  EXPECT_EQ(split(PreTokenizer::deepseek_coder, "x = 12;\n"),
            (Pieces{"x", " = ", "1", "2", ";", "\n"}));
}

TEST(PreTokenizer, FalconAndCommon) {
  EXPECT_EQ(split(PreTokenizer::falcon, "a+`1234 b"), (Pieces{"a", "+`", "123", "4", " b"}));
  EXPECT_EQ(split(PreTokenizer::common, "a+`1 234 b"),
            (Pieces{"a", "+", "`", "1", " ", "234", " b"}));
}

TEST(PreTokenizer, PiecesOfAnyBytesAreTheText) {
  std::mt19937 random(3);
  for (std::uint32_t kind = 1; kind <= kMaxPreTokenizer; ++kind) {
    for (int i = 0; i < 200; ++i) {
      std::string text(random() % 100, '\0');
      for (char& c : text) c = static_cast<char>(random());
      std::string joined;
      for (const std::string& piece : split(static_cast<PreTokenizer>(kind), text)) joined += piece;
      ASSERT_EQ(joined, text);
    }
  }
}

// Each of these would make n^2 steps of a rule that looks ahead without bound.
TEST(PreTokenizer, LongRunsTakeBoundedTime) {
  for (std::uint32_t kind = 1; kind <= kMaxPreTokenizer; ++kind) {
    for (const char* unit : {" ", "\n", "a", "1", "'", " \t", "\xe3\x80\x80", "\x80"}) {
      std::string text;
      while (text.size() < 300000) text += unit;
      std::size_t bytes = 0;
      for (const std::string& piece : split(static_cast<PreTokenizer>(kind), text + "x")) {
        bytes += piece.size();
      }
      ASSERT_EQ(bytes, text.size() + 1);
    }
  }
}

}  // namespace
}  // namespace mote
