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
Range Transformer::residual_lanes(const ModelConfig& c) const {
  const std::uint32_t first = slice_.residual_blocks.first * c.block;
  const std::uint32_t end = std::min<std::uint32_t>(slice_.residual_blocks.end() * c.block, c.dim);
  return {first, end > first ? end - first : 0};
}

/// Own lanes of the residual stream of one position of the batch.
std::span<std::int32_t> Transformer::residual(std::uint32_t index) {
  const std::size_t lanes = residual_lanes(config()).count;
  return residual_.subspan(index * lanes, lanes);
}

/// residual = my_rows(embedding_row(token))
void Transformer::compute_embedding() {
  const MatrixView embedding = image_.matrix(SectionKind::token_embedding);
  for (std::uint32_t i = 0; i < count_; ++i) {
    const auto lanes = residual(i);
    dequantize_row(lanes, embedding, tokens_[i], residual_lanes(config()).first,
                   static_cast<int>(config().residual_fraction_bits));
    for (std::int32_t& lane : lanes) {
      lane = std::clamp<std::int32_t>(lane, -kResidualLimit, kResidualLimit);
    }
  }
}

/// input = quantize(rms_norm(residual)), its common factor left to `take_input`.
void Transformer::compute_norm(const GainsView& gains) {
  const std::uint32_t g = config().block;
  const int fraction_bits = static_cast<int>(config().residual_fraction_bits);
  for (std::uint32_t i = 0; i < count_; ++i) {
    const auto lanes = residual(i);
    input_.sum_squares[i] = sum_squares(lanes);
    for (std::uint32_t b = 0; b < slice_.residual_blocks.count; ++b) {
      const std::uint32_t block = slice_.residual_blocks.first + b;
      const auto part = lanes.subspan(std::size_t{b} * g, block_lanes(block, g, config().dim));
      input_.row_scales(i)[block] = norm_block_s32_s8(
          input_.row(i) + block * g, part, gains.values + block * g, gains.exponent, fraction_bits);
    }
  }
}

/// Makes `vectors` the input of the projections that follow, for every position of the batch.
void Transformer::take_input(const BlockVectors& vectors) {
  const ModelConfig& c = config();
  const std::uint32_t blocks = vectors.columns / vectors.block;
  for (std::uint32_t i = 0; i < count_; ++i) {
    Multiplier factor = kUnitMultiplier;
    if (!vectors.sum_squares.empty()) {
      factor = norm_factor(vectors.sum_squares[i], c.norm_epsilon, c.dim,
                           static_cast<int>(c.residual_fraction_bits));
    }
    factor.exponent +=
        align_scales(&scales_[std::size_t{i} * blocks], {vectors.row_scales(i), blocks});
    factors_[i] = factor;
  }
  taken_ = &vectors;
}

ActivationView Transformer::input_view(std::uint32_t index) const {
  const std::size_t blocks = taken_->columns / taken_->block;
  return {taken_->row(index), &scales_[index * blocks], factors_[index]};
}

/// One head of a projection before it is rounded, in `wide_`, Q20.
std::span<std::int64_t> Transformer::project_head(const MatrixView& matrix, std::uint32_t head,
                                                  std::uint32_t index, bool rotated) {
  const std::uint32_t head_size = config().head_size;
  const auto lanes = rows_.first(head_size);
  matvec_s8_s32(lanes.data(), matrix.slice(head * head_size, head_size), input_view(index),
                kProjectionFractionBits);
  if (rotated) rotate_pairs(lanes, image_.rope_frequencies(), position_ + index);
  const auto wide = wide_.first(head_size);
  std::copy(lanes.begin(), lanes.end(), wide.begin());
  return wide;
}

/// Queries and keys are transformed before rounding; the factor `hadamard_width` that their product
/// gains is taken out of the query, where it is a power of two in the unit.
Scale16 Transformer::project_query(std::int8_t* out, const MatrixView& matrix, std::uint32_t head,
                                   std::uint32_t index) {
  const auto wide = project_head(matrix, head, index, true);
  hadamard_transform(wide);
  Multiplier unit = kProjectionUnit;
  unit.exponent -= std::countr_zero(hadamard_width(config().head_size));
  return quantize_block_s64_s8(out, wide, unit);
}

Scale16 Transformer::project_key(std::int8_t* out, const MatrixView& matrix, std::uint32_t head,
                                 std::uint32_t index) {
  const auto wide = project_head(matrix, head, index, true);
  hadamard_transform(wide);
  return quantize_block_s64_s8(out, wide, kProjectionUnit);
}

Scale16 Transformer::project_value(std::int8_t* out, const MatrixView& matrix, std::uint32_t head,
                                   std::uint32_t index) {
  return quantize_block_s64_s8(out, project_head(matrix, head, index, false), kProjectionUnit);
}

/// heads = quantize(attend(rope(q), cache(rope(k), v))), for the heads of this chip.
void Transformer::compute_heads() {
  take_input(input_);
  CausalAttention attention = layer_attention();
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

void Transformer::store_key_value(CausalAttention& attention, const HeadProjections& weights,
                                  std::uint32_t kv_head, std::uint32_t index) {
  std::int8_t* key = head_values_.data();
  std::int8_t* value = key + config().head_size;
  const Scale16 key_scale = project_key(key, weights.key, kv_head, index);
  const Scale16 value_scale = project_value(value, weights.value, kv_head, index);
  const std::uint32_t first_kv_head = slice_.heads.first / config().heads_per_kv_head();
  attention.store(position_ + index, kv_head - first_kv_head, {key, key_scale},
                  {value, value_scale});
}

void Transformer::attend_head(const CausalAttention& attention, const HeadProjections& weights,
                              std::uint32_t head, std::uint32_t index) {
  const ModelConfig& c = config();
  std::int8_t* query = head_values_.data();
  const Scale16 scale = project_query(query, weights.query, head, index);
  const std::uint32_t group = c.heads_per_kv_head();
  const std::uint32_t first_head = slice_.heads.first / group * group;
  WideVector wide = {wide_.first(c.head_size), {}};
  attention.attend(wide, scores_, position_ + index, head - first_head, {query, scale});

  const std::uint32_t block = heads_.block;
  for (std::uint32_t lane = 0; lane < c.head_size; lane += block) {
    const std::uint32_t column = head * c.head_size + lane;
    heads_.row_scales(index)[column / block] = quantize_block_s64_s8(
        heads_.row(index) + column, wide.values.subspan(lane, block), wide.unit);
  }
}

/// hidden = quantize(silu(my_rows(w_gate, x)) * my_rows(w_up, x)), a block of rows at a time.
void Transformer::compute_hidden() {
  take_input(input_);
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

/// Calls visit(token, logit) for own rows of the classifier, in rising order of token.
template <typename Visit>
void Transformer::visit_logits(Visit visit) {
  MOTE_ASSERT(phase_.exchange == Exchange::candidates && count_ > 0);
  take_input(input_);
  const MatrixView classifier = image_.matrix(SectionKind::classifier);
  const ActivationView last = input_view(count_ - 1);
  std::int32_t logits[kLogitRows];
  const Range vocabulary = slice_.vocabulary;
  for (std::uint32_t row = vocabulary.first; row < vocabulary.end(); row += kLogitRows) {
    const std::uint32_t rows = std::min<std::uint32_t>(kLogitRows, vocabulary.end() - row);
    matvec_s8_s32(logits, classifier.slice(row, rows), last, kLogitFractionBits);
    for (std::uint32_t r = 0; r < rows; ++r) visit(row + r, logits[r]);
  }
}

std::span<const Candidate> Transformer::candidates(Sampler& sampler) {
  CandidateList list(candidates_);
  sampler.begin_logits();
  visit_logits([&](std::uint32_t token, std::int32_t logit) {
    list.offer({sampler.penalized({logit, token}), token});
  });
  return list.sort();
}

void Transformer::logits(std::span<std::int32_t> out) {
  MOTE_ASSERT(out.size() == config().vocab_size);
  visit_logits([&](std::uint32_t token, std::int32_t logit) { out[token] = logit; });
}

}  // namespace mote
