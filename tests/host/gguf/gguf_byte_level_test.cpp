// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE of GGUF files: what is refused, and the ids of published test texts.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "gguf/gguf_vocabulary.hpp"
#include "support/byte_level_model.hpp"
#include "support/error.hpp"
#include "support/expect_refusal.hpp"
#include "support/gguf_writer.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

using test::GgufWriter;
using Tokens = std::vector<std::uint32_t>;

constexpr std::size_t kMerges = 20;

struct Lists {
  test::ByteLevelTexts texts = test::random_byte_level(1, kMerges);
  std::string pre = "gpt-2";
  std::vector<std::string> merges;

  Lists() {
    for (const auto& [left, right] : texts.merges) merges.push_back(left + " " + right);
  }
};

Vocabulary read(const Lists& lists, const std::function<void(GgufWriter&)>& change = {}) {
  GgufWriter writer;
  writer.add_string("tokenizer.ggml.model", "gpt2");
  if (!lists.pre.empty()) writer.add_string("tokenizer.ggml.pre", lists.pre);
  writer.add_strings("tokenizer.ggml.tokens", lists.texts.texts);
  std::vector<std::int32_t> types;
  for (const PieceKind kind : lists.texts.kinds) types.push_back(static_cast<std::int32_t>(kind));
  if (!types.empty()) writer.add_i32s("tokenizer.ggml.token_type", types);
  writer.add_strings("tokenizer.ggml.merges", lists.merges);
  if (change) change(writer);
  const std::vector<std::uint8_t> bytes = writer.file();
  return read_gguf_byte_level(GgufFile(bytes, "m.gguf"));
}

void expect_refusal(const Lists& lists, const std::string& expected,
                    const std::function<void(GgufWriter&)>& change = {}) {
  test::expect_refusal("m.gguf", expected, [&] { read(lists, change); });
}

TEST(GgufByteLevel, TokensAreBytes) {
  Lists lists;
  const std::uint32_t end = lists.texts.token("<|im_end|>");
  const Vocabulary vocabulary =
      read(lists, [&](GgufWriter& writer) { writer.add_u32("tokenizer.ggml.eos_token_id", end); });
  EXPECT_EQ(vocabulary.pre_tokenizer, PreTokenizer::gpt2);
  EXPECT_FALSE(vocabulary.ignores_merges);
  EXPECT_EQ(vocabulary.bos, kNoToken);
  EXPECT_EQ(vocabulary.eos, end);
  EXPECT_EQ(vocabulary.unknown, end);
  EXPECT_EQ(vocabulary.entries[' '].bytes, " ");
  EXPECT_EQ(vocabulary.entries[0].bytes, std::string(1, '\0'));
  EXPECT_EQ(vocabulary.merges.size(), lists.merges.size());
  EXPECT_EQ(vocabulary.entries[end].kind, TokenKind::control);
  EXPECT_TRUE(vocabulary.entries[end].ends_text);
  EXPECT_TRUE(vocabulary.entries[lists.texts.token("<|endoftext|>")].ends_text);
  EXPECT_FALSE(vocabulary.entries[lists.texts.token("<|im_start|>")].ends_text);
  EXPECT_EQ(vocabulary.entries[lists.texts.token("<tool>")].kind, TokenKind::user_defined);
  EXPECT_FALSE(build_tokenizer_section(vocabulary).empty());
}

TEST(GgufByteLevel, ThePreTokenizerIsTheFiles) {
  Lists lists;
  lists.pre = "llama-bpe";
  const auto with_bos = [&](GgufWriter& writer) {
    writer.add_u32("tokenizer.ggml.bos_token_id", 1);
  };
  EXPECT_EQ(read(lists, with_bos).pre_tokenizer, PreTokenizer::llama3);
  EXPECT_TRUE(read(lists, with_bos).ignores_merges);
  EXPECT_EQ(read(lists, with_bos).bos, 1u);
  lists.pre = "starcoder";
  EXPECT_EQ(read(lists, with_bos).pre_tokenizer, PreTokenizer::smollm);
  EXPECT_EQ(read(lists, with_bos).bos, kNoToken);
  lists.pre = "";
  EXPECT_EQ(read(lists).pre_tokenizer, PreTokenizer::common);
  lists.pre = "tekken";
  expect_refusal(lists,
                 "the pre-tokeniser \"tekken\" is not supported; supported: gpt-2 llama-bpe");
}

TEST(GgufByteLevel, AMergeWithASpecialTokenNeverHappens) {
  Lists lists;
  lists.texts.kinds[lists.texts.token(lists.texts.merges.back().first +
                                      lists.texts.merges.back().second)] = PieceKind::user_defined;
  EXPECT_LT(read(lists).merges.size(), lists.merges.size());
}

TEST(GgufByteLevel, RefusesDamagedLists) {
  Lists lists;
  for (const char* merge : {"", "ab", "a ", " b"}) {
    lists.merges.back() = merge;
    expect_refusal(lists, "must be two tokens with a space between");
  }
  lists.merges.back() = "a nonsense";
  expect_refusal(lists, "the merge \"a nonsense\" needs the token \"nonsense\"");
  lists.merges.back() = "z z";
  expect_refusal(lists, "the merge \"z z\" needs the token \"zz\"");
  lists = {};
  lists.texts.texts[5] = "a b";
  expect_refusal(lists, "token 5, \"a b\", has a character that stands for no byte");
  lists = {};
  lists.texts.texts['Q'] = "QQQQ";
  expect_refusal(lists, "no token is the byte 0x51 alone");
  lists = {};
  lists.texts.kinds.pop_back();
  expect_refusal(lists, "tokenizer.ggml.token_type: its length is");
  lists = {};
  expect_refusal(lists, "the end token is 5000",
                 [](GgufWriter& writer) { writer.add_u32("tokenizer.ggml.eos_token_id", 5000); });
  lists.texts.texts.clear();
  lists.texts.kinds.clear();
  expect_refusal(lists, "the number of tokens is 0");
}

TEST(GgufByteLevel, ByteSpellingsGoBothWays) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(unmap_bytes(map_bytes(all)), all);
  EXPECT_EQ(map_bytes(" a\n\xe9"),
            "\xc4\xa0"
            "a\xc4\x8a\xc3\xa9");
  for (const char* text : {" ", "\xc5\x84", "\xc2\xad", "\xe2\x96\x81", "\xc4", "\xff"}) {
    EXPECT_FALSE(unmap_bytes(text)) << text;
  }
}

/// A published vocabulary with its test texts and their ids.
struct SharedVocabulary {
  explicit SharedVocabulary(const std::string& name)
      : path(std::string(MOTE_SHARED_DIR) + "/tokenizers/ggml-vocab-" + name + ".gguf"),
        file(path) {
    const GgufFile gguf(file.bytes(), path);
    const bool is_byte_level = gguf_tokenizer_model(gguf) == "gpt2";
    const Vocabulary vocabulary =
        is_byte_level ? read_gguf_byte_level(gguf) : read_gguf_sentencepiece(gguf);
    section = build_tokenizer_section(vocabulary);
    EXPECT_EQ(tokenizer.open(section), Status::ok);
  }

  std::vector<std::string> texts() const {
    const std::string mark = "\n__ggml_vocab_test__\n";
    std::ifstream stream(path + ".inp", std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(stream), {}};
    std::vector<std::string> result;
    for (std::size_t begin = 0; begin < all.size();) {
      const std::size_t end = std::min(all.find(mark, begin), all.size());
      result.push_back(all.substr(begin, end - begin));
      begin = end + mark.size();
    }
    return result;
  }

  std::vector<Tokens> ids() const {
    std::ifstream stream(path + ".out");
    std::vector<Tokens> result;
    for (std::string line; std::getline(stream, line);) {
      std::istringstream words(line);
      result.emplace_back();
      for (std::uint32_t id = 0; words >> id;) result.back().push_back(id);
    }
    return result;
  }

  std::string path;
  MappedFile file;
  std::vector<std::uint8_t> section;
  Tokenizer tokenizer;
};

class PublishedVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(PublishedVocabulary, GivesTheIdsOfEveryTestTextAndTheTextBack) {
  const SharedVocabulary shared(GetParam());
  const std::vector<std::string> texts = shared.texts();
  const std::vector<Tokens> ids = shared.ids();
  ASSERT_EQ(texts.size(), ids.size());
  ASSERT_GT(texts.size(), 40u);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Tokens tokens(Tokenizer::max_tokens(texts[i].size()));
    Tokens scratch(tokens.size());
    std::size_t count = 0;
    ASSERT_EQ(shared.tokenizer.encode(tokens, count, scratch, texts[i], {.bos = false}),
              Status::ok);
    tokens.resize(count);
    EXPECT_EQ(tokens, ids[i]) << testing::PrintToString(texts[i]);
    std::string decoded;
    std::uint32_t previous = kNoToken;
    for (const std::uint32_t token : tokens) {
      decoded += shared.tokenizer.decode(previous, token);
      previous = token;
    }
    EXPECT_EQ(decoded, texts[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, PublishedVocabulary,
                         testing::Values("gpt-2", "qwen2", "llama-spm"));

}  // namespace
}  // namespace mote::host
