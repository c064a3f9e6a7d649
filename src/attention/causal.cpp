// SPDX-License-Identifier: Apache-2.0
#include "attention/attend.hpp"
#include "base/assert.hpp"
#include "mote/attention.hpp"

namespace mote {

CausalAttention::CausalAttention(const AttentionShape& shape, std::span<std::byte> state)
    : shape_(shape),
      score_scale_(attention_scale(shape.head_size)),
      rows_(state, std::size_t{shape.n_kv_heads} * shape.context_length, shape.head_size) {}

void CausalAttention::store(std::uint32_t position, std::uint32_t kv_head,
                            const QuantizedVector& key, const QuantizedVector& value) {
  MOTE_ASSERT(position < shape_.context_length && kv_head < shape_.n_kv_heads);
  rows_.store(std::size_t{kv_head} * shape_.context_length + position, key, value);
}

void CausalAttention::attend(WideVector& out, std::span<std::uint32_t> scratch,
                             std::uint32_t position, std::uint32_t head,
                             const QuantizedVector& query) const {
  MOTE_ASSERT(position < shape_.context_length && head < shape_.n_heads);
  MOTE_ASSERT(scratch.size() > position && out.values.size() == shape_.head_size);
  const std::uint32_t kv_head = head / (shape_.n_heads / shape_.n_kv_heads);
  const KvSegment stored =
      segment_of(rows_, std::size_t{kv_head} * shape_.context_length, positions_attended(position));
  attend_segments(out, scratch, {&stored, 1}, query, score_scale_);
}

void CausalAttention::attend_two(WideVector (&out)[2], std::span<std::uint32_t> scratch,
                                 std::uint32_t position, std::uint32_t head,
                                 const QuantizedVector (&queries)[2]) const {
  MOTE_ASSERT(position < shape_.context_length && head + 1 < shape_.n_heads);
  MOTE_ASSERT(scratch.size() > position);
  const std::uint32_t group = shape_.n_heads / shape_.n_kv_heads;
  const auto stored = [&](std::uint32_t h) {
    return segment_of(rows_, std::size_t{h / group} * shape_.context_length,
                      positions_attended(position));
  };
  HeadAttention heads[2] = {{out[0], stored(head), queries[0]},
                            {out[1], stored(head + 1), queries[1]}};
  mote::attend_two(heads, scratch, score_scale_);
  out[0] = heads[0].out;
  out[1] = heads[1].out;
}

}  // namespace mote
