// SPDX-License-Identifier: Apache-2.0
#include "huggingface/tokenizer_json.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/byte_level_model.hpp"
#include "support/error.hpp"
#include "support/expect_refusal.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::json;

const Json kByteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
const Json kSpaces = Json::parse(R"({"type": "Sequence", "normalizers": [
  {"type": "Prepend", "prepend": "▁"},
  {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})");

Json split(const char* regex) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

Json sequence(const std::vector<Json>& steps) {
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

/// As Hugging Face writes `texts`; `pairs`: merges as lists, as newer versions do.
Json write(const test::ByteLevelTexts& texts, bool pairs = false) {
  Json json;
  Json vocabulary = Json::object();
  Json added = Json::array();
  for (std::size_t i = 0; i < texts.texts.size(); ++i) {
    const PieceKind kind = texts.kinds[i];
    if (kind == PieceKind::normal) vocabulary[texts.texts[i]] = i;
    if (kind == PieceKind::normal) continue;
    added.push_back(
        {{"id", i}, {"content", texts.texts[i]}, {"special", kind == PieceKind::control}});
  }
  Json merges = Json::array();
  for (const auto& [left, right] : texts.merges) {
    if (pairs)
      merges.push_back({left, right});
    else
      merges.push_back(left + " " + right);
  }
  json["added_tokens"] = added;
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  json["model"] = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}};
  return json;
}

Vocabulary parse(const Json& json, std::uint32_t vocab_size, const TokenizerHints& hints = {}) {
  const std::string text = json.dump();
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  return parse_tokenizer_json(bytes, vocab_size, hints, "t.json");
}

struct Example {
  test::ByteLevelTexts texts = test::random_byte_level(4, 20);
  Json json = write(texts);
  std::uint32_t size = static_cast<std::uint32_t>(texts.texts.size());

  void expect_refusal(const std::string& expected) const {
    test::expect_refusal("t.json", expected, [&] { parse(json, size); });
  }
};

TEST(TokenizerJson, IsWhatTheSameModelInGgufIs) {
  const Example example;
  const auto expected = build_tokenizer_section(example.texts.vocabulary());
  EXPECT_EQ(build_tokenizer_section(parse(example.json, example.size)), expected);
  EXPECT_EQ(build_tokenizer_section(parse(write(example.texts, true), example.size)), expected);
}

TEST(TokenizerJson, SpecialTokens) {
  Example example;
  example.json["post_processor"] = Json::parse(R"({"type": "Sequence", "processors": [
    {"type": "ByteLevel"},
    {"type": "TemplateProcessing", "single": [
      {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A"}}]}]})");
  example.json["model"]["ignore_merges"] = true;
  const std::uint32_t end = example.texts.token("<|endoftext|>");
  const Vocabulary vocabulary =
      parse(example.json, example.size + 3, {.eos_token = "<|im_end|>", .end_ids = {end, 7}});
  ASSERT_EQ(vocabulary.entries.size(), example.size + 3);
  EXPECT_EQ(vocabulary.bos, example.texts.token("<|im_start|>"));
  EXPECT_EQ(vocabulary.eos, example.texts.token("<|im_end|>"));
  EXPECT_TRUE(vocabulary.entries[end].ends_text);
  EXPECT_TRUE(vocabulary.entries[7].ends_text);
  EXPECT_TRUE(vocabulary.ignores_merges);
  EXPECT_EQ(vocabulary.entries.back().kind, TokenKind::control);
  EXPECT_EQ(vocabulary.entries[example.texts.token("<tool>")].kind, TokenKind::user_defined);
}

TEST(TokenizerJson, PreTokenizersAreRecognisedByTheirPublishedExpressions) {
  const char* const llama3 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
                             R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const char* const qwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                            R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const Json gpt2 = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  Json removed = split(qwen2);
  removed["behavior"] = "Removed";
  removed["invert"] = true;
  const std::vector<std::pair<Json, PreTokenizer>> cases = {
      {gpt2, PreTokenizer::gpt2},
      {sequence({split(llama3), kByteLevel}), PreTokenizer::llama3},
      {sequence({split(qwen2), kByteLevel}), PreTokenizer::qwen2},
      {sequence({removed, kByteLevel}), PreTokenizer::qwen2},
      {sequence({digits, gpt2}), PreTokenizer::smollm},
      {sequence({split("[\r\n]"), split(R"(\s?\p{L}+)"), split(R"(\s?\p{P}+)"),
                 split("[一-龥ࠀ-一가-퟿]+"), digits, kByteLevel}),
       PreTokenizer::deepseek_coder},
  };
  Example example;
  for (const auto& [json, kind] : cases) {
    example.json["pre_tokenizer"] = json;
    EXPECT_EQ(parse(example.json, example.size).pre_tokenizer, kind) << json;
  }
  example.json["pre_tokenizer"] = sequence({split("[a-z]+"), kByteLevel});
  example.expect_refusal(
      "the pre-tokeniser \"[a-z]+\" is not supported; supported: those of GPT-2");
  example.json["pre_tokenizer"] = sequence({{{"type", "Whitespace"}}, kByteLevel});
  example.expect_refusal("the pre-tokeniser \"Whitespace\" is not supported");
  example.json["pre_tokenizer"] = {{"type", "ByteLevel"}};
  example.expect_refusal("add_prefix_space must be false");
  example.json["pre_tokenizer"] = nullptr;
  example.expect_refusal("neither a ByteLevel pre_tokenizer nor byte_fallback");
}

TEST(TokenizerJson, WhatIsNotSupportedIsRefusedByName) {
  const auto refuse = [](const std::function<void(Json&)>& change, const std::string& expected) {
    Example example;
    change(example.json);
    example.expect_refusal(expected);
  };
  refuse([](Json& json) { json["model"]["type"] = "Unigram"; },
         "the model Unigram is not supported");
  refuse([](Json& json) { json["model"]["end_of_word_suffix"] = "</w>"; },
         "end_of_word_suffix must be empty");
  refuse([](Json& json) { json["model"]["dropout"] = 0.1; }, "dropout must be 0");
  refuse(
      [](Json& json) {
        json["normalizer"] = {{"type", "Lowercase"}};
      },
      "the normalizer Lowercase is not supported");
  refuse([](Json& json) { json.erase("model"); }, "model is missing");
  refuse([](Json& json) { json["model"]["vocab"] = 1; }, "vocab must be an object");
  refuse([](Json& json) { json["model"]["vocab"]["a"] = 100000; },
         "the token \"a\" must have a number below");
  refuse([](Json& json) { json["model"]["vocab"]["a"] = -1; },
         "the token \"a\" must have a number below");
  refuse([](Json& json) { json["model"]["vocab"]["a"] = 5; }, "two tokens have the number 5");
  refuse([](Json& json) { json["model"].erase("merges"); }, "merges must be a list");
  for (const Json& merge : {Json("ab"), Json(1), Json({"a"}), Json({"a", 1}), Json("a ")}) {
    refuse([&](Json& json) { json["model"]["merges"][0] = merge; },
           "merges must be a list of pairs of tokens");
  }
  refuse([](Json& json) { json["model"]["merges"][0] = "a zzz"; }, "needs the token \"zzz\"");
  refuse([](Json& json) { json["added_tokens"] = {{{"id", 1}}}; }, "content must be a string");
  refuse(
      [](Json& json) {
        json["added_tokens"] = {{{"content", "x"}}};
      },
      "the token \"x\" must have a number");
  refuse(
      [](Json& json) {
        json["added_tokens"] = {{{"id", 1}, {"content", "x"}, {"lstrip", true}}};
      },
      "lstrip must be false (of \"x\")");
  refuse([](Json& json) { json["added_tokens"] = 1; }, "added_tokens must be a list");
}

TEST(TokenizerJson, NfcIsTaken) {
  Example example;
  example.json["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(parse(example.json, example.size).pre_tokenizer, PreTokenizer::gpt2);
}

/// Unknown, beginning, end, 256 bytes, then letters and what they make.
Json write_sentencepiece(const std::vector<std::string>& pieces,
                         const std::vector<std::string>& merges) {
  Json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (int byte = 0; byte < 256; ++byte) {
    const char* const digits = "0123456789ABCDEF";
    vocabulary[std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">"] = 3 + byte;
  }
  for (const std::string& piece : pieces) vocabulary[piece] = vocabulary.size();
  Json json;
  json["added_tokens"] = {{{"id", 1}, {"content", "<s>"}, {"special", true}},
                          {{"id", 2}, {"content", "</s>"}, {"special", true}}};
  json["normalizer"] = kSpaces;
  json["model"] = {{"type", "BPE"},
                   {"vocab", vocabulary},
                   {"merges", merges},
                   {"byte_fallback", true},
                   {"unk_token", "<unk>"}};
  return json;
}

TEST(TokenizerJson, ATranslationOfSentencePiece) {
  const Json json =
      write_sentencepiece({"▁", "a", "b", "ab", "▁a", "▁ab"}, {"a b", "▁ a", "▁ ab", "▁a b"});
  const Vocabulary vocabulary = parse(json, 265, {.eos_token = "</s>", .end_ids = {}});
  EXPECT_EQ(vocabulary.pre_tokenizer, PreTokenizer::none);
  EXPECT_TRUE(vocabulary.adds_space_prefix);
  EXPECT_EQ(vocabulary.first_byte_token, 3U);
  EXPECT_EQ(vocabulary.unknown, 0U);
  EXPECT_EQ(vocabulary.eos, 2U);
  EXPECT_EQ(vocabulary.entries[264].bytes, " ab");
  EXPECT_EQ(vocabulary.entries[2].kind, TokenKind::control);
  EXPECT_GT(vocabulary.entries[262].score, vocabulary.entries[263].score);
  EXPECT_GT(vocabulary.entries[263].score, vocabulary.entries[264].score);
  EXPECT_FALSE(build_tokenizer_section(vocabulary).empty());
}

TEST(TokenizerJson, MetaspaceSaysWhetherASpaceIsPutBefore) {
  Json json = write_sentencepiece({"▁", "a", "▁a"}, {"▁ a"});
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "never"}, {"split", false}};
  EXPECT_FALSE(parse(json, 262).adds_space_prefix);
  json["pre_tokenizer"]["prepend_scheme"] = "first";
  EXPECT_TRUE(parse(json, 262).adds_space_prefix);
  json["pre_tokenizer"]["split"] = true;
  EXPECT_THROW(parse(json, 262), Error);
  json["pre_tokenizer"] = nullptr;
  EXPECT_THROW(parse(json, 262), Error);
}

TEST(TokenizerJson, MergesThatSentencePieceWouldNotGiveAreRefused) {
  const std::vector<std::string> pieces = {"▁", "a", "b", "ab", "▁a", "▁ab"};
  const std::vector<std::vector<std::string>> lists = {
      {"a b", "▁ a", "▁ ab"},                  // "▁a b" makes "▁ab" too
      {"a b", "▁ ab", "▁ a", "▁a b"},          // the two of "▁ab" lie apart
      {"a b", "▁ a", "▁ ab", "▁a b", "b a"}};  // "ba" is no token
  for (const auto& merges : lists) {
    EXPECT_THROW(parse(write_sentencepiece(pieces, merges), 265), Error) << merges.back();
  }
}

TEST(TokenizerJson, EveryPrefixIsRefused) {
  const Json json = write(test::random_byte_level(4, 2));
  const std::string text = json.dump();
  for (std::size_t length = 0; length < text.size(); length += 7) {
    const std::vector<std::uint8_t> bytes(text.begin(), text.begin() + static_cast<long>(length));
    EXPECT_THROW(parse_tokenizer_json(bytes, 270, {}, "t.json"), Error) << length;
  }
}

}  // namespace
}  // namespace mote::host
