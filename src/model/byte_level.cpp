// SPDX-License-Identifier: Apache-2.0
// From text to tokens by GPT-2's rules: byte-pair encoding of bytes, piece by piece.
#include <algorithm>

#include "base/assert.hpp"
#include "model/merge_queue.hpp"
#include "model/pre_tokenizer.hpp"
#include "mote/tokenizer.hpp"

namespace mote {
namespace {

/// The tokens of a piece while they merge, in one word a byte. A token stands where its bytes
/// begin; that it has several is marked there, and how many stands in the words of its second and
/// of its last byte. So the tokens at its two sides are found without a search, and nothing moves.
class Symbols {
 public:
  static constexpr std::size_t kMaxBytes = (std::size_t{1} << 30) - 1;

  explicit Symbols(std::span<std::uint32_t> words) : words_(words) {}

  std::size_t end() const { return words_.size(); }
  std::uint32_t token(std::size_t place) const { return words_[place] & ~kMarks; }
  std::size_t next(std::size_t place) const {
    const bool is_long = (words_[place] & kLong) != 0;
    return place + (is_long ? words_[place + 1] & ~kMarks : 1);
  }
  /// Of a place that is not the first.
  std::size_t previous(std::size_t place) const {
    const bool ends_long = (words_[place - 1] & kEndsLong) != 0;
    return place - (ends_long ? words_[place - 1] & ~kMarks : 1);
  }

  /// Two tokens side by side become one.
  void merge(std::size_t left, std::size_t right, std::uint32_t token) {
    const std::size_t after = next(right);
    const auto bytes = static_cast<std::uint32_t>(after - left);
    words_[left] = token | kLong;
    words_[left + 1] = bytes;
    words_[after - 1] = bytes | kEndsLong;
  }

  /// Moves the tokens together at the front; returns how many there are.
  std::size_t pack() {
    std::size_t count = 0;
    for (std::size_t place = 0; place < end(); ++count) {
      const std::size_t after = next(place);
      words_[count] = token(place);
      place = after;
    }
    return count;
  }

 private:
  static constexpr std::uint32_t kLong = 1U << 31;
  static constexpr std::uint32_t kEndsLong = 1U << 30;
  static constexpr std::uint32_t kMarks = kLong | kEndsLong;

  std::span<std::uint32_t> words_;
};

}  // namespace

std::uint32_t Tokenizer::merge_rank(std::uint32_t left, std::uint32_t right) const {
  const auto* const end = merges_ + merge_count_;
  const auto* const found =
      std::partition_point(merges_, end, [left, right](const TokenMerge& merge) {
        return merge.left != left ? merge.left < left : merge.right < right;
      });
  const bool merges = found != end && found->left == left && found->right == right;
  return merges ? found->rank : kNoRank;
}

// scratch[i] is the rank of the pair that begins at place i.
std::size_t Tokenizer::encode_piece(std::span<std::uint32_t> tokens,
                                    std::span<std::uint32_t> scratch,
                                    std::string_view piece) const {
  if ((flags_ & kTokenizerIgnoresMerges) != 0) {
    tokens[0] = find(piece);
    if (tokens[0] != kNoToken) return 1;
  }
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const std::uint32_t token = find({piece.data() + i, 1});
    tokens[i] = token != kNoToken ? token : unknown_;
  }
  Symbols symbols(tokens.first(piece.size()));
  const auto rank_at = [&](std::size_t place) {
    const std::size_t next = symbols.next(place);
    if (next == symbols.end()) return kNoRank;
    return merge_rank(symbols.token(place), symbols.token(next));
  };
  for (std::size_t i = 0; i < piece.size(); ++i) scratch[i] = rank_at(i);
  MergeQueue queue(scratch.first(piece.size()));
  while (true) {
    const std::size_t left = queue.best();
    if (queue.rank(left) == kNoRank) return symbols.pack();
    const std::size_t right = symbols.next(left);
    const std::uint32_t merged =
        find_joined(this->piece(symbols.token(left)), this->piece(symbols.token(right)));
    symbols.merge(left, right, merged);
    queue.set_rank(right, kNoRank);
    queue.set_rank(left, rank_at(left));
    if (left == 0) continue;
    const std::size_t before = symbols.previous(left);
    queue.set_rank(before, rank_at(before));
  }
}

std::size_t Tokenizer::encode_pieces(std::span<std::uint32_t> tokens,
                                     std::span<std::uint32_t> scratch,
                                     std::string_view text) const {
  PieceSplitter splitter(pre_tokenizer(), text);
  std::size_t count = 0;
  for (auto piece = splitter.next(); !piece.empty(); piece = splitter.next()) {
    while (!piece.empty()) {
      const std::string_view part(piece.data(), std::min(piece.size(), Symbols::kMaxBytes));
      count += encode_piece(tokens.subspan(count), scratch, part);
      piece.remove_prefix(part.size());
    }
  }
  return count;
}

// Pieces that begin with the same byte lie together in the list, the beginning of another one
// before it: from the back the first that fits is the longest. Of equal ones the lowest id stands
// first.
std::uint32_t Tokenizer::find_special(std::string_view text, bool special) const {
  const auto* const end = specials_ + special_count_;
  const auto* place = std::partition_point(specials_, end, [this, text](std::uint32_t token) {
    return static_cast<std::uint8_t>(piece(token)[0]) <= static_cast<std::uint8_t>(text[0]);
  });
  std::uint32_t found = kNoToken;
  while (place != specials_ && piece(place[-1])[0] == text[0]) {
    --place;
    const bool counts = special || kind(*place) == TokenKind::user_defined;
    if (!counts || !text.starts_with(piece(*place))) continue;
    if (found != kNoToken && piece(*place).size() < piece(found).size()) break;
    found = *place;
  }
  return found;
}

std::size_t Tokenizer::encode_byte_level(std::span<std::uint32_t> tokens,
                                         std::span<std::uint32_t> scratch, std::string_view text,
                                         bool special) const {
  std::size_t count = 0;
  std::size_t plain = 0;  // bytes before any special token
  while (plain < text.size()) {
    const std::uint32_t token = find_special({text.data() + plain, text.size() - plain}, special);
    if (token == kNoToken) {
      ++plain;
      continue;
    }
    count += encode_pieces(tokens.subspan(count), scratch, {text.data(), plain});
    tokens[count++] = token;
    text.remove_prefix(plain + piece(token).size());
    plain = 0;
  }
  return count + encode_pieces(tokens.subspan(count), scratch, text);
}

Status Tokenizer::encode_marked(std::span<std::uint32_t> tokens, std::size_t& count,
                                std::span<std::uint32_t> scratch, std::string_view text,
                                EncodeOptions options) const {
  if (!is_byte_level()) return encode(tokens, count, scratch, text, options);
  count = 0;
  const std::size_t needed = max_tokens(text.size());
  if (tokens.size() < needed || scratch.size() < needed) return Status::output_too_small;
  if (options.bos && bos_ != kNoToken) tokens[count++] = bos_;
  count += encode_byte_level(tokens.subspan(count), scratch, text, true);
  if (options.eos && eos_ != kNoToken) tokens[count++] = eos_;
  return Status::ok;
}

}  // namespace mote
