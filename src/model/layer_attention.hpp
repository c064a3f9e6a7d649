// SPDX-License-Identifier: Apache-2.0
// One layer's attention, of whichever kind the image names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "attention/attend.hpp"
#include "mote/attention.hpp"
#include "mote/config.hpp"
#include "mote/linear_attention.hpp"
#include "mote/sliding_window.hpp"

namespace mote {

/// A view of a layer's state, like the classes that it chooses from.
class LayerAttention {
 public:
  /// `shape` counts the heads of this chip; its context_length bounds causal layers only.
  ///   state (state_bytes) memory of this layer
  LayerAttention(const LayerAttentionConfig& config, const AttentionShape& shape,
                 std::span<std::byte> state);

  static std::size_t state_bytes(const LayerAttentionConfig& config, const AttentionShape& shape);
  /// Scores that `attend` needs.
  static std::size_t scratch_count(const LayerAttentionConfig& config, const AttentionShape& shape);

  /// Linear layers know no positions: their queries and keys are not turned.
  bool is_rotated() const { return config_.kind != AttentionKind::linear; }
  /// The position by which the query for sinks outside the window is turned: as if they stood right
  /// before the window, so that no distance exceeds window + sinks.
  std::uint32_t sink_query_position(std::uint32_t position) const;

  /// Before the first position of a text.
  void reset();
  void store(std::uint32_t position, std::uint32_t kv_head, const QuantizedVector& key,
             const QuantizedVector& value);
  /// The same as `query` wherever sink_query_position is the position itself: `sink_query`.
  void attend(WideVector& out, std::span<std::uint32_t> scratch, std::uint32_t position,
              std::uint32_t head, const QuantizedVector& query, const QuantizedVector& sink_query);
  /// Whether `attend_two` serves at a position: sinks need no query of their own. Linear layers
  /// gain where keys are shared alone.
  bool has_pairs(std::uint32_t position) const {
    return config_.kind == AttentionKind::linear ? kPairsShareKeys
                                                 : sink_query_position(position) == position;
  }
  /// `attend` for heads `head` and `head` + 1.
  ///   scratch as CausalAttention::attend_two has it
  void attend_two(WideVector (&out)[2], std::span<std::uint32_t> scratch, std::uint32_t position,
                  std::uint32_t head, const QuantizedVector (&queries)[2]) const;

 private:
  LayerAttentionConfig config_;
  CausalAttention causal_;
  SlidingWindowAttention window_;
  LinearAttention linear_;
};

}  // namespace mote
