// SPDX-License-Identifier: Apache-2.0
// What one chip computes for each exchange: its rows of every matrix, whole, from whole vectors.
#include <algorithm>
#include <bit>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/activation.hpp"
#include "kernels/hadamard.hpp"
#include "kernels/matvec.hpp"
#include "kernels/quantize.hpp"
#include "kernels/rms_norm.hpp"
#include "kernels/rope.hpp"
#include "model/layer_attention.hpp"
#include "mote/transformer.hpp"

namespace mote {
namespace {

/// Fraction bits of queries, keys and values before they are rounded to int8: range +-2048.
constexpr int kProjectionFractionBits = 20;
constexpr Multiplier kProjectionUnit = {kUnitMultiplier.mantissa,
                                        kUnitMultiplier.exponent - kProjectionFractionBits};
constexpr std::uint32_t kLogitRows = 32;

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

/// residual = my_rows(embedding_row(token))
void Transformer::compute_embedding() {
  const MatrixView embedding = image_.matrix(SectionKind::token_embedding);
  for (std::uint32_t i = 0; i < count_; ++i) {
    const auto lanes = residual(i);
    dequantize_row(lanes, embedding, tokens_[i], residual_lanes().first,
                   static_cast<int>(config().residual_fraction_bits));
  }
}

/// input = quantize(residual); what makes it a norm is the factor of `take_normalized_input`.
void Transformer::compute_residual_blocks() {
  const std::uint32_t g = config().block;
  const Multiplier unit = {
      kUnitMultiplier.mantissa,
      kUnitMultiplier.exponent - static_cast<int>(config().residual_fraction_bits)};
  for (std::uint32_t i = 0; i < count_; ++i) {
    const auto lanes = residual(i);
    for (std::uint32_t b = 0; b < slice_.residual_blocks.count; ++b) {
      const std::uint32_t block = slice_.residual_blocks.first + b;
      const auto part = lanes.subspan(std::size_t{b} * g, block_lanes(block, g, config().dim));
      input_.row_scales(i)[block] =
          quantize_block_s64_s8(input_.row(i) + block * g, widen(part), unit);
    }
  }
}

/// Makes `vectors` the input of the projections that follow, for every position of the batch.
void Transformer::take_input(const BlockVectors& vectors) {
  const std::uint32_t blocks = vectors.columns / vectors.block;
  for (std::uint32_t i = 0; i < count_; ++i) {
    factors_[i] = kUnitMultiplier;
    factors_[i].exponent +=
        align_scales(&scales_[std::size_t{i} * blocks], {vectors.row_scales(i), blocks});
  }
  taken_ = &vectors;
}

/// The same for `input_`, divided by its root mean square.
void Transformer::take_normalized_input() {
  const ModelConfig& c = config();
  const std::uint32_t blocks = input_.columns / input_.block;
  for (std::uint32_t i = 0; i < count_; ++i) {
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
  take_normalized_input();
  const std::uint32_t last = count_ - 1;
  const std::uint32_t blocks = input_.columns / input_.block;
  // Its own unit is taken out again: it will be that of the new scales.
  final_factor_ = factors_[last];
  final_factor_.exponent -= align_scales(scales_.data(), {input_.row_scales(last), blocks});
  const GainsView gains = image_.gains(SectionKind::final_norm);
  for (std::uint32_t b = 0; b < blocks; ++b) {
    const std::uint32_t lanes = block_lanes(b, input_.block, config().dim);
    Scale16& scale = input_.row_scales(last)[b];
    scale = apply_gains({input_.row(last) + b * input_.block, lanes}, scale,
                        gains.values + b * input_.block, gains.exponent);
  }
}

ActivationView Transformer::input_view(std::uint32_t index) const {
  const std::size_t blocks = taken_->columns / taken_->block;
  return {taken_->row(index), &scales_[index * blocks], factors_[index]};
}

/// One head of a projection, in the first half of `rows_`, Q20.
std::span<std::int32_t> Transformer::project_head(const MatrixView& matrix, std::uint32_t head,
                                                  std::uint32_t index) {
  const std::uint32_t head_size = config().head_size;
  const auto lanes = rows_.first(head_size);
  matvec_s8_s32(lanes.data(), matrix.slice(head * head_size, head_size), input_view(index),
                kProjectionFractionBits);
  return lanes;
}

std::span<std::int64_t> Transformer::widen(std::span<const std::int32_t> lanes) {
  const auto wide = wide_.first(lanes.size());
  std::copy(lanes.begin(), lanes.end(), wide.begin());
  return wide;
}

/// A head turned by its position and transformed, in `wide_`; `lanes` stay as they are.
std::span<std::int64_t> Transformer::turn_head(std::span<const std::int32_t> lanes,
                                               std::uint32_t position) {
  const auto turned = rows_.last(lanes.size());
  std::copy(lanes.begin(), lanes.end(), turned.begin());
  rotate_pairs(turned, image_.rope_frequencies(), position);
  const auto wide = widen(turned);
  hadamard_transform(wide);
  return wide;
}

/// The factor `hadamard_width` that the product of a transformed query and key gains is taken out
/// of the query, where it is a power of two in the unit.
Scale16 Transformer::quantize_query(std::int8_t* out, std::span<const std::int32_t> lanes,
                                    const LayerAttention& attention, std::uint32_t position) {
  if (!attention.is_rotated()) return quantize_block_s64_s8(out, widen(lanes), kProjectionUnit);
  Multiplier unit = kProjectionUnit;
  unit.exponent -= std::countr_zero(hadamard_width(config().head_size));
  return quantize_block_s64_s8(out, turn_head(lanes, position), unit);
}

Scale16 Transformer::quantize_key(std::int8_t* out, std::span<const std::int32_t> lanes,
                                  const LayerAttention& attention, std::uint32_t position) {
  const auto wide = attention.is_rotated() ? turn_head(lanes, position) : widen(lanes);
  return quantize_block_s64_s8(out, wide, kProjectionUnit);
}

/// heads = quantize(attend(rope(q), cache(rope(k), v))), for the heads of this chip.
void Transformer::compute_heads() {
  take_normalized_input();
  LayerAttention attention = layer_attention(phase_.layer);
  const HeadProjections weights = {layer_matrix(SectionKind::wq), layer_matrix(SectionKind::wk),
                                   layer_matrix(SectionKind::wv)};
  const std::uint32_t group = config().heads_per_kv_head();
  const Range heads = slice_.heads;
  for (std::uint32_t first = heads.first; first < heads.end();) {
    const std::uint32_t kv_head = first / group;
    const std::uint32_t end = std::min<std::uint32_t>((kv_head + 1) * group, heads.end());
    for (std::uint32_t i = 0; i < count_; ++i) {
      store_key_value(attention, weights, kv_head, i);
      for (std::uint32_t head = first; head < end; ++head) {
        attend_head(attention, weights, head, i);
      }
    }
    first = end;
  }
}

void Transformer::store_key_value(LayerAttention& attention, const HeadProjections& weights,
                                  std::uint32_t kv_head, std::uint32_t index) {
  std::int8_t* key = head_values_.data();
  std::int8_t* value = key + config().head_size;
  const Scale16 key_scale =
      quantize_key(key, project_head(weights.key, kv_head, index), attention, position_ + index);
  const Scale16 value_scale = quantize_block_s64_s8(
      value, widen(project_head(weights.value, kv_head, index)), kProjectionUnit);
  const std::uint32_t first_kv_head = slice_.heads.first / config().heads_per_kv_head();
  attention.store(position_ + index, kv_head - first_kv_head, {key, key_scale},
                  {value, value_scale});
}

void Transformer::attend_head(LayerAttention& attention, const HeadProjections& weights,
                              std::uint32_t head, std::uint32_t index) {
  const ModelConfig& c = config();
  const std::uint32_t position = position_ + index;
  const auto lanes = project_head(weights.query, head, index);
  QuantizedVector query = {head_values_.data(), {}};
  query.scale = quantize_query(head_values_.data(), lanes, attention, position);
  QuantizedVector sink_query = query;
  if (const std::uint32_t turn = attention.sink_query_position(position); turn != position) {
    std::int8_t* values = head_values_.data() + c.head_size;
    sink_query = {values, quantize_query(values, lanes, attention, turn)};
  }
  const std::uint32_t group = c.heads_per_kv_head();
  const std::uint32_t first_head = slice_.heads.first / group * group;
  WideVector wide = {wide_.first(c.head_size), {}};
  attention.attend(wide, scores_, position, head - first_head, query, sink_query);

  const std::uint32_t block = heads_.block;
  for (std::uint32_t lane = 0; lane < c.head_size; lane += block) {
    const std::uint32_t column = head * c.head_size + lane;
    heads_.row_scales(index)[column / block] = quantize_block_s64_s8(
        heads_.row(index) + column, wide.values.subspan(lane, block), wide.unit);
  }
}

/// hidden = quantize(silu(my_rows(w_gate, x)) * my_rows(w_up, x)), a block of rows at a time.
void Transformer::compute_hidden() {
  take_normalized_input();
  const std::uint32_t g = config().block;
  const MatrixView w_gate = layer_matrix(SectionKind::w_gate);
  const MatrixView w_up = layer_matrix(SectionKind::w_up);
  const Multiplier unit = {kUnitMultiplier.mantissa,
                           kUnitMultiplier.exponent - kHiddenFractionBits};
  for (std::uint32_t b = slice_.hidden_blocks.first; b < slice_.hidden_blocks.end(); ++b) {
    const std::uint32_t lanes = block_lanes(b, g, config().hidden_dim);
    std::int32_t* gate = rows_.data();
    std::int32_t* up = gate + lanes;
    for (std::uint32_t i = 0; i < count_; ++i) {
      matvec_s8_s32(gate, w_gate.slice(b * g, lanes), input_view(i), kGateFractionBits);
      matvec_s8_s32(up, w_up.slice(b * g, lanes), input_view(i), kGateFractionBits);
      for (std::uint32_t lane = 0; lane < lanes; ++lane) {
        wide_[lane] = swiglu_q36(gate[lane], up[lane]);
      }
      hidden_.row_scales(i)[b] =
          quantize_block_s64_s8(hidden_.row(i) + b * g, wide_.first(lanes), unit);
    }
  }
}

/// residual += my_rows(matrix, input)
void Transformer::add_projection(const MatrixView& matrix, const BlockVectors& input) {
  take_input(input);
  const std::uint32_t g = config().block;
  const int fraction_bits = static_cast<int>(config().residual_fraction_bits);
  for (std::uint32_t b = 0; b < slice_.residual_blocks.count; ++b) {
    const std::uint32_t block = slice_.residual_blocks.first + b;
    const std::uint32_t lanes = block_lanes(block, g, config().dim);
    for (std::uint32_t i = 0; i < count_; ++i) {
      matvec_s8_s32(rows_.data(), matrix.slice(block * g, lanes), input_view(i), fraction_bits);
      add_residual(residual(i).subspan(std::size_t{b} * g, lanes), rows_.data());
    }
  }
}

/// Calls visit(first token, logits) for blocks of own rows of the classifier, in rising order.
template <typename Visit>
void Transformer::visit_logits(Visit visit) {
  MOTE_ASSERT(phase_.exchange == Exchange::candidates && count_ > 0);
  take_input(input_);
  const MatrixView classifier = image_.matrix(SectionKind::classifier);
  ActivationView last = input_view(count_ - 1);
  last.factor.mantissa = final_factor_.mantissa;
  last.factor.exponent += final_factor_.exponent - kUnitMultiplier.exponent;
  std::int32_t logits[kLogitRows];
  const Range vocabulary = slice_.vocabulary;
  for (std::uint32_t row = vocabulary.first; row < vocabulary.end(); row += kLogitRows) {
    const std::uint32_t rows = std::min<std::uint32_t>(kLogitRows, vocabulary.end() - row);
    matvec_s8_s32(logits, classifier.slice(row, rows), last, kLogitFractionBits);
    visit(row, std::span<std::int32_t>(logits, rows));
  }
}

std::span<const Candidate> Transformer::candidates(Sampler& sampler) {
  CandidateList list(candidates_);
  sampler.begin_logits();
  visit_logits([&](std::uint32_t first, std::span<std::int32_t> logits) {
    sampler.penalize(first, logits);
    for (std::uint32_t i = 0; i < logits.size(); ++i) list.offer({logits[i], first + i});
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
