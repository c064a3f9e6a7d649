// SPDX-License-Identifier: Apache-2.0
// The tokenizer of a model, wherever it stands.
#pragma once

#include <cstdint>
#include <string>

#include "convert/vocabulary.hpp"

namespace mote::host {

/// Reads the tokenizer in the file `tokenizer`: of GGUF, of SentencePiece (tokenizer.model), of
/// Hugging Face (tokenizer.json) or of llama2.c, by what its first bytes say. Where `tokenizer` is
/// empty it is that of `source`, a GGUF file or a Hugging Face folder. `vocab_size` is the model's.
/// Throws `Error` that names the file where there is none, it is damaged or it is not supported.
Vocabulary open_vocabulary(const std::string& source, const std::string& tokenizer,
                           std::uint32_t vocab_size);

}  // namespace mote::host
