// SPDX-License-Identifier: Apache-2.0
// Softmax attention in fixed memory: the last positions in a ring, and the first ones for ever.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/attention.hpp"

namespace mote {

struct SlidingWindowShape {
  std::uint32_t n_heads = 0;  // query heads, a multiple of n_kv_heads
  std::uint32_t n_kv_heads = 0;
  std::uint32_t head_size = 0;  // 1 to kMaxHeadSize
  std::uint32_t window = 0;     // W, at least 1: positions p - W + 1 to p are attended to
  std::uint32_t sinks = 0;      // S: positions 0 to S - 1 are never evicted; W + S <= kMaxContext
};

/// Softmax attention of position p over the first `sinks` positions and the last `window`, itself
/// included; a position that is both counts once. It equals, bit for bit, causal attention
/// restricted to these positions, at every position that fits uint32. Sinks are those of Xiao et
/// al., "Efficient Streaming Language Models with Attention Sinks", 2023. Heads are grouped as in
/// CausalAttention.
///
/// The order of calls for a position: `store` for each K/V head, then `attend` for each head.
/// Positions are stored one after another, none left out.
class SlidingWindowAttention {
 public:
  /// Bytes of keys, values and their scales: sinks + window rows a K/V head.
  static constexpr std::size_t state_bytes(const SlidingWindowShape& shape) {
    return KvRows::bytes(shape.n_kv_heads * slots(shape), shape.head_size);
  }
  /// Scores of one head that `attend` needs.
  static constexpr std::size_t scratch_count(const SlidingWindowShape& shape) {
    return slots(shape);
  }
  /// Positions whose key and value one head reads at `position`: the work of a token, which is
  /// 2 * head_size products each.
  static constexpr std::uint32_t positions_attended(const SlidingWindowShape& shape,
                                                    std::uint32_t position) {
    return position < slots(shape) ? position + 1 : shape.sinks + shape.window;
  }
  /// Sinks that `position` attends to although they are out of its window: positions 0 to this - 1.
  static constexpr std::uint32_t sinks_outside(const SlidingWindowShape& shape,
                                               std::uint32_t position) {
    if (position < shape.window) return 0;
    return std::min<std::uint32_t>(shape.sinks, position - shape.window + 1);
  }

  SlidingWindowAttention() = default;
  /// Works on `state`, state_bytes(shape) long and 2-byte aligned, whose contents need no initial
  /// value. The object is only a view: a second one over the same state continues where it was.
  SlidingWindowAttention(const SlidingWindowShape& shape, std::span<std::byte> state);

  /// Keeps key and value of one K/V head; they take the place of position - window, if that one is
  /// no sink.
  void store(std::uint32_t position, std::uint32_t kv_head, const QuantizedVector& key,
             const QuantizedVector& value);

  /// out = softmax(q k^T / sqrt(head_size)) v over the positions of the window and the sinks.
  ///   scratch    (scratch_count(shape)) any contents
  ///   query      (head_size) for positions in the window
  ///   sink_query (head_size) for sinks outside it. A model that turns queries by their position
  ///              turns this one by a position that it was trained on, as if the sinks stood right
  ///              before the window.
  void attend(WideVector& out, std::span<std::uint32_t> scratch, std::uint32_t position,
              std::uint32_t head, const QuantizedVector& query,
              const QuantizedVector& sink_query) const;
  /// The same query for all positions.
  void attend(WideVector& out, std::span<std::uint32_t> scratch, std::uint32_t position,
              std::uint32_t head, const QuantizedVector& query) const {
    attend(out, scratch, position, head, query, query);
  }
  /// The same for heads `head` and `head` + 1.
  ///   scratch (scratch_count(shape)); twice as many serve heads of one K/V head
  void attend_two(WideVector (&out)[2], std::span<std::uint32_t> scratch, std::uint32_t position,
                  std::uint32_t head, const QuantizedVector (&queries)[2]) const;

  const SlidingWindowShape& shape() const { return shape_; }

 private:
  static constexpr std::size_t slots(const SlidingWindowShape& shape) {
    return std::size_t{shape.sinks} + shape.window;
  }

  SlidingWindowShape shape_;
  Multiplier score_scale_;
  KvRows rows_;  // (n_kv_heads, sinks + window)
};

}  // namespace mote
