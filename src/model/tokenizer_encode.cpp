// SPDX-License-Identifier: Apache-2.0
// From text to tokens; SentencePiece-style, by the rules of llama2.c and SentencePiece.
#include <algorithm>

#include "base/assert.hpp"
#include "mote/tokenizer.hpp"

namespace mote {
namespace {

constexpr std::size_t kMaxCharacterBytes = 4;
constexpr std::size_t kNoPair = SIZE_MAX;

bool is_continuation(char byte) {
  return (static_cast<std::uint8_t>(byte) & 0xc0) == 0x80;
}

// One byte of any kind and the continuation bytes that follow it, whether they belong to it or
// not: llama2.c looks a damaged character up as a whole, too.
std::size_t first_character_bytes(std::string_view text) {
  const std::size_t limit = std::min<std::size_t>(text.size(), kMaxCharacterBytes);
  std::size_t bytes = 1;
  while (bytes < limit && is_continuation(text[bytes])) ++bytes;
  return bytes;
}

// Negative, zero or positive as `bytes` stands before, at or behind `left` and `right` joined.
int compare_joined(std::string_view bytes, std::string_view left, std::string_view right) {
  const std::size_t shared = std::min<std::size_t>(bytes.size(), left.size());
  const int order = std::string_view(bytes.data(), shared).compare(left);
  if (order != 0) return order;
  bytes.remove_prefix(shared);
  return bytes.compare(right);
}

}  // namespace

std::uint32_t Tokenizer::find_joined(std::string_view left, std::string_view right) const {
  if (left.size() + right.size() > max_piece_bytes_) return kNoToken;
  const auto* const end = sorted_ + sorted_count_;
  const auto* const found =
      std::partition_point(sorted_, end, [this, left, right](std::uint32_t token) {
        return compare_joined(piece(token), left, right) < 0;
      });
  return found != end && compare_joined(piece(*found), left, right) == 0 ? *found : kNoToken;
}

std::uint32_t Tokenizer::find(std::string_view bytes) const {
  return find_joined(bytes, {});
}

// Tokens that stand for no text of their own do not merge: llama2.c's byte pieces are spelled
// `<0x41>`, so that nothing they are joined with is in the vocabulary.
std::uint32_t Tokenizer::find_pair(std::uint32_t left, std::uint32_t right) const {
  if (kind(left) != TokenKind::normal || kind(right) != TokenKind::normal) return kNoToken;
  return find_joined(piece(left), piece(right));
}

std::uint32_t Tokenizer::byte_token(std::uint8_t byte) const {
  const std::uint32_t token = first_byte_token_ + byte;
  return first_byte_token_ != kNoToken && token < vocab_size_ ? token : unknown_;
}

// The text that is encoded, in `out`: with its prefix, without spaces that say nothing.
std::string_view Tokenizer::normalize(char* out, std::string_view text) const {
  const bool trims = (flags_ & kTokenizerRemovesExtraSpaces) != 0;
  std::size_t count = 0;
  if (!text.empty() && (flags_ & kTokenizerAddsSpacePrefix) != 0) out[count++] = ' ';
  bool drops_space = trims;
  for (const char byte : text) {
    const bool is_space = byte == ' ';
    if (is_space && drops_space) continue;
    out[count++] = byte;
    drops_space = trims && is_space;
  }
  while (trims && count > 0 && out[count - 1] == ' ') --count;
  return {out, count};
}

// The token that `text` begins with: the longest user-defined one, else that of its first
// character, which has `character` bytes; kNoToken where there is neither.
std::uint32_t Tokenizer::find_first(std::string_view text, std::size_t character) const {
  std::size_t bytes = character;
  if ((flags_ & kTokenizerHasUserDefined) != 0) {
    bytes = std::max<std::size_t>(bytes, std::min<std::size_t>(text.size(), max_piece_bytes_));
  }
  for (; bytes > 0; --bytes) {
    const std::uint32_t token = find({text.data(), bytes});
    if (token == kNoToken) continue;
    if (bytes == character || kind(token) == TokenKind::user_defined) return token;
  }
  return kNoToken;
}

std::size_t Tokenizer::split_characters(std::span<std::uint32_t> tokens,
                                        std::string_view text) const {
  std::size_t count = 0;
  // The prefix is a character of its own, whatever bytes follow it.
  bool is_prefix = (flags_ & kTokenizerAddsSpacePrefix) != 0;
  for (; !text.empty(); is_prefix = false) {
    std::size_t bytes = is_prefix ? 1 : first_character_bytes(text);
    const std::uint32_t token = find_first(text, bytes);
    if (token != kNoToken) {
      tokens[count++] = token;
      bytes = piece(token).size();
    } else {
      for (std::size_t i = 0; i < bytes; ++i) {
        tokens[count++] = byte_token(static_cast<std::uint8_t>(text[i]));
      }
    }
    text.remove_prefix(bytes);
  }
  return count;
}

// The position of the best-ranked pair, the leftmost of equals.
std::size_t Tokenizer::best_pair(std::span<const std::uint32_t> pairs) const {
  std::size_t best = kNoPair;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i] == kNoToken) continue;
    if (best == kNoPair || ranks_[pairs[i]] > ranks_[pairs[best]]) best = i;
  }
  return best;
}

// pairs[i] is the token that tokens[i] and tokens[i + 1] merge to; the last token has no pair. A
// merge changes only the pairs at its two sides, so that the vocabulary is searched twice a merge.
std::size_t Tokenizer::merge_pairs(std::span<std::uint32_t> tokens,
                                   std::span<std::uint32_t> pairs) const {
  std::size_t count = tokens.size();
  const auto refresh = [&](std::size_t i) {
    pairs[i] = i + 1 < count ? find_pair(tokens[i], tokens[i + 1]) : kNoToken;
  };
  for (std::size_t i = 0; i < count; ++i) refresh(i);
  while (true) {
    const std::size_t best = best_pair(pairs.first(count));
    if (best == kNoPair) return count;
    tokens[best] = pairs[best];
    for (std::size_t i = best + 1; i + 1 < count; ++i) {
      tokens[i] = tokens[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --count;
    if (best > 0) refresh(best - 1);
    refresh(best);
  }
}

Status Tokenizer::encode(std::span<std::uint32_t> tokens, std::size_t& count,
                         std::span<std::uint32_t> scratch, std::string_view text,
                         EncodeOptions options) const {
  MOTE_ASSERT(vocab_size_ > 0);
  count = 0;
  const std::size_t needed = max_tokens(text.size());
  if (tokens.size() < needed || scratch.size() < needed) return Status::output_too_small;
  if (options.bos && bos_ != kNoToken) tokens[count++] = bos_;
  const std::span<std::uint32_t> body = tokens.subspan(count);
  if (is_byte_level()) {
    count += encode_byte_level(body, scratch, text, false);
  } else {
    // Until tokens merge, their room serves for the text: four bytes where one more than it is
    // needed.
    text = normalize(reinterpret_cast<char*>(scratch.data()), text);
    count += merge_pairs(body.first(split_characters(body, text)), scratch);
  }
  if (options.eos && eos_ != kNoToken) tokens[count++] = eos_;
  MOTE_ASSERT(count <= needed);
  return Status::ok;
}

}  // namespace mote
