// SPDX-License-Identifier: Apache-2.0
// What the section of a byte-level tokenizer has besides: merges and special tokens.
#include <algorithm>

#include "mote/tokenizer.hpp"

namespace mote {
namespace {

constexpr std::uint32_t kFlags = kTokenizerByteLevel | kTokenizerIgnoresMerges;

bool is_before(const TokenMerge& a, const TokenMerge& b) {
  return a.left != b.left ? a.left < b.left : a.right < b.right;
}

}  // namespace

// Strictly rising pairs of tokens of text, each of which makes a token of text.
bool Tokenizer::merges_are_valid() const {
  for (std::uint32_t i = 0; i < merge_count_; ++i) {
    const TokenMerge& merge = merges_[i];
    if (i > 0 && !is_before(merges_[i - 1], merge)) return false;
    if (merge.rank >= merge_count_) return false;
    if (merge.left >= vocab_size_ || !is_indexed(merge.left)) return false;
    if (merge.right >= vocab_size_ || !is_indexed(merge.right)) return false;
    if (find_joined(piece(merge.left), piece(merge.right)) == kNoToken) return false;
  }
  return true;
}

// Strictly rising ids that all belong there, as many as belong there: the list is complete.
bool Tokenizer::specials_are_valid() const {
  const auto is_special = [this](std::uint32_t token) {
    const bool is_kind =
        kind(token) == TokenKind::control || kind(token) == TokenKind::user_defined;
    return is_kind && !piece(token).empty();
  };
  std::uint32_t expected_count = 0;
  for (std::uint32_t token = 0; token < vocab_size_; ++token) {
    expected_count += is_special(token) ? 1U : 0U;
  }
  if (special_count_ != expected_count) return false;
  for (std::uint32_t i = 0; i < special_count_; ++i) {
    if (specials_[i] >= vocab_size_ || !is_special(specials_[i])) return false;
    if (i == 0) continue;
    const int order = piece(specials_[i - 1]).compare(piece(specials_[i]));
    if (order > 0 || (order == 0 && specials_[i - 1] >= specials_[i])) return false;
  }
  return true;
}

Status Tokenizer::check_byte_level() const {
  const bool valid = (flags_ & ~kFlags) == 0 && pre_tokenizer_ >= 1 &&
                     pre_tokenizer_ <= kMaxPreTokenizer && merges_are_valid() &&
                     specials_are_valid();
  return valid ? Status::ok : Status::image_bad_tokenizer;
}

}  // namespace mote
