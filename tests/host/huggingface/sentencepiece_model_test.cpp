// SPDX-License-Identifier: Apache-2.0
#include "huggingface/sentencepiece_model.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "support/error.hpp"
#include "support/sentencepiece_writer.hpp"

namespace mote::host {
namespace {

using test::SentencepieceModel;

std::string refusal(const std::vector<std::uint8_t>& bytes) {
  try {
    // Exactly as long as the file, so that a sanitizer sees a read past the end.
    const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
    build_tokenizer_section(read_sentencepiece_model(exact, "t.model"));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void expect_refusal(const std::function<void(SentencepieceModel&)>& change,
                    const std::string& expected) {
  SentencepieceModel model = test::named_sentencepiece(265);
  change(model);
  const std::string message = refusal(write_sentencepiece(model));
  EXPECT_NE(message.find(expected), std::string::npos) << message;
  EXPECT_EQ(message.rfind("t.model: ", 0), 0u) << message;
}

TEST(SentencepieceModel, DeliversItsPieces) {
  SentencepieceModel model = test::named_sentencepiece(265);
  model.pieces[262].text = "\xe2\x96\x81was";
  model.eos_id = -1;
  model.adds_space_prefix = false;
  const std::vector<std::uint8_t> bytes = write_sentencepiece(model);
  const Vocabulary vocabulary = read_sentencepiece_model(bytes, "t.model");
  ASSERT_EQ(vocabulary.entries.size(), 265u);
  EXPECT_EQ(vocabulary.unknown, 0u);
  EXPECT_EQ(vocabulary.bos, 1u);
  EXPECT_EQ(vocabulary.eos, kNoToken);
  EXPECT_EQ(vocabulary.first_byte_token, 3u);
  EXPECT_FALSE(vocabulary.adds_space_prefix);
  EXPECT_FALSE(vocabulary.removes_extra_spaces);
  EXPECT_EQ(vocabulary.entries[262].bytes, " was");
  EXPECT_EQ(vocabulary.entries[262].score, -262);
  EXPECT_EQ(vocabulary.entries[3 + 'x'].bytes, "x");
  EXPECT_EQ(vocabulary.entries[3 + 'x'].kind, TokenKind::byte);
}

TEST(SentencepieceModel, WhatIsNotSupportedIsRefusedByName) {
  expect_refusal([](SentencepieceModel& model) { model.model_type = 1; },
                 "the SentencePiece model_type unigram is not supported; supported: BPE");
  expect_refusal(
      [](SentencepieceModel& model) {
        model.normalizer = "nmt_nfkc";
        model.table = "table";
      },
      "the normalisation nmt_nfkc is not supported; supported: identity");
  expect_refusal([](SentencepieceModel& model) { model.has_space_suffix = true; },
                 "treat_whitespace_as_suffix is not supported; supported: spaces before words");
  expect_refusal([](SentencepieceModel& model) { model.bos_id = 265; },
                 "the beginning token is 265, the vocabulary has 265 tokens");
  expect_refusal([](SentencepieceModel& model) { model.pieces[4].type = 9; },
                 "the type of token 4 is 9, must be 1 to 6");
  expect_refusal([](SentencepieceModel& model) { model.pieces.clear(); },
                 "the number of tokens is 0");
}

TEST(SentencepieceModel, EveryTruncationIsRefusedOrWhole) {
  const SentencepieceModel model = test::named_sentencepiece(20);
  const std::vector<std::uint8_t> whole = write_sentencepiece(model);
  EXPECT_EQ(refusal(whole), "");
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto end = whole.begin() + static_cast<std::ptrdiff_t>(size);
    if (refusal({whole.begin(), end}).empty()) ++accepted;
  }
  // Between trainer_spec and normalizer_spec the message may end.
  EXPECT_EQ(accepted, 1u);
}

TEST(SentencepieceModel, EveryChangedByteIsRefusedOrHarmless) {
  const std::vector<std::uint8_t> whole = write_sentencepiece(test::named_sentencepiece(20));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::vector<std::uint8_t> bytes = whole;
      bytes[i] ^= static_cast<std::uint8_t>(1U << bit);
      refusal(bytes);
    }
  }
}

TEST(SentencepieceModel, NumbersAreAtMostTenBytes) {
  const std::vector<std::uint8_t> endless(20, 0xff);
  EXPECT_EQ(refusal(endless),
            "t.model: not a SentencePiece model: a number is longer than 10 bytes");
  EXPECT_EQ(refusal({0x0b}), "t.model: not a SentencePiece model: field 1 is of wire type 3");
  EXPECT_EQ(refusal({0x0a, 0x05, 0x00}),
            "t.model: not a SentencePiece model: a field needs 5 bytes, 1 are left");
}

}  // namespace
}  // namespace mote::host
