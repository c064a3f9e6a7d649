// SPDX-License-Identifier: Apache-2.0
#include "convert/sentencepiece.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "convert/checkpoint_shape.hpp"
#include "convert/printable.hpp"
#include "mote/config.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581
constexpr std::uint32_t kByteTokens = 256;

std::string with_spaces(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t mark = text.find(kSpaceMark);
    result += text.substr(0, mark);
    if (mark == std::string_view::npos) break;
    result += ' ';
    text.remove_prefix(mark + kSpaceMark.size());
  }
  return result;
}

std::optional<std::uint32_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<std::uint32_t>(c - 'A' + 10);
  if (c >= 'a' && c <= 'f') return static_cast<std::uint32_t>(c - 'a' + 10);
  return {};
}

/// The byte of "<0x41>".
std::optional<std::uint32_t> spelled_byte(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return {};
  const auto high = hex_digit(text[3]);
  const auto low = hex_digit(text[4]);
  if (!high || !low) return {};
  return *high * 16 + *low;
}

TokenKind token_kind(PieceKind kind) {
  switch (kind) {
    case PieceKind::normal:
      return TokenKind::normal;
    case PieceKind::user_defined:
      return TokenKind::user_defined;
    case PieceKind::byte:
      return TokenKind::byte;
    case PieceKind::unknown:
      return TokenKind::unknown;
    case PieceKind::control:
    case PieceKind::unused:
      break;
  }
  return TokenKind::control;
}

class Builder {
 public:
  explicit Builder(std::string_view where) : where_(where) {}

  void add(const Piece& piece) {
    const auto token = static_cast<std::uint32_t>(vocabulary_.entries.size());
    if (std::isnan(piece.score)) fail(token, piece, "has no number as its score");
    VocabularyEntry entry;
    entry.kind = token_kind(piece.kind);
    entry.score = piece.score;
    if (entry.kind == TokenKind::byte) {
      entry.bytes = static_cast<char>(check_byte(token, piece));
    } else {
      entry.bytes = with_spaces(piece.text);
    }
    const bool is_word = piece.kind == PieceKind::normal || entry.kind == TokenKind::byte;
    entry.ends_text = !is_word && ends_a_turn(piece.text);
    vocabulary_.entries.push_back(std::move(entry));
  }

  Vocabulary finish(const SpecialTokens& special, bool adds_space_prefix) {
    if (byte_count_ != 0 && byte_count_ != kByteTokens) {
      throw Error(fmt::format("{}: {} tokens of bytes, must be none or 256", where_, byte_count_));
    }
    if (byte_count_ != 0) vocabulary_.first_byte_token = first_byte_;
    vocabulary_.adds_space_prefix = adds_space_prefix;
    set_special_tokens(vocabulary_, special, where_);
    return std::move(vocabulary_);
  }

 private:
  [[noreturn]] void fail(std::uint32_t token, const Piece& piece, std::string_view fault) const {
    throw Error(
        fmt::format("{}: token {}, \"{}\", {}", where_, token, printable(piece.text), fault));
  }

  std::uint32_t check_byte(std::uint32_t token, const Piece& piece) {
    const auto byte = spelled_byte(piece.text);
    if (!byte) fail(token, piece, "is a byte, must be spelled like <0x41>");
    if (byte_count_ == 0) first_byte_ = token;
    if (*byte != byte_count_ || token != first_byte_ + byte_count_) {
      fail(token, piece, "is a byte out of place: bytes must be 256 tokens in a row");
    }
    ++byte_count_;
    return *byte;
  }

  std::string_view where_;
  Vocabulary vocabulary_;
  std::uint32_t byte_count_ = 0;
  std::uint32_t first_byte_ = 0;
};

}  // namespace

PieceKind to_piece_kind(std::int64_t number, std::uint32_t token, std::string_view where) {
  check_range(where, fmt::format("the type of token {}", token), number, 1, 6);
  return static_cast<PieceKind>(number);
}

Vocabulary make_sentencepiece_vocabulary(const std::vector<Piece>& pieces,
                                         const SpecialTokens& special, bool adds_space_prefix,
                                         std::string_view where) {
  check_range(where, "the number of tokens", static_cast<std::int64_t>(pieces.size()), 1,
              kMaxVocabulary);
  Builder builder(where);
  for (const Piece& piece : pieces) builder.add(piece);
  return builder.finish(special, adds_space_prefix);
}

}  // namespace mote::host
