// SPDX-License-Identifier: Apache-2.0
// Vocabularies of byte-level BPE, as GGUF files and tokenizer.json spell them: GPT-2's character
// for each byte, and merges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/sentencepiece.hpp"
#include "convert/vocabulary.hpp"

namespace mote::host {

/// The bytes that `text` spells: GPT-2 writes the printable bytes of Latin-1 as themselves and the
/// 68 others as U+0100 and on. Empty where a character stands for no byte.
std::optional<std::string> unmap_bytes(std::string_view text);

/// The other way round.
std::string map_bytes(std::string_view bytes);

/// A pair that merges, both in GPT-2's characters.
struct MergeText {
  std::string_view left;
  std::string_view right;
};

struct ByteLevelModel {
  /// By token; the text of normal ones in GPT-2's characters, of all others as it is.
  std::vector<Piece> pieces;
  std::vector<MergeText> merges;  // the first before all others
  SpecialTokens special;
  PreTokenizer pre_tokenizer = PreTokenizer::gpt2;
  bool ignores_merges = false;
};

/// Throws `Error` that begins with `where` for a token that is no bytes, for a merge whose tokens
/// or whose result are not in the vocabulary, for a byte of UTF-8 without a token and for special
/// tokens out of range. Unused pieces become control tokens without a text. Ends of a text are as
/// with make_sentencepiece_vocabulary.
Vocabulary make_byte_level_vocabulary(const ByteLevelModel& model, std::string_view where);

/// The pre-tokeniser that GGUF files call `name` ("default" where the file names none). Throws
/// `Error` that begins with `where` and names those that there are.
PreTokenizer gguf_pre_tokenizer(std::string_view name, std::string_view where);

/// GGUF's name of a pre-tokeniser.
std::string_view pre_tokenizer_name(PreTokenizer kind);

}  // namespace mote::host
