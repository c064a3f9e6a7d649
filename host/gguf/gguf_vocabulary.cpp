// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_vocabulary.hpp"

#include <fmt/format.h>

#include "convert/checkpoint_shape.hpp"
#include "convert/printable.hpp"
#include "convert/sentencepiece.hpp"
#include "gguf/gguf_metadata.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kScores = "tokenizer.ggml.scores";
constexpr const char* kCharacterTable = "tokenizer.ggml.precompiled_charsmap";
constexpr const char* kTypes = "tokenizer.ggml.token_type";

/// Without types, pieces are normal but for the byte pieces and the first three (llama's).
PieceKind guess_kind(std::string_view text, std::uint32_t token) {
  if (token == 0) return PieceKind::unknown;
  if (token <= 2) return PieceKind::control;
  const bool is_byte = text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
  return is_byte ? PieceKind::byte : PieceKind::normal;
}

void check_length(const GgufFile& file, const char* key, std::size_t length, std::size_t expected) {
  const auto size = static_cast<std::int64_t>(expected);
  check_range(file.path(), fmt::format("{}: its length", key), static_cast<std::int64_t>(length),
              size, size);
}

std::vector<Piece> read_pieces(const GgufFile& file) {
  const std::vector<std::string_view> texts = list_texts(file, kTokens);
  const std::vector<float> scores = list_floats(file, kScores);
  const std::vector<std::int64_t> types = list_integers(file, kTypes);
  check_length(file, kScores, scores.size(), texts.size());
  if (file.find_value(kTypes) != nullptr) check_length(file, kTypes, types.size(), texts.size());
  std::vector<Piece> pieces;
  for (std::uint32_t token = 0; token < texts.size(); ++token) {
    const PieceKind kind = types.empty() ? guess_kind(texts[token], token)
                                         : to_piece_kind(types[token], token, file.path());
    pieces.push_back({texts[token], scores[token], kind});
  }
  return pieces;
}

/// llama.cpp writes 2^32 - 1 for a token that there is not; so does kNoToken.
std::uint32_t token_or(const GgufFile& file, std::string_view name, std::uint32_t otherwise) {
  return find_u32(file, fmt::format("tokenizer.ggml.{}", name)).value_or(otherwise);
}

SpecialTokens read_special_tokens(const GgufFile& file) {
  SpecialTokens special;
  special.bos = token_or(file, "bos_token_id", 1);
  special.eos = token_or(file, "eos_token_id", 2);
  special.unknown = token_or(file, "unknown_token_id", 0);
  special.ends = {token_or(file, "eot_token_id", kNoToken),
                  token_or(file, "eom_token_id", kNoToken)};
  return special;
}

}  // namespace

std::string gguf_tokenizer_model(const GgufFile& file) {
  return std::string(find_text(file, "tokenizer.ggml.model").value_or(""));
}

Vocabulary read_gguf_sentencepiece(const GgufFile& file) {
  const std::string model = gguf_tokenizer_model(file);
  if (model != "llama") {
    throw Error(fmt::format("{}: tokenizer.ggml.model is \"{}\", must be \"llama\" (SentencePiece)",
                            file.path(), printable(model)));
  }
  if (const GgufValue* table = file.find_value(kCharacterTable); table && table->count != 0) {
    throw Error(fmt::format("{}: {}: a normalisation by a table is not supported; supported: none",
                            file.path(), kCharacterTable));
  }
  const bool adds_space = find_flag(file, "tokenizer.ggml.add_space_prefix").value_or(true);
  const bool adds_bos = find_flag(file, "tokenizer.ggml.add_bos_token").value_or(true);
  Vocabulary vocabulary = make_sentencepiece_vocabulary(
      read_pieces(file), read_special_tokens(file), adds_space, file.path());
  if (!adds_bos) vocabulary.bos = kNoToken;
  vocabulary.removes_extra_spaces =
      find_flag(file, "tokenizer.ggml.remove_extra_whitespaces").value_or(false);
  return vocabulary;
}

}  // namespace mote::host
