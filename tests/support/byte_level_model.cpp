// SPDX-License-Identifier: Apache-2.0
#include "support/byte_level_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <set>

namespace mote::test {
namespace {

using Pair = std::pair<std::string, std::string>;

constexpr std::size_t kLongestToken = 12;

/// Every way to make `text` of two tokens that stand before it.
std::vector<Pair> list_splits(const std::set<std::string>& made, const std::string& text) {
  std::vector<Pair> splits;
  for (std::size_t i = 1; i < text.size(); ++i) {
    const Pair split(text.substr(0, i), text.substr(i));
    if (made.contains(split.first) && made.contains(split.second)) splits.push_back(split);
  }
  return splits;
}

}  // namespace

host::ByteLevelModel ByteLevelTexts::model(PreTokenizer pre_tokenizer) const {
  host::ByteLevelModel model;
  model.pre_tokenizer = pre_tokenizer;
  for (std::size_t i = 0; i < texts.size(); ++i) model.pieces.push_back({texts[i], 0, kinds[i]});
  for (const auto& [left, right] : merges) model.merges.push_back({left, right});
  return model;
}

host::Vocabulary ByteLevelTexts::vocabulary(PreTokenizer pre_tokenizer) const {
  return host::make_byte_level_vocabulary(model(pre_tokenizer), "test");
}

std::uint32_t ByteLevelTexts::token(std::string_view text) const {
  const auto found = std::ranges::find(texts, text);
  EXPECT_NE(found, texts.end()) << text;
  return static_cast<std::uint32_t>(found - texts.begin());
}

std::uint32_t ByteLevelTexts::add(const std::string& text, host::PieceKind kind) {
  texts.push_back(text);
  kinds.push_back(kind);
  return static_cast<std::uint32_t>(texts.size() - 1);
}

ByteLevelTexts random_byte_level(std::uint32_t seed, std::size_t merges) {
  std::mt19937 random(seed);
  ByteLevelTexts result;
  for (int byte = 0; byte < 256; ++byte) {
    result.add(host::map_bytes(std::string(1, static_cast<char>(byte))), host::PieceKind::normal);
  }
  std::set<std::string> made(result.texts.begin(), result.texts.end());
  // Of few letters, so that texts of them merge often and deeply.
  std::vector<std::string> parts = {"a", "b", "c", "t", "h", "e", "\xc4\xa0", "1", "2", "\xc3\x83"};
  while (result.merges.size() < merges) {
    const std::string text = parts[random() % parts.size()] + parts[random() % parts.size()];
    if (text.size() > kLongestToken || !made.insert(text).second) continue;
    std::vector<Pair> splits = list_splits(made, text);
    std::ranges::shuffle(splits, random);
    splits.resize(1 + random() % splits.size());
    for (const Pair& split : splits) result.merges.push_back(split);
    result.add(text, host::PieceKind::normal);
    parts.push_back(text);
  }
  for (const char* text : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    result.add(text, host::PieceKind::control);
  }
  result.add("<tool>", host::PieceKind::user_defined);
  return result;
}

std::vector<std::string> merge_as_gpt2(const ByteLevelTexts& texts, std::string_view piece) {
  std::map<Pair, std::size_t> ranks;
  for (std::size_t i = 0; i < texts.merges.size(); ++i) ranks.emplace(texts.merges[i], i);
  std::vector<std::string> word;
  for (const char byte : piece) word.push_back(host::map_bytes(std::string(1, byte)));
  while (true) {
    std::optional<std::pair<std::size_t, Pair>> best;
    for (std::size_t i = 0; i + 1 < word.size(); ++i) {
      const auto found = ranks.find({word[i], word[i + 1]});
      if (found == ranks.end() || (best && best->first <= found->second)) continue;
      best.emplace(found->second, found->first);
    }
    if (!best) return word;
    std::vector<std::string> merged;
    for (std::size_t i = 0; i < word.size(); ++i) {
      const bool is_pair = i + 1 < word.size() && Pair(word[i], word[i + 1]) == best->second;
      merged.push_back(is_pair ? word[i] + word[i + 1] : word[i]);
      i += is_pair ? 1 : 0;
    }
    word = merged;
  }
}

}  // namespace mote::test
