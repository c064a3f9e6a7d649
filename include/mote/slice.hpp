// SPDX-License-Identifier: Apache-2.0
// The part of a model that one chip computes and holds.
#pragma once

#include <cstdint>
#include <span>

#include "mote/config.hpp"

namespace mote {

inline constexpr std::uint32_t kMaxChips = 64;

enum class HeadPolicy : std::uint8_t {
  contiguous = 0,   // consecutive heads; the query heads of a K/V head stay together
  round_robin = 1,  // head h on chip h mod N
};

/// Consecutive items that one chip owns.
struct Range {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  constexpr std::uint32_t end() const { return first + count; }
  constexpr bool contains(std::uint32_t item) const {
    return item >= first && item - first < count;
  }

  friend constexpr bool operator==(const Range&, const Range&) = default;
};

/// Query heads first, first + stride, first + 2 * stride, ...; and with them the K/V heads that
/// they read: query head h reads h / group, where `group` query heads share one K/V head.
struct HeadSet {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t stride = 1;

  /// The query head at `index` < count.
  constexpr std::uint32_t head(std::uint32_t index) const { return first + index * stride; }
  constexpr std::uint32_t index_of(std::uint32_t head) const { return (head - first) / stride; }
  constexpr bool contains(std::uint32_t head) const {
    return head >= first && (head - first) % stride == 0 && (head - first) / stride < count;
  }

  /// K/V heads that this chip holds. Where the stride exceeds the group no two heads share one;
  /// else none is passed over.
  constexpr std::uint32_t kv_count(std::uint32_t group) const {
    if (count == 0) return 0;
    if (stride > group) return count;
    return head(count - 1) / group - first / group + 1;
  }
  /// The K/V head at `index` < kv_count(group).
  constexpr std::uint32_t kv_head(std::uint32_t index, std::uint32_t group) const {
    return stride > group ? head(index) / group : first / group + index;
  }
  /// The place of `head`'s K/V head among those that this chip holds.
  constexpr std::uint32_t kv_index(std::uint32_t head, std::uint32_t group) const {
    return stride > group ? index_of(head) : head / group - first / group;
  }

  friend constexpr bool operator==(const HeadSet&, const HeadSet&) = default;
};

/// What one chip computes of every layer.
struct Slice {
  HeadSet heads;
  Range hidden_blocks;    // blocks of `block` rows of w_gate and w_up
  Range residual_blocks;  // blocks of `block` rows of wo and w_down
  Range vocabulary;       // rows of the classifier and of the token embedding
  /// Where not empty, layer l has hidden_by_layer[l % size] in place of hidden_blocks, so that what
  /// does not divide evenly is another chip's burden from layer to layer.
  std::span<const Range> hidden_by_layer;

  constexpr const Range& hidden(std::uint32_t layer) const {
    return hidden_by_layer.empty() ? hidden_blocks
                                   : hidden_by_layer[layer % hidden_by_layer.size()];
  }

  static constexpr Slice whole(const ModelConfig& config) {
    return {{0, config.n_heads, 1},
            {0, config.hidden_padded() / config.block},
            {0, config.dim_padded() / config.block},
            {0, config.vocab_size},
            {}};
  }
};

}  // namespace mote
