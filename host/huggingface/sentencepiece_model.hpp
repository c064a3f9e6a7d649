// SPDX-License-Identifier: Apache-2.0
// tokenizer.model: the protocol buffer of SentencePiece (sentencepiece_model.proto).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "convert/vocabulary.hpp"

namespace mote::host {

/// Throws `Error` that begins with `path` where the bytes are damaged, the model is no BPE (unigram
/// ones choose tokens otherwise), or it normalises text by a table: NFKC and the like. A model that
/// collapses spaces is read; its text is then not collapsed.
Vocabulary read_sentencepiece_model(std::span<const std::uint8_t> bytes, const std::string& path);

}  // namespace mote::host
