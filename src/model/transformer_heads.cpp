// SPDX-License-Identifier: Apache-2.0
// The heads of one chip in one layer: queries, keys and values projected, turned and rounded, and
// attention over what is stored.
#include <algorithm>
#include <bit>

#include "attention/attend.hpp"
#include "base/fixed_point.hpp"
#include "base/platform.hpp"
#include "kernels/hadamard.hpp"
#include "kernels/heads.hpp"
#include "kernels/quantize.hpp"
#include "model/layer_attention.hpp"
#include "mote/transformer.hpp"

namespace mote {
namespace {

/// Queries, keys and values before they are rounded to int8.
constexpr Multiplier kProjectionUnit = {kUnitMultiplier.mantissa,
                                        kUnitMultiplier.exponent - kProjectionFractionBits};

}  // namespace

/// Turns heads by a position, unless their layer knows none.
void Transformer::turn(std::span<std::int32_t> heads, const LayerAttention& attention,
                       std::uint32_t position) {
  if (!attention.is_rotated()) return;
  rotate_heads(heads, config().head_size, image_.rope_frequencies(), position);
}

/// A key or a query that was turned, which is transformed in place, unless its layer knows no
/// positions, and rounded. The factor 2^drop is taken out of what was transformed.
Scale16 Transformer::quantize_turned(std::int8_t* out, std::span<std::int32_t> lanes,
                                     const LayerAttention& attention, int drop) {
  if (!attention.is_rotated()) return quantize_lanes(out, lanes, kProjectionUnit);
  Multiplier unit = kProjectionUnit;
  unit.exponent -= drop;
  return quantize_transformed_s32_s8(out, lanes, wide_, unit);
}

/// heads = quantize(attend(rope(q), cache(rope(k), v))), for the heads of this chip; for several
/// positions those of one K/V head at a time, that they find its weights near.
void Transformer::compute_heads() {
  take_normalized_input({0, count_});
  LayerAttention attention = layer_attention(phase_.layer);
  const HeadProjections weights = {layer_projection(SectionKind::wq),
                                   layer_projection(SectionKind::wk),
                                   layer_projection(SectionKind::wv)};
  const std::uint32_t group = config().heads_per_kv_head();
  const HeadSet& heads = slice_.heads;
  const bool is_alone = count_ == 1;
  Range kv_heads = {0, is_alone ? heads.kv_count(group) : 1};
  for (std::uint32_t first = 0, end = 0; first < heads.count; first = end) {
    // Heads that share a K/V head follow one another.
    const std::uint32_t kv_head = heads.head(first) / group;
    while (end < heads.count && (is_alone || heads.head(end) / group == kv_head)) ++end;
    for (std::uint32_t i = 0; i < count_; ++i) {
      store_keys_values(attention, weights, kv_heads, i);
      attend_heads(attention, weights.query, {first, end - first}, i);
    }
    ++kv_heads.first;
  }
}

/// Own heads whose rows one call computes, of at most `count` and what `lanes` have room for: those
/// that lie side by side in the image.
std::uint32_t Transformer::heads_per_call(std::uint32_t count, std::size_t lanes) const {
  if (slice_.heads.stride != image_.held().heads.stride) return 1;
  return std::min(count, static_cast<std::uint32_t>(lanes) / config().head_size);
}

/// The place in the image of the own K/V head at `index`. // index < kv_count(group)
std::uint32_t Transformer::held_kv_index(std::uint32_t index) const {
  const std::uint32_t group = config().heads_per_kv_head();
  const HeadSet& heads = slice_.heads;
  // Any query head of the K/V head leads there.
  const std::uint32_t head = heads.stride > group
                                 ? heads.head(index)
                                 : std::max(heads.first, (heads.first / group + index) * group);
  return image_.held().heads.kv_index(head, group);
}

/// Of `own` K/V heads.
void Transformer::store_keys_values(LayerAttention& attention, const HeadProjections& weights,
                                    Range own, std::uint32_t index) {
  const std::uint32_t head_size = config().head_size;
  const std::size_t half = rows_.size() / 2;
  std::int8_t* const key = head_values_.data();
  std::int8_t* const value = key + head_size;
  std::uint32_t kv_head = own.first;
  while (kv_head < own.end()) {
    const std::size_t lanes = heads_per_call(own.end() - kv_head, half) * head_size;
    const std::uint32_t row = held_kv_index(kv_head) * head_size;
    project(rows_.first(lanes), weights.key, row, index, kProjectionFractionBits);
    project(rows_.subspan(half, lanes), weights.value, row, index, kProjectionFractionBits);
    turn(rows_.first(lanes), attention, position_ + index);
    for (std::size_t lane = 0; lane < lanes; lane += head_size, ++kv_head) {
      const Scale16 key_scale = quantize_turned(key, rows_.subspan(lane, head_size), attention, 0);
      const Scale16 value_scale =
          quantize_lanes(value, rows_.subspan(half + lane, head_size), kProjectionUnit);
      attention.store(position_ + index, kv_head, {key, key_scale}, {value, value_scale});
    }
  }
}

/// heads = quantize(attend(rope(q))), for `own` query heads.
void Transformer::attend_heads(LayerAttention& attention, const Projection& wq, Range own,
                               std::uint32_t index) {
  const std::uint32_t head_size = config().head_size;
  std::uint32_t at = own.first;
  while (at < own.end()) {
    // A second copy of a query takes the end of `rows_`.
    const std::size_t lanes = heads_per_call(own.end() - at, rows_.size() - head_size) * head_size;
    const std::uint32_t row = image_.held().heads.index_of(slice_.heads.head(at)) * head_size;
    project(rows_.first(lanes), wq, row, index, kProjectionFractionBits);
    // Sinks want a query of their own of each head that is not turned yet.
    const std::uint32_t position = position_ + index;
    if (!kFavorsSize && attention.sink_query_position(position) == position) {
      turn(rows_.first(lanes), attention, position);
    }
    for (std::size_t lane = 0; lane < lanes;) {
      const std::uint32_t head = slice_.heads.head(at);
      const std::size_t left = lanes - lane;
      std::uint32_t together = 1;
      if (kPairsHeads && left > head_size && is_pair(attention, head, position)) {
        attend_two_heads(attention, rows_.subspan(lane, std::size_t{2} * head_size), head, index);
        together = 2;
      } else {
        attend_head(attention, rows_.subspan(lane, head_size), head, index);
      }
      lane += std::size_t{together} * head_size;
      at += together;
    }
  }
}

/// Of query head `head`, whose projection `lanes` are: turned, unless sinks want it otherwise or
/// space matters.
void Transformer::attend_head(LayerAttention& attention, std::span<std::int32_t> lanes,
                              std::uint32_t head, std::uint32_t index) {
  const ModelConfig& c = config();
  const std::uint32_t position = position_ + index;
  // The factor that the product of a transformed query and key gains is taken out of the query.
  const int drop = std::countr_zero(hadamard_width(c.head_size));
  QuantizedVector query = {head_values_.data(), {}};
  QuantizedVector sink_query = {head_values_.data() + c.head_size, {}};
  const std::uint32_t sink_position = attention.sink_query_position(position);
  if (sink_position != position) {
    const auto copy = rows_.last(c.head_size);
    std::copy(lanes.begin(), lanes.end(), copy.begin());
    turn(copy, attention, sink_position);
    sink_query.scale = quantize_turned(&head_values_[c.head_size], copy, attention, drop);
  }
  if (kFavorsSize || sink_position != position) turn(lanes, attention, position);
  query.scale = quantize_turned(head_values_.data(), lanes, attention, drop);
  WideVector wide = {wide_.first(c.head_size), {}};
  attention.attend(wide, scores_, position, own_head(head), query,
                   sink_position != position ? sink_query : query);
  quantize_head(wide, head, index);
}

/// The place of a query head among those of this chip.
std::uint32_t Transformer::own_head(std::uint32_t head) const {
  const std::uint32_t group = config().heads_per_kv_head();
  return slice_.heads.kv_index(head, group) * group + head % group;
}

/// Whether a head and the next may go together: they are neighbours in memory too, and there is
/// room for what they make.
bool Transformer::is_pair(const LayerAttention& attention, std::uint32_t head,
                          std::uint32_t position) const {
  const std::uint32_t group = config().heads_per_kv_head();
  return attention.has_pairs(position) && slice_.heads.stride == 1 &&
         wide_.size() >= 2 * std::size_t{config().head_size} &&
         (!kPairsShareKeys || head % group + 1 < group);
}

/// attend_head of heads `head` and `head` + 1.
void Transformer::attend_two_heads(const LayerAttention& attention, std::span<std::int32_t> lanes,
                                   std::uint32_t head, std::uint32_t index) {
  const std::uint32_t size = config().head_size;
  const int drop = std::countr_zero(hadamard_width(size));
  std::int8_t* const first = head_values_.data();
  const QuantizedVector queries[2] = {
      {first, quantize_turned(first, lanes.first(size), attention, drop)},
      {first + size, quantize_turned(first + size, lanes.last(size), attention, drop)}};
  WideVector wide[2] = {{wide_.first(size), {}}, {wide_.subspan(size, size), {}}};
  attention.attend_two(wide, scores_, position_ + index, own_head(head), queries);
  quantize_head(wide[0], head, index);
  quantize_head(wide[1], head + 1, index);
}

/// Blocks of `heads`, of one head.
void Transformer::quantize_head(const WideVector& wide, std::uint32_t head, std::uint32_t index) {
  const std::uint32_t head_size = config().head_size;
  const std::uint32_t block = heads_.block;
  for (std::uint32_t lane = 0; lane < head_size; lane += block) {
    const std::uint32_t column = head * head_size + lane;
    heads_.row_scales(index)[column / block] = quantize_block_s64_s8(
        heads_.row(index) + column, wide.values.subspan(lane, block), wide.unit);
  }
}

}  // namespace mote
