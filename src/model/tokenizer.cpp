// SPDX-License-Identifier: Apache-2.0
// The tokenizer section: its complete validation, and the way from tokens back to text.
#include "mote/tokenizer.hpp"

#include <algorithm>
#include <bit>

namespace mote {

// The section is used where it lies, so its words must be the processor's.
static_assert(std::endian::native == std::endian::little);

namespace {

constexpr std::uint32_t kMaxVocabSize = 1U << 20;
constexpr std::uint32_t kByteTokens = 256;
constexpr std::uint32_t kSentencePieceFlags = kTokenizerAddsSpacePrefix | kTokenizerByteFallback |
                                              kTokenizerHasUserDefined |
                                              kTokenizerRemovesExtraSpaces;
constexpr std::uint32_t kHeaderWords = kTokenizerHeaderBytes / 4;
constexpr std::uint32_t kMergeWords = sizeof(TokenMerge) / 4;

bool is_token_or_none(std::uint32_t token, std::uint32_t vocab_size) {
  return token < vocab_size || token == kNoToken;
}

}  // namespace

bool Tokenizer::read_header(std::span<const std::uint8_t> section) {
  if (section.size() < kTokenizerHeaderBytes) return false;
  const auto* words = reinterpret_cast<const std::uint32_t*>(section.data());
  vocab_size_ = words[0];
  text_bytes_ = words[1];
  max_piece_bytes_ = words[2];
  bos_ = words[3];
  eos_ = words[4];
  unknown_ = words[5];
  flags_ = words[6];
  sorted_count_ = words[7];
  first_byte_token_ = words[8];
  pre_tokenizer_ = words[9];
  merge_count_ = words[10];
  special_count_ = words[11];
  const std::uint32_t rank_count = is_byte_level() ? 0 : vocab_size_;
  // Each count is below 2^32 and each entry has few bytes: no overflow in 64 bits.
  const std::uint64_t words_count = kHeaderWords + 1ULL + vocab_size_ + rank_count + sorted_count_ +
                                    std::uint64_t{kMergeWords} * merge_count_ + special_count_;
  if (4 * words_count + vocab_size_ + text_bytes_ != section.size()) return false;
  offsets_ = words + kHeaderWords;
  ranks_ = reinterpret_cast<const std::int32_t*>(offsets_ + vocab_size_ + 1);
  sorted_ = offsets_ + vocab_size_ + 1 + rank_count;
  merges_ = reinterpret_cast<const TokenMerge*>(sorted_ + sorted_count_);
  specials_ = sorted_ + sorted_count_ + std::size_t{kMergeWords} * merge_count_;
  attributes_ = section.data() + 4 * words_count;
  text_ = reinterpret_cast<const char*>(attributes_ + vocab_size_);
  return true;
}

bool Tokenizer::header_is_valid() const {
  if (vocab_size_ == 0 || vocab_size_ > kMaxVocabSize) return false;
  if (!is_token_or_none(bos_, vocab_size_) || !is_token_or_none(eos_, vocab_size_)) return false;
  if (unknown_ >= vocab_size_) return false;
  // check_byte_level has the rest.
  if (is_byte_level()) return first_byte_token_ == kNoToken;
  if ((flags_ & ~kSentencePieceFlags) != 0) return false;
  if ((pre_tokenizer_ | merge_count_ | special_count_) != 0) return false;
  if ((flags_ & kTokenizerByteFallback) == 0) return first_byte_token_ == kNoToken;
  return first_byte_token_ < vocab_size_;
}

bool Tokenizer::offsets_are_valid() const {
  if (offsets_[0] != 0 || offsets_[vocab_size_] != text_bytes_) return false;
  std::uint32_t longest = 0;
  for (std::uint32_t token = 0; token < vocab_size_; ++token) {
    if (offsets_[token + 1] < offsets_[token]) return false;
    longest = std::max<std::uint32_t>(longest, offsets_[token + 1] - offsets_[token]);
  }
  return longest == max_piece_bytes_;
}

bool Tokenizer::is_byte_run(std::uint32_t token) const {
  return first_byte_token_ != kNoToken && token - first_byte_token_ < kByteTokens;
}

bool Tokenizer::attributes_are_valid() const {
  const bool has_user_defined = is_byte_level() || (flags_ & kTokenizerHasUserDefined) != 0;
  const TokenKind last = has_user_defined ? TokenKind::user_defined : TokenKind::unknown;
  for (std::uint32_t token = 0; token < vocab_size_; ++token) {
    const std::uint8_t kind = attributes_[token] & kTokenKindMask;
    if ((attributes_[token] & ~(kTokenKindMask | kTokenEnd)) != 0) return false;
    if (kind > static_cast<std::uint8_t>(last)) return false;
  }
  return true;
}

// A byte token stands where byte fallback finds it, and holds that byte.
bool Tokenizer::bytes_are_valid() const {
  for (std::uint32_t token = 0; token < vocab_size_; ++token) {
    if (kind(token) != TokenKind::byte) continue;
    const std::string_view bytes = piece(token);
    if (!is_byte_run(token) || bytes.size() != 1) return false;
    if (static_cast<std::uint8_t>(bytes[0]) != token - first_byte_token_) return false;
  }
  return true;
}

bool Tokenizer::is_indexed(std::uint32_t token) const {
  // A byte-level tokenizer has an index of its own for the others.
  const bool is_text = kind(token) == TokenKind::normal ||
                       (kind(token) == TokenKind::user_defined && !is_byte_level());
  return is_text && !piece(token).empty();
}

// Strictly rising ids that all belong there, as many as belong there: the index is complete.
bool Tokenizer::index_is_valid() const {
  std::uint32_t expected_count = 0;
  for (std::uint32_t token = 0; token < vocab_size_; ++token) {
    expected_count += is_indexed(token) ? 1U : 0U;
  }
  if (sorted_count_ != expected_count) return false;
  for (std::uint32_t i = 0; i < sorted_count_; ++i) {
    if (sorted_[i] >= vocab_size_ || !is_indexed(sorted_[i])) return false;
    if (i == 0) continue;
    const int order = piece(sorted_[i - 1]).compare(piece(sorted_[i]));
    if (order > 0 || (order == 0 && sorted_[i - 1] >= sorted_[i])) return false;
  }
  return true;
}

Status Tokenizer::open(std::span<const std::uint8_t> section) {
  if (reinterpret_cast<std::uintptr_t>(section.data()) % alignof(std::uint32_t) != 0) {
    return Status::image_misaligned;
  }
  Tokenizer opened;
  const bool valid = opened.read_header(section) && opened.header_is_valid() &&
                     opened.offsets_are_valid() && opened.attributes_are_valid() &&
                     opened.bytes_are_valid() && opened.index_is_valid();
  if (!valid) return Status::image_bad_tokenizer;
  const Status status = opened.is_byte_level() ? opened.check_byte_level() : Status::ok;
  if (status == Status::ok) *this = opened;
  return status;
}

std::string_view Tokenizer::piece(std::uint32_t token) const {
  if (token >= vocab_size_) return {};
  return {text_ + offsets_[token], offsets_[token + 1] - offsets_[token]};
}

TokenKind Tokenizer::kind(std::uint32_t token) const {
  if (token >= vocab_size_) return TokenKind::unknown;
  return static_cast<TokenKind>(attributes_[token] & kTokenKindMask);
}

bool Tokenizer::is_end(std::uint32_t token) const {
  return token < vocab_size_ && (attributes_[token] & kTokenEnd) != 0;
}

std::string_view Tokenizer::decode(std::uint32_t previous, std::uint32_t token) const {
  if (kind(token) == TokenKind::control) return {};
  std::string_view text = piece(token);
  const bool begins = previous == kNoToken || previous == bos_;
  const bool drops_space = begins && (flags_ & kTokenizerAddsSpacePrefix) != 0;
  if (drops_space && !text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

}  // namespace mote
