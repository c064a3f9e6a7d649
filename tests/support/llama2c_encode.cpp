// SPDX-License-Identifier: Apache-2.0
#include "support/llama2c_encode.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace mote::test {
namespace {

template <typename Number>
Number take_number(std::span<const std::uint8_t>& rest) {
  if (rest.size() < sizeof(Number)) throw std::out_of_range("the file ends inside a number");
  Number value;
  std::memcpy(&value, rest.data(), sizeof(Number));
  rest = rest.subspan(sizeof(Number));
  return value;
}

template <typename Number>
void append_number(std::vector<std::uint8_t>& file, Number value) {
  const std::size_t end = file.size();
  file.resize(end + sizeof(Number));
  std::memcpy(file.data() + end, &value, sizeof(Number));
}

std::string spell_byte(unsigned byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", byte);
  return text;
}

}  // namespace

Llama2cVocabulary parse_llama2c(std::span<const std::uint8_t> file) {
  Llama2cVocabulary vocabulary;
  take_number<std::int32_t>(file);
  while (!file.empty()) {
    vocabulary.scores.push_back(take_number<float>(file));
    const auto length = static_cast<std::size_t>(take_number<std::int32_t>(file));
    if (length > file.size()) throw std::out_of_range("the file ends inside a piece");
    vocabulary.pieces.emplace_back(file.begin(), file.begin() + static_cast<long>(length));
    file = file.subspan(length);
  }
  return vocabulary;
}

std::vector<std::uint8_t> format_llama2c(const Llama2cVocabulary& vocabulary) {
  std::size_t longest = 0;
  for (const std::string& piece : vocabulary.pieces) longest = std::max(longest, piece.size());
  std::vector<std::uint8_t> file;
  append_number(file, static_cast<std::int32_t>(longest));
  for (std::size_t token = 0; token < vocabulary.pieces.size(); ++token) {
    const std::string& piece = vocabulary.pieces[token];
    append_number(file, vocabulary.scores[token]);
    append_number(file, static_cast<std::int32_t>(piece.size()));
    file.insert(file.end(), piece.begin(), piece.end());
  }
  return file;
}

Llama2cVocabulary synthetic_vocabulary() {
  Llama2cVocabulary vocabulary;
  const auto add = [&](const std::string& piece, float score) {
    vocabulary.pieces.push_back(piece);
    vocabulary.scores.push_back(score);
  };
  for (const char* special : {"<unk>", "\n<s>\n", "\n</s>\n"}) add(special, 0);
  for (unsigned byte = 0; byte < 256; ++byte) add(spell_byte(byte), 0);
  const std::pair<const char*, float> merges[] = {
      {"ab", -1},   {"bc", -1},  {"abc", -5}, {"aa", -2},     {"aaaa", -3},      {"aaa", -3},
      {" a", -0.5}, {" ab", -9}, {"  ", -4},  {"    ", -4},   {"ab", 7},         {"he", -0.25},
      {"hello", 2}, {"llo", -6}, {"ll", -8},  {" hello", 1},  {"é", -10},        {"éé", -11},
      {"€", -12},   {"😀", -13},  {"😀😀", 3},   {"\xc3", -14},  {"\x80\x80", -15}, {"\xa9", -16},
      {"ca", -1},   {"\n", -17}, {"\n\n", 4}, {"<0x41>", -1}, {"1e30", 1e30F},   {"1e", -1e9F}};
  for (const auto& [piece, score] : merges) add(piece, score);
  for (const char character : std::string(" abcdehlorwi01234<x>A.,")) {
    add(std::string(1, character), -20.0F - static_cast<float>(vocabulary.pieces.size() % 7));
  }
  return vocabulary;
}

Llama2cEncoder::Llama2cEncoder(const Llama2cVocabulary& vocabulary) : vocabulary_(vocabulary) {
  const std::vector<std::string>& pieces = vocabulary_.pieces;
  has_bytes_ = pieces.size() >= 259;
  for (unsigned byte = 0; has_bytes_ && byte < 256; ++byte) {
    has_bytes_ = pieces[3 + byte] == spell_byte(byte);
  }
  // Text never matches the special and the byte tokens, whatever they are spelled like.
  for (std::uint32_t id = has_bytes_ ? 259 : 3; id < pieces.size(); ++id) {
    ids_.emplace(pieces[id], id);
  }
}

void Llama2cEncoder::append_character(std::vector<std::uint32_t>& tokens,
                                      const std::string& character) const {
  if (const auto found = ids_.find(character); found != ids_.end()) {
    tokens.push_back(found->second);
    return;
  }
  for (const char byte : character) {
    // llama2.c reads past the vocabulary where it is shorter; `unknown` stands there instead.
    const std::uint32_t id = 3U + static_cast<unsigned char>(byte);
    tokens.push_back(id < vocabulary_.pieces.size() ? id : 0U);
  }
}

bool Llama2cEncoder::merge_best(std::vector<std::uint32_t>& tokens) const {
  float best_score = -std::numeric_limits<float>::infinity();
  std::size_t best_place = 0;
  std::uint32_t best_id = 0;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const std::string joined = vocabulary_.pieces[tokens[i]] + vocabulary_.pieces[tokens[i + 1]];
    const auto found = ids_.find(joined);
    if (found == ids_.end() || vocabulary_.scores[found->second] <= best_score) continue;
    best_score = vocabulary_.scores[found->second];
    best_place = i;
    best_id = found->second;
  }
  if (best_id == 0) return false;
  tokens[best_place] = best_id;
  tokens.erase(tokens.begin() + static_cast<long>(best_place) + 1);
  return true;
}

std::vector<std::uint32_t> Llama2cEncoder::encode(const std::string& text, bool bos,
                                                  bool eos) const {
  std::vector<std::uint32_t> tokens;
  if (bos) tokens.push_back(1);
  if (!text.empty()) append_character(tokens, " ");
  std::string character;
  for (std::size_t i = 0; i < text.size(); ++i) {
    character += text[i];
    const bool continues = i + 1 < text.size() && (text[i + 1] & 0xc0) == 0x80;
    if (continues && character.size() < 4) continue;
    append_character(tokens, character);
    character.clear();
  }
  while (merge_best(tokens)) continue;
  if (eos) tokens.push_back(2);
  return tokens;
}

}  // namespace mote::test
