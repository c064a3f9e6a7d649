// SPDX-License-Identifier: Apache-2.0
// A K/V head has a slot for each sink and, after them, a ring: position p >= sinks lives in slot
// sinks + (p - sinks) mod window. At position p the slots 0 to min(p, sinks + window - 1) are full,
// and hold exactly the positions to attend to. The softmax has no order, so that the ring is read
// from its first slot, wherever its oldest position lies.
#include "mote/sliding_window.hpp"

#include "attention/attend.hpp"
#include "base/assert.hpp"
#include "mote/config.hpp"

namespace mote {

SlidingWindowAttention::SlidingWindowAttention(const SlidingWindowShape& shape,
                                               std::span<std::byte> state)
    : shape_(shape),
      score_scale_(attention_scale(shape.head_size)),
      rows_(state, shape.n_kv_heads * slots(shape), shape.head_size) {
  // The sums of attend_segments are proved for so many positions.
  MOTE_ASSERT(shape.window >= 1 && slots(shape) <= kMaxContext);
}

void SlidingWindowAttention::store(std::uint32_t position, std::uint32_t kv_head,
                                   const QuantizedVector& key, const QuantizedVector& value) {
  MOTE_ASSERT(kv_head < shape_.n_kv_heads);
  const std::uint32_t sinks = shape_.sinks;
  const std::uint32_t slot =
      position < sinks ? position : sinks + (position - sinks) % shape_.window;
  rows_.store(kv_head * slots(shape_) + slot, key, value);
}

void SlidingWindowAttention::attend(WideVector& out, std::span<std::uint32_t> scratch,
                                    std::uint32_t position, std::uint32_t head,
                                    const QuantizedVector& query,
                                    const QuantizedVector& sink_query) const {
  const std::uint32_t count = positions_attended(shape_, position);
  MOTE_ASSERT(head < shape_.n_heads);
  MOTE_ASSERT(scratch.size() >= count && out.values.size() == shape_.head_size);
  const std::uint32_t kv_head = head / (shape_.n_heads / shape_.n_kv_heads);
  const std::size_t first = kv_head * slots(shape_);
  const std::uint32_t outside = sinks_outside(shape_, position);
  const KvSegment segments[] = {segment_of(rows_, first, outside),
                                segment_of(rows_, first + outside, count - outside)};
  const QuantizedVector queries[] = {sink_query, query};
  attend_segments(out, scratch, segments, queries, score_scale_);
}

void SlidingWindowAttention::attend_two(WideVector (&out)[2], std::span<std::uint32_t> scratch,
                                        std::uint32_t position, std::uint32_t head,
                                        const QuantizedVector (&queries)[2]) const {
  const std::uint32_t count = positions_attended(shape_, position);
  MOTE_ASSERT(head + 1 < shape_.n_heads && scratch.size() >= count);
  const std::uint32_t group = shape_.n_heads / shape_.n_kv_heads;
  const auto stored = [&](std::uint32_t h) {
    return segment_of(rows_, h / group * slots(shape_), count);
  };
  HeadAttention heads[2] = {{out[0], stored(head), queries[0]},
                            {out[1], stored(head + 1), queries[1]}};
  mote::attend_two(heads, scratch, score_scale_);
  out[0] = heads[0].out;
  out[1] = heads[1].out;
}

}  // namespace mote
