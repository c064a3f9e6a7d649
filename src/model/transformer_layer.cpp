// SPDX-License-Identifier: Apache-2.0
// What one chip computes for each exchange: its rows of every matrix, whole, from whole vectors.
// transformer_heads.cpp has those between q, k, v and the heads.
#include <algorithm>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "base/platform.hpp"
#include "kernels/activation.hpp"
#include "kernels/matvec.hpp"
#include "kernels/quantize.hpp"
#include "kernels/rms_norm.hpp"
#include "mote/transformer.hpp"

namespace mote {
namespace {

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

/// Own rows of the token embedding, as bytes; those of paired lanes with plain ones, so that chips
/// understand each other whose images differ in that.
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
    if (row.format != WeightFormat::int8_pairs) continue;
    for (std::uint32_t c = 0; c < row.columns; c += 2) out[c] ^= 0x80;
  }
}

/// residual = my_rows(embedding_row(token)); input = quantize(embedding_row(token)), of which all
/// chips know every block.
void Transformer::take_embedding_rows() {
  const std::uint32_t g = config().block;
  const int fraction_bits = static_cast<int>(config().residual_fraction_bits);
  MatrixView row = image_.matrix(SectionKind::token_embedding);
  if (row.format == WeightFormat::int8_pairs) row.format = WeightFormat::int8;
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
    if (!kFavorsSize && residual_lanes().count == config().dim) {
      quantize_residual(i, 0, residual(i));
      continue;
    }
    for (std::uint32_t b = 0; b < row.blocks(); ++b) {
      const auto lanes = rows_.first(block_lanes(b, g, config().dim));
      dequantize_row(lanes, row, 0, b * g, fraction_bits);
      quantize_residual(i, b, lanes);
    }
  }
}

/// Blocks of input = quantize(residual), from `block` on; what makes it a norm is the factor of
/// `take_normalized_input`.
void Transformer::quantize_residual(std::uint32_t index, std::uint32_t block,
                                    std::span<const std::int32_t> lanes) {
  const Multiplier unit = {
      kUnitMultiplier.mantissa,
      kUnitMultiplier.exponent - static_cast<int>(config().residual_fraction_bits)};
  quantize_lanes(input_.row(index) + block * input_.block, input_.row_scales(index) + block, lanes,
                 input_.block, unit);
}

void Transformer::compute_residual_blocks() {
  const Range positions = exchange_positions(phase_.exchange);
  for (std::uint32_t i = positions.first; i < positions.end(); ++i) {
    quantize_residual(i, slice_.residual_blocks.first, residual(i));
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

/// As quantize_blocks_s32_s8, without its code where space matters.
void Transformer::quantize_lanes(std::int8_t* out, Scale16* scales,
                                 std::span<const std::int32_t> lanes, std::uint32_t block,
                                 Multiplier unit) {
  if constexpr (!kFavorsSize) return quantize_blocks_s32_s8(out, scales, lanes, block, unit);
  while (!lanes.empty()) {
    const auto wide = widen(lanes.first(std::min<std::size_t>(block, lanes.size())));
    *scales++ = quantize_block_s64_s8(out, wide, unit);
    out += wide.size();
    lanes = lanes.subspan(wide.size());
  }
}

/// hidden = quantize(silu(my_rows(w_gate, x)) * my_rows(w_up, x)), a block of rows at a time, or as
/// many as the run allows; of several positions only one, that they find its weights near.
void Transformer::compute_hidden() {
  take_normalized_input({0, count_});
  const std::uint32_t g = config().block;
  const Projection w_gate = layer_projection(SectionKind::w_gate);
  const Projection w_up = layer_projection(SectionKind::w_up);
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
      quantize_swiglu(hidden_.row(i) + row, hidden_.row_scales(i) + row / g, gate, up.data(), g,
                      wide_);
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
