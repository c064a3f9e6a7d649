// SPDX-License-Identifier: Apache-2.0
// Hugging Face's tokenizer.json with a BPE model: byte-level, or a translation of SentencePiece's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "convert/vocabulary.hpp"

namespace mote::host {

/// Large vocabularies take some 20 MB.
inline constexpr std::size_t kMaxTokenizerJsonBytes = std::size_t{1} << 26;

/// What other files of the folder say of a tokenizer.
struct TokenizerHints {
  std::string eos_token;               // its text; empty where no file names it
  std::vector<std::uint32_t> end_ids;  // tokens that end a text
};

/// Reads tokenizer.json: `vocab_size` tokens, of which those that the file does not name are
/// unused. Throws `Error` that begins with `where` for JSON that is none, for models, normalisers
/// and pre-tokenisers that are not supported, for ids out of range, and for merges that the way of
/// SentencePiece would not give.
Vocabulary parse_tokenizer_json(std::span<const std::uint8_t> bytes, std::uint32_t vocab_size,
                                const TokenizerHints& hints, const std::string& where);

/// As above, of a file, with what tokenizer_config.json, config.json and generation_config.json
/// beside it say.
Vocabulary read_tokenizer_json(const std::string& path, std::uint32_t vocab_size);

}  // namespace mote::host
