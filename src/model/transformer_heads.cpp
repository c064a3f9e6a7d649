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

/// Heads that go together at most.
constexpr std::uint32_t kMostTogether = kRoundsTogether ? 8 : 2;

/// Blocks of results, of heads from lane `column` on.
///   units (blocks), or the one of all
template <typename Units>
void quantize_heads(const BlockVectors& heads, std::uint32_t index, std::size_t column,
                    std::span<const std::int64_t> lanes, const Units& units) {
  quantize_blocks_s64_s8(heads.row(index) + column, heads.row_scales(index) + column / heads.block,
                         lanes, heads.block, units);
}

}  // namespace

/// Turns heads by a position, unless their layer knows none.
void Transformer::turn(std::span<std::int32_t> heads, const LayerAttention& attention,
                       std::uint32_t position) {
  if (!attention.is_rotated()) return;
  rotate_heads(heads, config().head_size, image_.rope_frequencies(), position);
}

/// Keys or queries that were turned, which are transformed in place, unless their layer knows no
/// positions, and rounded. The factor 2^drop is taken out of what was transformed.
void Transformer::quantize_turned(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                                  const LayerAttention& attention, int drop) {
  const std::uint32_t size = config().head_size;
  if (!attention.is_rotated()) return quantize_lanes(out, scales, heads, size, kProjectionUnit);
  Multiplier unit = kProjectionUnit;
  unit.exponent -= drop;
  quantize_heads_s32_s8(out, scales, heads, size, wide_, unit);
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
      const auto room = !kRoundsTogether ? head_values_ : own_room({first, end - first}, i);
      store_keys_values(attention, weights, kv_heads, room, i);
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

/// Room for int8 lanes of two heads or more: where the results of `own` query heads will be, unless
/// that is too little or lies apart.
std::span<std::int8_t> Transformer::own_room(Range own, std::uint32_t index) {
  if (own.count < 2 || slice_.heads.stride != 1) return head_values_;
  const std::size_t size = config().head_size;
  return {heads_.row(index) + slice_.heads.head(own.first) * size, own.count * size};
}

/// Of `own` K/V heads, whose lanes are rounded in `room`.
void Transformer::store_keys_values(LayerAttention& attention, const HeadProjections& weights,
                                    Range own, std::span<std::int8_t> room, std::uint32_t index) {
  const std::uint32_t head_size = config().head_size;
  const std::size_t half = rows_.size() / 2;
  const std::uint32_t most =
      !kRoundsTogether
          ? 1
          : std::min(kMostTogether, static_cast<std::uint32_t>(room.size()) / 2 / head_size);
  Scale16 key_scales[kMostTogether];
  Scale16 value_scales[kMostTogether];
  std::uint32_t kv_head = own.first;
  while (kv_head < own.end()) {
    const std::uint32_t heads = heads_per_call(own.end() - kv_head, half);
    const std::uint32_t row = held_kv_index(kv_head) * head_size;
    const auto keys = rows_.first(std::size_t{heads} * head_size);
    const auto values = rows_.subspan(half, keys.size());
    project(keys, weights.key, row, index, kProjectionFractionBits);
    project(values, weights.value, row, index, kProjectionFractionBits);
    turn(keys, attention, position_ + index);
    for (std::uint32_t first = 0, count = 0; first < heads; first += count) {
      count = std::min(most, heads - first);
      const std::size_t lanes = std::size_t{count} * head_size;
      const std::int8_t* key = room.data();
      const std::int8_t* value = key + lanes;
      quantize_turned(room.data(), key_scales, keys.subspan(first * head_size, lanes), attention,
                      0);
      quantize_lanes(room.data() + lanes, value_scales, values.subspan(first * head_size, lanes),
                     head_size, kProjectionUnit);
      for (std::uint32_t i = 0; i < count; ++i, key += head_size, value += head_size) {
        attention.store(position_ + index, kv_head++, {key, key_scales[i]},
                        {value, value_scales[i]});
      }
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
      const std::uint32_t together = heads_together(attention, head, lanes - lane, position);
      const auto queries = rows_.subspan(lane, std::size_t{together} * head_size);
      if (kPairsHeads && together > 1) {
        attend_heads_together(attention, queries, head, index);
      } else {
        attend_head(attention, queries, head, index);
      }
      lane += queries.size();
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
    quantize_turned(&head_values_[c.head_size], &sink_query.scale, copy, attention, drop);
  }
  if (kFavorsSize || sink_position != position) turn(lanes, attention, position);
  quantize_turned(head_values_.data(), &query.scale, lanes, attention, drop);
  WideVector wide = {wide_.first(c.head_size), {}};
  attention.attend(wide, scores_, position, own_head(head), query,
                   sink_position != position ? sink_query : query);
  quantize_heads(heads_, index, std::size_t{head} * c.head_size, wide.values, wide.unit);
}

/// The place of a query head among those of this chip.
std::uint32_t Transformer::own_head(std::uint32_t head) const {
  const std::uint32_t group = config().heads_per_kv_head();
  return slice_.heads.kv_index(head, group) * group + head % group;
}

/// How many heads go together from `head` on, whose queries are among `lanes`: one, or an even
/// number of neighbours in memory, if there is room for what they make.
std::uint32_t Transformer::heads_together(const LayerAttention& attention, std::uint32_t head,
                                          std::size_t lanes, std::uint32_t position) const {
  if (!kPairsHeads || slice_.heads.stride != 1 || !attention.has_pairs(position)) return 1;
  const std::uint32_t two = 2 * config().head_size;
  const auto room = static_cast<std::uint32_t>(std::min(lanes, wide_.size()));
  if (room < two) return 1;
  const std::uint32_t group = config().heads_per_kv_head();
  if constexpr (kPairsShareKeys) return head % group + 1 < group ? 2 : 1;
  return std::min(2 * (room / two), kMostTogether);
}

/// attend_head of an even number of heads from `head` on, whose queries stand where their results
/// will.
void Transformer::attend_heads_together(const LayerAttention& attention,
                                        std::span<std::int32_t> lanes, std::uint32_t head,
                                        std::uint32_t index) {
  if constexpr (!kPairsHeads) return;
  const std::uint32_t size = config().head_size;
  const int drop = std::countr_zero(hadamard_width(size));
  std::int8_t* query = heads_.row(index) + std::size_t{head} * size;
  Scale16 scales[kMostTogether];
  Multiplier units[kMostTogether];
  quantize_turned(query, scales, lanes, attention, drop);
  const auto heads = kPairsShareKeys ? 2 : static_cast<std::uint32_t>(lanes.size()) / size;
  for (std::uint32_t i = 0; i < heads; i += 2, query += 2 * size) {
    const QuantizedVector queries[2] = {{query, scales[i]}, {query + size, scales[i + 1]}};
    WideVector wide[2] = {{wide_.subspan(i * size, size), {}},
                          {wide_.subspan((i + 1) * size, size), {}}};
    attention.attend_two(wide, scores_, position_ + index, own_head(head + i), queries);
    units[i] = wide[0].unit;
    units[i + 1] = wide[1].unit;
  }
  // One block of each head, or several.
  const std::uint32_t step = heads_.block == size ? heads : 1;
  for (std::uint32_t i = 0; i < heads; i += step) {
    quantize_heads(heads_, index, std::size_t{head + i} * size,
                   wide_.subspan(i * size, step * size),
                   std::span<const Multiplier>(units + i, step));
  }
}

}  // namespace mote
