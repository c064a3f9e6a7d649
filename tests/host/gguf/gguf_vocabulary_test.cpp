// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_vocabulary.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/error.hpp"
#include "support/expect_refusal.hpp"
#include "support/gguf_writer.hpp"
#include "support/mapped_file.hpp"
#include "support/named_model.hpp"

namespace mote::host {
namespace {

using test::GgufWriter;

struct Lists {
  std::vector<std::string> texts = test::named_vocabulary(270);
  std::vector<float> scores = std::vector<float>(270);
  std::vector<std::int32_t> types = std::vector<std::int32_t>(270, 1);
  std::string model = "llama";

  Lists() {
    types[0] = 2;
    types[1] = types[2] = 3;
    for (std::size_t i = 3; i < 259; ++i) types[i] = 6;
    for (std::size_t i = 259; i < 270; ++i) scores[i] = -static_cast<float>(i);
  }
};

Vocabulary read(const Lists& lists, const std::function<void(GgufWriter&)>& change = {}) {
  GgufWriter writer;
  writer.add_string("tokenizer.ggml.model", lists.model);
  writer.add_strings("tokenizer.ggml.tokens", lists.texts);
  writer.add_f32s("tokenizer.ggml.scores", lists.scores);
  if (!lists.types.empty()) writer.add_i32s("tokenizer.ggml.token_type", lists.types);
  if (change) change(writer);
  const std::vector<std::uint8_t> bytes = writer.file();
  return read_gguf_sentencepiece(GgufFile(bytes, "m.gguf"));
}

void expect_refusal(const Lists& lists, const std::string& expected,
                    const std::function<void(GgufWriter&)>& change = {}) {
  test::expect_refusal("m.gguf", expected, [&] { read(lists, change); });
}

TEST(GgufVocabulary, PiecesBecomeTokens) {
  Lists lists;
  lists.texts[262] = "\xe2\x96\x81the\xe2\x96\x81";
  lists.texts[263] = "<0x41>";  // a normal piece that only looks like a byte
  const Vocabulary vocabulary = read(lists);
  ASSERT_EQ(vocabulary.entries.size(), 270u);
  EXPECT_EQ(vocabulary.bos, 1u);
  EXPECT_EQ(vocabulary.eos, 2u);
  EXPECT_EQ(vocabulary.unknown, 0u);
  EXPECT_EQ(vocabulary.first_byte_token, 3u);
  EXPECT_TRUE(vocabulary.adds_space_prefix);
  EXPECT_EQ(vocabulary.entries[0].kind, TokenKind::unknown);
  EXPECT_EQ(vocabulary.entries[1].kind, TokenKind::control);
  EXPECT_EQ(vocabulary.entries[3 + 'A'].kind, TokenKind::byte);
  EXPECT_EQ(vocabulary.entries[3 + 'A'].bytes, "A");
  EXPECT_EQ(vocabulary.entries[3].bytes, std::string(1, '\0'));
  EXPECT_EQ(vocabulary.entries[262].bytes, " the ");
  EXPECT_EQ(vocabulary.entries[262].score, -262);
  EXPECT_EQ(vocabulary.entries[263].bytes, "<0x41>");
  EXPECT_EQ(vocabulary.entries[263].kind, TokenKind::normal);
  EXPECT_TRUE(vocabulary.entries[2].ends_text);
  EXPECT_FALSE(vocabulary.entries[262].ends_text);
  EXPECT_FALSE(build_tokenizer_section(vocabulary).empty());
}

TEST(GgufVocabulary, SpecialTokensAreTheFiles) {
  Lists lists;
  lists.texts[268] = "<|im_end|>";
  lists.types[268] = 4;
  lists.types[269] = 5;
  const Vocabulary vocabulary = read(lists, [](GgufWriter& writer) {
    writer.add_u32("tokenizer.ggml.bos_token_id", 260);
    writer.add_u32("tokenizer.ggml.eos_token_id", 261);
    writer.add_u32("tokenizer.ggml.eot_token_id", 262);
    writer.add_u32("tokenizer.ggml.unknown_token_id", 0xffffffffU);
    writer.add_bool("tokenizer.ggml.add_space_prefix", false);
  });
  EXPECT_EQ(vocabulary.bos, 260u);
  EXPECT_EQ(vocabulary.eos, 261u);
  EXPECT_EQ(vocabulary.unknown, 0u);
  EXPECT_FALSE(vocabulary.adds_space_prefix);
  EXPECT_TRUE(vocabulary.entries[261].ends_text);
  EXPECT_TRUE(vocabulary.entries[262].ends_text);
  EXPECT_TRUE(vocabulary.entries[268].ends_text);
  EXPECT_EQ(vocabulary.entries[268].kind, TokenKind::user_defined);
  EXPECT_EQ(vocabulary.entries[269].kind, TokenKind::control);
  const Vocabulary without = read(
      lists, [](GgufWriter& writer) { writer.add_bool("tokenizer.ggml.add_bos_token", false); });
  EXPECT_EQ(without.bos, kNoToken);
}

TEST(GgufVocabulary, NormalisationIsAppliedOrRefused) {
  EXPECT_FALSE(read({}).removes_extra_spaces);
  const Vocabulary vocabulary = read({}, [](GgufWriter& writer) {
    writer.add_bool("tokenizer.ggml.remove_extra_whitespaces", true);
  });
  EXPECT_TRUE(vocabulary.removes_extra_spaces);
  try {
    read({}, [](GgufWriter& writer) {
      writer.add_i32s("tokenizer.ggml.precompiled_charsmap", {1, 2});
    });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what())
                  .find("tokenizer.ggml.precompiled_charsmap: a normalisation by a table is not "
                        "supported; supported: none"),
              std::string::npos)
        << error.what();
  }
}

TEST(GgufVocabulary, TypesMayBeMissing) {
  Lists lists;
  lists.types.clear();
  const Vocabulary vocabulary = read(lists);
  EXPECT_EQ(vocabulary.entries[0].kind, TokenKind::unknown);
  EXPECT_EQ(vocabulary.entries[2].kind, TokenKind::control);
  EXPECT_EQ(vocabulary.entries[258].kind, TokenKind::byte);
  EXPECT_EQ(vocabulary.entries[259].kind, TokenKind::normal);
}

TEST(GgufVocabulary, DamagedListsAreRefused) {
  Lists lists;
  lists.model = "gpt2";
  expect_refusal(lists, "tokenizer.ggml.model is \"gpt2\", must be \"llama\"");
  lists = {};
  lists.scores.pop_back();
  expect_refusal(lists, "tokenizer.ggml.scores: its length is 269, must be 270 to 270");
  lists = {};
  lists.types.push_back(1);
  expect_refusal(lists, "tokenizer.ggml.token_type: its length is 271");
  lists = {};
  lists.types[5] = 7;
  expect_refusal(lists, "the type of token 5 is 7, must be 1 to 6");
  lists = {};
  lists.types[258] = 1;
  expect_refusal(lists, "255 tokens of bytes, must be none or 256");
  lists = {};
  lists.types[262] = 6;
  expect_refusal(lists, "token 262, \"d\", is a byte, must be spelled like <0x41>");
  lists = {};
  std::swap(lists.texts[10], lists.texts[11]);
  expect_refusal(lists, "is a byte out of place");
  lists = {};
  lists.scores[262] = std::numeric_limits<float>::quiet_NaN();
  expect_refusal(lists, "token 262, \"d\", has no number as its score");
  expect_refusal({}, "the end token is 270, the vocabulary has 270 tokens",
                 [](GgufWriter& writer) { writer.add_u32("tokenizer.ggml.eos_token_id", 270); });
}

TEST(GgufVocabulary, TheSharedVocabularyIsRead) {
  const std::string path = std::string(MOTE_SHARED_DIR) + "/tokenizers/ggml-vocab-llama-spm.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const MappedFile file(path);
  const Vocabulary vocabulary = read_gguf_sentencepiece(GgufFile(file.bytes(), path));
  EXPECT_EQ(vocabulary.entries.size(), 32000u);
  EXPECT_EQ(vocabulary.first_byte_token, 3u);
  EXPECT_EQ(vocabulary.entries[278].bytes, " the");
  EXPECT_FALSE(build_tokenizer_section(vocabulary).empty());
}

}  // namespace
}  // namespace mote::host
