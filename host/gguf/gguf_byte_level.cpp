// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "convert/byte_level.hpp"
#include "convert/checkpoint_shape.hpp"
#include "convert/printable.hpp"
#include "gguf/gguf_metadata.hpp"
#include "gguf/gguf_vocabulary.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";

std::vector<Piece> read_pieces(const GgufFile& file) {
  const std::vector<std::string_view> texts = list_texts(file, kTokens);
  const std::vector<std::int64_t> types = list_integers(file, kTypes);
  const auto size = static_cast<std::int64_t>(texts.size());
  if (!types.empty()) {
    check_range(file.path(), fmt::format("{}: its length", kTypes),
                static_cast<std::int64_t>(types.size()), size, size);
  }
  std::vector<Piece> pieces;
  for (std::uint32_t token = 0; token < texts.size(); ++token) {
    const PieceKind kind =
        types.empty() ? PieceKind::normal : to_piece_kind(types[token], token, file.path());
    pieces.push_back({texts[token], 0, kind});
  }
  return pieces;
}

/// "left right". A token may begin with a space only in files that spell no bytes.
std::vector<MergeText> read_merges(const GgufFile& file) {
  std::vector<MergeText> merges;
  for (const std::string_view text : list_texts(file, kMerges)) {
    const std::size_t space = text.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == text.size()) {
      throw Error(fmt::format("{}: {}: \"{}\" must be two tokens with a space between", file.path(),
                              kMerges, printable(text)));
    }
    merges.push_back({text.substr(0, space), text.substr(space + 1)});
  }
  return merges;
}

std::uint32_t find_token(const GgufFile& file, std::string_view name) {
  return find_u32(file, fmt::format("tokenizer.ggml.{}", name)).value_or(kNoToken);
}

}  // namespace

Vocabulary read_gguf_byte_level(const GgufFile& file) {
  ByteLevelModel model;
  const std::string_view pre = find_text(file, "tokenizer.ggml.pre").value_or("default");
  model.pre_tokenizer = gguf_pre_tokenizer(pre, file.path());
  // What llama.cpp does with files that say nothing else.
  const bool is_llama3 = model.pre_tokenizer == PreTokenizer::llama3;
  const bool takes_whole_pieces = pre != "dbrx" && pre != "smaug-bpe";
  model.ignores_merges = is_llama3 && takes_whole_pieces;
  const bool adds_bos =
      find_flag(file, "tokenizer.ggml.add_bos_token").value_or(model.ignores_merges);
  model.pieces = read_pieces(file);
  model.merges = read_merges(file);
  model.special.bos = find_token(file, "bos_token_id");
  model.special.eos = find_token(file, "eos_token_id");
  model.special.unknown = find_token(file, "unknown_token_id");
  model.special.ends = {find_token(file, "eot_token_id"), find_token(file, "eom_token_id")};
  Vocabulary vocabulary = make_byte_level_vocabulary(model, file.path());
  if (!adds_bos) vocabulary.bos = kNoToken;
  return vocabulary;
}

}  // namespace mote::host
