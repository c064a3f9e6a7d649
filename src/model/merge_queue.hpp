// SPDX-License-Identifier: Apache-2.0
// Which of many places has the lowest rank, as ranks change: a tournament in one word a place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mote {

/// A place that takes no part.
inline constexpr std::uint32_t kNoRank = 0x7fffffffU;

/// A binary tree stands over the places: node k, from 1, has the children 2k and 2k + 1, and node
/// n + i is place i. Bit 31 of word k says which child of node k has the better place below it, the
/// other bits of word i are the rank of place i. Making it takes O(n log n) steps, a change
/// O(log^2 n), the best place O(log n).
class MergeQueue {
 public:
  /// `words` hold the ranks, each at most kNoRank; at least one.
  explicit MergeQueue(std::span<std::uint32_t> words) : words_(words) {
    for (std::size_t node = words_.size(); node-- > 1;) decide(node);
  }

  std::uint32_t rank(std::size_t place) const { return words_[place] & kNoRank; }

  /// The place of the lowest rank, the leftmost of equals.
  std::size_t best() const { return best_below(1); }

  void set_rank(std::size_t place, std::uint32_t rank) {
    words_[place] = (words_[place] & kRightWins) | rank;
    for (std::size_t node = (words_.size() + place) / 2; node > 0; node /= 2) decide(node);
  }

 private:
  static constexpr std::uint32_t kRightWins = 1U << 31;

  std::size_t best_below(std::size_t node) const {
    while (node < words_.size()) node = 2 * node + (words_[node] >> 31);
    return node - words_.size();
  }

  bool is_better(std::size_t a, std::size_t b) const {
    return rank(a) != rank(b) ? rank(a) < rank(b) : a < b;
  }

  /// Lets the better of the children of `node` win, after what is below them.
  void decide(std::size_t node) {
    const bool right_wins = is_better(best_below(2 * node + 1), best_below(2 * node));
    words_[node] = (words_[node] & kNoRank) | (right_wins ? kRightWins : 0);
  }

  std::span<std::uint32_t> words_;
};

}  // namespace mote
