// SPDX-License-Identifier: Apache-2.0
// llama2.c's tokenizer as plainly as it can be written: the oracle of ours.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace mote::test {

/// The tokens of a tokenizer.bin as the file spells them, byte tokens as `<0x41>`.
struct Llama2cVocabulary {
  std::vector<std::string> pieces;
  std::vector<float> scores;
};

/// Reads the whole file, however many tokens it holds. Throws std::out_of_range where it is
/// damaged.
Llama2cVocabulary parse_llama2c(std::span<const std::uint8_t> file);

/// The bytes of the tokenizer.bin that holds `vocabulary`.
std::vector<std::uint8_t> format_llama2c(const Llama2cVocabulary& vocabulary);

/// 3 special tokens, 256 byte tokens, characters of one to four bytes, merges that compete, equal
/// scores, pieces that occur twice, and pieces that are no valid UTF-8.
Llama2cVocabulary synthetic_vocabulary();

/// Encodes by llama2.c's rules with float scores and a map from strings to ids. Where llama2.c
/// reads out of bounds, the oracle does what SPEC.md says: a byte without a byte token becomes
/// token 0.
class Llama2cEncoder {
 public:
  explicit Llama2cEncoder(const Llama2cVocabulary& vocabulary);
  std::vector<std::uint32_t> encode(const std::string& text, bool bos, bool eos) const;

 private:
  void append_character(std::vector<std::uint32_t>& tokens, const std::string& character) const;
  bool merge_best(std::vector<std::uint32_t>& tokens) const;

  Llama2cVocabulary vocabulary_;
  std::map<std::string, std::uint32_t> ids_;
  bool has_bytes_ = false;
};

}  // namespace mote::test
