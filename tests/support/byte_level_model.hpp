// SPDX-License-Identifier: Apache-2.0
// Byte-level vocabularies with random merges, and GPT-2's algorithm written down plainly.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convert/byte_level.hpp"

namespace mote::test {

/// The texts of a byte-level model, in GPT-2's characters, and its merges.
struct ByteLevelTexts {
  std::vector<std::string> texts;
  std::vector<host::PieceKind> kinds;
  std::vector<std::pair<std::string, std::string>> merges;

  /// Views into this, which must outlive them.
  host::ByteLevelModel model(PreTokenizer pre_tokenizer = PreTokenizer::gpt2) const;
  host::Vocabulary vocabulary(PreTokenizer pre_tokenizer = PreTokenizer::gpt2) const;
  /// The token of a text; fails where there is none.
  std::uint32_t token(std::string_view text) const;
  std::uint32_t add(const std::string& text, host::PieceKind kind);
};

/// The 256 bytes as tokens 0 to 255, `merges` random merges of them and of what they made, and
/// where a token can be made in several ways some of the others, each with a rank of its own; then
/// "<|endoftext|>", "<|im_start|>" and "<|im_end|>" (control), and "<tool>" (user-defined).
ByteLevelTexts random_byte_level(std::uint32_t seed, std::size_t merges);

/// GPT-2's loop: find the pair of the lowest rank, merge all of its occurrences from the left,
/// until no pair has a rank. `piece` are bytes; the result are texts in GPT-2's characters.
std::vector<std::string> merge_as_gpt2(const ByteLevelTexts& texts, std::string_view piece);

}  // namespace mote::test
