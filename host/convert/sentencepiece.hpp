// SPDX-License-Identifier: Apache-2.0
// Vocabularies of SentencePiece (BPE with byte fallback), as GGUF files and tokenizer.model spell
// them: U+2581 for a space, "<0x41>" for a byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "convert/special_tokens.hpp"
#include "convert/vocabulary.hpp"

namespace mote::host {

/// Kinds of pieces with the numbers that both formats use (sentencepiece_model.proto).
enum class PieceKind : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

struct Piece {
  std::string_view text;
  float score = 0;
  PieceKind kind = PieceKind::normal;
};

/// Throws `Error` that begins with `where` for a kind that is none, for byte pieces that are not
/// 256 in a row, for scores that are no numbers and for special tokens out of range. Unused pieces
/// become control tokens, which no text matches and which have no text. The beginning and the end
/// of a text end it, and so do the tokens by which chat models end a turn.
Vocabulary make_sentencepiece_vocabulary(const std::vector<Piece>& pieces,
                                         const SpecialTokens& special, bool adds_space_prefix,
                                         std::string_view where);

/// Throws `Error` where `number` is none of PieceKind.
PieceKind to_piece_kind(std::int64_t number, std::uint32_t token, std::string_view where);

}  // namespace mote::host
