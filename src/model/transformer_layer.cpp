// SPDX-License-Identifier: Apache-2.0
// What one chip computes for each exchange: its rows of every matrix, whole, from whole vectors.
#include <algorithm>
#include <bit>

#include "attention/attend.hpp"
#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "base/platform.hpp"
#include "kernels/activation.hpp"
#include "kernels/hadamard.hpp"
#include "kernels/heads.hpp"
#include "kernels/matvec.hpp"
#include "kernels/quantize.hpp"
#include "kernels/rms_norm.hpp"
#include "model/layer_attention.hpp"
#include "mote/transformer.hpp"

namespace mote {
namespace {

/// Queries, keys and values before they are rounded to int8.
constexpr Multiplier kProjectionUnit = {kUnitMultiplier.mantissa,
                                        kUnitMultiplier.exponent - kProjectionFractionBits};

/// Lanes of `block` that exist among `lanes` lanes.
std::uint32_t block_lanes(std::uint32_t block, std::uint32_t width, std::uint32_t lanes) {
  return std::min<std::uint32_t>(width, lanes - block * width);
}

}  // namespace

/// Own lanes of the residual stream.
Range Transformer::residual_lanes() const {
  const ModelConfig& c = config();
  const std::uint32_t first = slice_.residual_blocks.first * c.block;
  const std::uint32_t end = std::min<std::uint32_t>(slice_.residual_blocks.end() * c.block, c.dim);
  return {first, end > first ? end - first : 0};
}

/// Own lanes of the residual stream of one position of the batch.
std::span<std::int32_t> Transformer::residual(std::uint32_t index) {
  const std::size_t lanes = residual_lanes().count;
  return residual_.subspan(index * lanes, lanes);
}

/// Own rows of the token embedding, as bytes.
void Transformer::copy_embedding_rows() {
  const MatrixView matrix = image_.matrix(SectionKind::token_embedding);
  const std::uint32_t first = image_.held().vocabulary.first;
  for (std::uint32_t i = 0; i < count_; ++i) {
    if (!slice_.vocabulary.contains(tokens_[i])) continue;
    const MatrixView row = matrix.slice(tokens_[i] - first, 1);
    std::uint8_t* out = embedding_.row(i).data();
    out = std::copy_n(reinterpret_cast<const std::uint8_t*>(row.row_scales), sizeof(Scale16), out);
    if (row.block_factors != nullptr) out = std::copy_n(row.block_factors, row.blocks(), out);
    std::copy_n(row.weights, row.row_bytes(), out);
  }
}

/// residual = my_rows(embedding_row(token)); input = quantize(embedding_row(token)), of which all
/// chips know every block.
void Transformer::take_embedding_rows() {
  const std::uint32_t g = config().block;
  const int fraction_bits = static_cast<int>(config().residual_fraction_bits);
  MatrixView row = image_.matrix(SectionKind::token_embedding);
  for (std::uint32_t i = 0; i < count_; ++i) {
    const std::uint8_t* bytes = embedding_.row(i).data();
    row.row_scales = reinterpret_cast<const Scale16*>(bytes);
    bytes += sizeof(Scale16);
    if (row.block_factors != nullptr) {
      row.block_factors = bytes;
      bytes += row.blocks();
    }
    row.weights = bytes;
    dequantize_row(residual(i), row, 0, residual_lanes().first, fraction_bits);
    for (std::uint32_t b = 0; b < row.blocks(); ++b) {
      auto lanes = rows_.first(block_lanes(b, g, config().dim));
      if (!kFavorsSize && residual_lanes().count == config().dim) {
        lanes = residual(i).subspan(std::size_t{b} * g, lanes.size());
      } else {
        dequantize_row(lanes, row, 0, b * g, fraction_bits);
      }
      quantize_residual_block(i, b, lanes);
    }
  }
}

/// One block of input = quantize(residual); what makes it a norm is the factor of
/// `take_normalized_input`.
void Transformer::quantize_residual_block(std::uint32_t index, std::uint32_t block,
                                          std::span<const std::int32_t> lanes) {
  const Multiplier unit = {
      kUnitMultiplier.mantissa,
      kUnitMultiplier.exponent - static_cast<int>(config().residual_fraction_bits)};
  input_.row_scales(index)[block] =
      quantize_lanes(input_.row(index) + block * input_.block, lanes, unit);
}

void Transformer::compute_residual_blocks() {
  const std::uint32_t g = config().block;
  const Range positions = exchange_positions(phase_.exchange);
  for (std::uint32_t i = positions.first; i < positions.end(); ++i) {
    for (std::uint32_t b = 0; b < slice_.residual_blocks.count; ++b) {
      const std::uint32_t block = slice_.residual_blocks.first + b;
      quantize_residual_block(
          i, block, residual(i).subspan(std::size_t{b} * g, block_lanes(block, g, config().dim)));
    }
  }
}

/// Makes `vectors` the input of the projections that follow, for its first positions.
void Transformer::take_input(const BlockVectors& vectors, std::uint32_t positions) {
  const std::uint32_t blocks = vectors.columns / vectors.block;
  for (std::uint32_t i = 0; i < positions; ++i) {
    factors_[i] = kUnitMultiplier;
    factors_[i].exponent +=
        align_scales(&scales_[std::size_t{i} * blocks], {vectors.row_scales(i), blocks});
  }
  taken_ = &vectors;
}

/// The same for positions of `input_`, divided by their root mean square.
void Transformer::take_normalized_input(Range positions) {
  const ModelConfig& c = config();
  const std::uint32_t blocks = input_.columns / input_.block;
  for (std::uint32_t i = positions.first; i < positions.end(); ++i) {
    const auto scales = scales_.subspan(std::size_t{i} * blocks, blocks);
    const int unit = align_scales(scales.data(), {input_.row_scales(i), blocks});
    factors_[i] = norm_factor(input_.row(i), scales, unit, input_.block, c.dim, c.norm_epsilon);
    factors_[i].exponent += unit;
  }
  taken_ = &input_;
}

/// The classifier may be the token embedding, which holds no gains: they are applied here, to the
/// last position alone.
void Transformer::apply_final_gains() {
  const Range last = exchange_positions(Exchange::final_input);
  take_normalized_input(last);
  const std::uint32_t blocks = input_.columns / input_.block;
  // Its own unit is taken out again: it will be that of the new scales.
  final_factor_ = factors_[last.first];
  final_factor_.exponent -= align_scales(scales_.data(), {input_.row_scales(last.first), blocks});
  const GainsView gains = image_.gains(SectionKind::final_norm);
  std::copy_n(input_.row(last.first), input_.columns, final_.row(0));
  for (std::uint32_t b = 0; b < blocks; ++b) {
    const std::uint32_t lanes = block_lanes(b, input_.block, config().dim);
    final_.row_scales(0)[b] =
        apply_gains({final_.row(0) + b * input_.block, lanes}, input_.row_scales(last.first)[b],
                    gains.values + b * input_.block, gains.exponent);
  }
}

ActivationView Transformer::input_view(std::uint32_t index) const {
  const std::size_t blocks = taken_->columns / taken_->block;
  return {taken_->row(index), &scales_[index * blocks], factors_[index]};
}

Transformer::Projection Transformer::layer_projection(SectionKind kind) const {
  return {image_.matrix(kind, phase_.layer + 1), image_.biases(kind, phase_.layer + 1)};
}

/// Rows of a projection from `row` on, by their place in the image, with their biases.
void Transformer::project(std::span<std::int32_t> out, const Projection& projection,
                          std::uint32_t row, std::uint32_t index, int fraction_bits) {
  const auto rows = static_cast<std::uint32_t>(out.size());
  matvec_s8_s32(out.data(), projection.weights.slice(row, rows), input_view(index), fraction_bits);
  if (projection.biases != nullptr) add_residual(out, projection.biases + row);
}

std::span<std::int64_t> Transformer::widen(std::span<const std::int32_t> lanes) {
  const auto wide = wide_.first(lanes.size());
  std::copy(lanes.begin(), lanes.end(), wide.begin());
  return wide;
}

/// As quantize_block_s32_s8, without its code where space matters.
Scale16 Transformer::quantize_lanes(std::int8_t* out, std::span<const std::int32_t> lanes,
                                    Multiplier unit) {
  if constexpr (kFavorsSize) return quantize_block_s64_s8(out, widen(lanes), unit);
  return quantize_block_s32_s8(out, lanes, unit);
}

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
    std::size_t lane = 0;
    if constexpr (kPairsHeads) {
      const std::size_t two = has_pairs(attention) ? 2 * std::size_t{head_size} : lanes + 1;
      for (; lane + two <= lanes; lane += two, at += 2) {
        attend_two_heads(attention, rows_.subspan(lane, two), slice_.heads.head(at), index);
      }
    }
    for (; lane < lanes; lane += head_size, ++at) {
      attend_head(attention, rows_.subspan(lane, head_size), slice_.heads.head(at), index);
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

/// Whether neighbouring heads may go together: they are neighbours in memory too, and there is room
/// for what they make.
bool Transformer::has_pairs(const LayerAttention& attention) const {
  return attention.has_pairs() && slice_.heads.stride == 1 &&
         wide_.size() >= 2 * std::size_t{config().head_size};
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

/// hidden = quantize(silu(my_rows(w_gate, x)) * my_rows(w_up, x)), a block of rows at a time, or as
/// many as the run allows; of several positions only one, that they find its weights near.
void Transformer::compute_hidden() {
  take_normalized_input({0, count_});
  const std::uint32_t g = config().block;
  const Projection w_gate = layer_projection(SectionKind::w_gate);
  const Projection w_up = layer_projection(SectionKind::w_up);
  const Multiplier unit = {kUnitMultiplier.mantissa,
                           kUnitMultiplier.exponent - kHiddenFractionBits};
  const Range blocks = slice_.hidden(phase_.layer);
  const std::uint32_t held = image_.held().hidden(phase_.layer).first * g;
  const std::uint32_t end = std::min<std::uint32_t>(blocks.end() * g, config().hidden_dim);
  const std::size_t half = rows_.size() / 2;
  const std::uint32_t step = count_ > 1 ? g : static_cast<std::uint32_t>(half) / g * g;
  for (std::uint32_t row = blocks.first * g; row < end; row += step) {
    const std::uint32_t rows = std::min<std::uint32_t>(step, end - row);
    const auto gate = rows_.first(rows);
    const auto up = rows_.subspan(half, rows);
    for (std::uint32_t i = 0; i < count_; ++i) {
      project(gate, w_gate, row - held, i, kGateFractionBits);
      project(up, w_up, row - held, i, kGateFractionBits);
      for (std::uint32_t first = 0; first < rows; first += g) {
        const auto wide = wide_.first(std::min<std::uint32_t>(g, rows - first));
        swiglu_lanes(wide.data(), &gate[first], &up[first], wide.size());
        const std::uint32_t lane = row + first;
        hidden_.row_scales(i)[lane / g] = quantize_block_s64_s8(hidden_.row(i) + lane, wide, unit);
      }
    }
  }
}

/// residual += my_rows(weights, input), as many rows at a time as there is room for; of several
/// positions only a block, that they find its weights near.
void Transformer::add_projection(const Projection& projection, const BlockVectors& input) {
  take_input(input, count_);
  const Range lanes = residual_lanes();
  const std::uint32_t held = image_.held().residual_blocks.first * config().block;
  const int fraction_bits = static_cast<int>(config().residual_fraction_bits);
  const std::uint32_t step = count_ > 1 ? config().block : static_cast<std::uint32_t>(rows_.size());
  for (std::uint32_t first = 0; first < lanes.count; first += step) {
    const std::uint32_t rows = std::min<std::uint32_t>(step, lanes.count - first);
    for (std::uint32_t i = 0; i < count_; ++i) {
      project(rows_.first(rows), projection, lanes.first - held + first, i, fraction_bits);
      add_residual(residual(i).subspan(first, rows), rows_.data());
    }
  }
}

/// Calls visit(first token, logits) for blocks of own rows of the classifier, in rising order.
template <typename Visit>
void Transformer::visit_logits(Visit visit) {
  MOTE_ASSERT(phase_.exchange == Exchange::candidates && count_ > 0 && with_logits_);
  take_input(final_, 1);
  const MatrixView classifier = image_.matrix(SectionKind::classifier);
  const std::uint32_t held = image_.held().vocabulary.first;
  ActivationView last = input_view(0);
  last.factor.mantissa = final_factor_.mantissa;
  last.factor.exponent += final_factor_.exponent - kUnitMultiplier.exponent;
  const auto room = static_cast<std::uint32_t>(rows_.size());
  const Range vocabulary = slice_.vocabulary;
  for (std::uint32_t row = vocabulary.first; row < vocabulary.end(); row += room) {
    const std::uint32_t rows = std::min<std::uint32_t>(room, vocabulary.end() - row);
    matvec_s8_s32(rows_.data(), classifier.slice(row - held, rows), last, kLogitFractionBits);
    visit(row, rows_.first(rows));
  }
}

std::span<const Candidate> Transformer::candidates(Sampler& sampler) {
  CandidateList list(candidates_);
  sampler.begin_logits();
  visit_logits([&](std::uint32_t first, std::span<std::int32_t> logits) {
    sampler.penalize(first, logits);
    if constexpr (kFavorsSize) {
      for (std::uint32_t i = 0; i < logits.size(); ++i) list.offer({logits[i], first + i});
    } else {
      list.offer(first, logits);
    }
  });
  return list.sort();
}

void Transformer::logits(std::span<std::int32_t> out) {
  MOTE_ASSERT(out.size() == config().vocab_size);
  visit_logits([&](std::uint32_t first, std::span<const std::int32_t> logits) {
    std::copy(logits.begin(), logits.end(), out.begin() + first);
  });
}

}  // namespace mote
