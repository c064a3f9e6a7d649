// SPDX-License-Identifier: Apache-2.0
// Which tokenizer a Hugging Face folder holds.
#pragma once

#include <cstdint>
#include <string>

#include "convert/vocabulary.hpp"

namespace mote::host {

enum class TokenizerFormat : std::uint8_t {
  none,
  sentencepiece,   // tokenizer.model
  tokenizer_json,  // tokenizer.json
};

struct TokenizerFile {
  TokenizerFormat format = TokenizerFormat::none;
  std::string path;
};

/// Where both are there, tokenizer.model, of which tokenizer.json is a translation; but not where
/// it is none of SentencePiece's (the ranks of tiktoken have the same name).
TokenizerFile find_tokenizer(const std::string& folder);

/// The vocabulary of a tokenizer.model, with the tokens of added_tokens.json beside it, and filled
/// up with control tokens to `vocab_size`: the embedding has often more rows than the tokenizer
/// knows. Throws `Error` that names the file.
Vocabulary read_folder_sentencepiece(const TokenizerFile& file, std::uint32_t vocab_size);

}  // namespace mote::host
