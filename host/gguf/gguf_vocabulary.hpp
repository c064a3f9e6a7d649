// SPDX-License-Identifier: Apache-2.0
// The vocabulary of a GGUF file whose tokenizer.ggml.model is "llama" (SentencePiece) or "gpt2"
// (byte-level BPE).
#pragma once

#include <string>

#include "convert/vocabulary.hpp"
#include "gguf/gguf_file.hpp"

namespace mote::host {

/// tokenizer.ggml.model: "llama" for SentencePiece, "gpt2" for byte-level BPE; empty where the file
/// has no tokenizer.
std::string gguf_tokenizer_model(const GgufFile& file);

/// Throws `Error` that names the file and the key where the tokenizer is another one, or its lists
/// are damaged.
Vocabulary read_gguf_sentencepiece(const GgufFile& file);

/// As above, of byte-level BPE. Throws `Error` too where the pre-tokeniser is not supported.
Vocabulary read_gguf_byte_level(const GgufFile& file);

}  // namespace mote::host
