// SPDX-License-Identifier: Apache-2.0
// Writes tokenizer.model files: protocol buffers of SentencePiece.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mote::test {

struct SentencepieceModel {
  struct Piece {
    std::string text;
    float score = 0;
    std::uint64_t type = 1;  // as host::PieceKind
  };
  std::vector<Piece> pieces;
  std::uint64_t model_type = 2;  // BPE
  std::int64_t unk_id = 0;
  std::int64_t bos_id = 1;
  std::int64_t eos_id = 2;
  bool adds_space_prefix = true;
  bool removes_extra_spaces = false;
  bool has_space_suffix = false;
  std::string normalizer = "identity";
  std::string table;  // precompiled_charsmap
};

/// The pieces of named_vocabulary.
SentencepieceModel named_sentencepiece(std::uint32_t vocab_size);

std::vector<std::uint8_t> write_sentencepiece(const SentencepieceModel& model);

}  // namespace mote::test
