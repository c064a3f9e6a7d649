// SPDX-License-Identifier: Apache-2.0
// The forward pass; the way back is in float_gradient.cpp.
#include "calibrate/float_model.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "calibrate/float_kernels.hpp"
#include "kernels/rope.hpp"

namespace mote::host {
namespace {

constexpr SectionKind kLayerKinds[] = {SectionKind::wq,    SectionKind::wk,     SectionKind::wv,
                                       SectionKind::wo,    SectionKind::w_gate, SectionKind::w_up,
                                       SectionKind::w_down};
constexpr std::size_t kLayerKindCount = std::size(kLayerKinds);

FloatMatrix shape_of(const Image& image, SectionKind kind, std::uint32_t layer) {
  Section section;
  FloatMatrix matrix;
  if (!image.find(section, kind, layer)) return matrix;
  matrix.rows = section.rows;
  matrix.columns = section.columns;
  matrix.cells.resize(matrix.rows * matrix.columns);
  return matrix;
}

void add_bias(std::span<float> rows, const std::vector<float>& bias) {
  if (bias.empty()) return;
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] += bias[i % bias.size()];
}

}  // namespace

FloatModel::FloatModel(const Image& image, std::vector<FloatBiases> biases)
    : image_(image), config_(image.config()), biases_(std::move(biases)) {
  biases_.resize(config_.n_layers);
  matrices_.push_back(shape_of(image, SectionKind::token_embedding, 0));
  matrices_.push_back(shape_of(image, SectionKind::classifier, 0));
  has_classifier_ = matrices_[1].rows != 0;
  for (std::uint32_t layer = 1; layer <= config_.n_layers; ++layer) {
    for (const SectionKind kind : kLayerKinds) matrices_.push_back(shape_of(image, kind, layer));
  }
  transposed_.resize(matrices_.size());
  const GainsView gains = image.gains(SectionKind::final_norm);
  for (std::uint32_t i = 0; i < config_.dim; ++i) {
    final_gains_.push_back(std::ldexp(static_cast<float>(gains.values[i]), gains.exponent));
  }
}

std::size_t FloatModel::index_of(SectionKind kind, std::uint32_t layer) const {
  if (kind == SectionKind::token_embedding) return 0;
  if (kind == SectionKind::classifier) return has_classifier_ ? 1 : 0;
  const auto place = std::find(std::begin(kLayerKinds), std::end(kLayerKinds), kind);
  return 2 + (layer - 1) * kLayerKindCount +
         static_cast<std::size_t>(place - std::begin(kLayerKinds));
}

void FloatModel::set_matrix(std::size_t index, std::span<const float> cells) {
  FloatMatrix& matrix = matrices_[index];
  std::copy(cells.begin(), cells.end(), matrix.cells.begin());
  transposed_[index].resize(cells.size());
  for (std::size_t r = 0; r < matrix.rows; ++r) {
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      transposed_[index][c * matrix.rows + r] = cells[r * matrix.columns + c];
    }
  }
}

std::vector<FloatMatrix> FloatModel::make_gradients() const {
  std::vector<FloatMatrix> gradients = matrices_;
  for (FloatMatrix& gradient : gradients) {
    std::fill(gradient.cells.begin(), gradient.cells.end(), 0.0F);
  }
  return gradients;
}

/// out = in times the matrix, for all positions.
void FloatModel::multiply(std::vector<float>& out, std::span<const float> in,
                          std::size_t matrix) const {
  const FloatMatrix& m = matrices_[matrix];
  const std::size_t positions = in.size() / m.columns;
  out.assign(positions * m.rows, 0.0F);
  float_kernels().add_product({out.data(), m.rows}, {in.data(), m.columns},
                              {transposed_[matrix].data(), m.rows}, {positions, m.columns, m.rows});
}

/// RMSNorm without gains.
void FloatModel::normalize(std::vector<float>& out, std::vector<float>& factors,
                           std::span<const float> in) const {
  const std::size_t dim = config_.dim;
  out.resize(in.size());
  factors.resize(in.size() / dim);
  const double epsilon = std::ldexp(static_cast<double>(config_.norm_epsilon), -44);
  for (std::size_t t = 0; t < factors.size(); ++t) {
    double sum = epsilon;
    for (std::size_t i = 0; i < dim; ++i) sum += double{in[t * dim + i]} * in[t * dim + i];
    factors[t] = sum > 0 ? static_cast<float>(std::sqrt(static_cast<double>(dim) / sum)) : 0.0F;
    for (std::size_t i = 0; i < dim; ++i) out[t * dim + i] = in[t * dim + i] * factors[t];
  }
}

void FloatModel::find_turns(std::vector<FloatTurn>& turns, std::size_t positions) const {
  turns.clear();
  for (std::size_t t = 0; t < positions; ++t) {
    for (std::uint32_t i = 0; i < config_.head_size / 2; ++i) {
      const SineCosine angle =
          sine_cosine(static_cast<std::uint32_t>(t) * image_.rope_frequencies()[i]);
      turns.push_back({std::ldexp(static_cast<float>(angle.cosine), -15),
                       std::ldexp(static_cast<float>(angle.sine), -15)});
    }
  }
}

/// Turns the heads of each position by it, or back; for sinks by the position that they are asked
/// from. Linear layers know no positions.
///   rows (positions, width)
void FloatModel::turn(std::span<float> rows, const std::vector<FloatTurn>& turns, std::size_t width,
                      std::uint32_t layer, Turn turn) const {
  const LayerAttentionConfig attention = image_.layer_attention(layer);
  if (attention.kind == AttentionKind::linear) return;
  const float sign = turn == Turn::back || turn == Turn::back_for_sinks ? -1.0F : 1.0F;
  const bool for_sinks = turn == Turn::forth_for_sinks || turn == Turn::back_for_sinks;
  const std::size_t pairs = config_.head_size / 2;
  for (std::size_t t = 0; t < rows.size() / width; ++t) {
    const std::size_t position =
        for_sinks ? std::min<std::size_t>(t, attention.window + attention.sinks - 1) : t;
    for (std::size_t i = 0; i < width / 2; ++i) {
      const FloatTurn& angle = turns[position * pairs + i % pairs];
      float* pair = rows.data() + t * width + 2 * i;
      const float x = pair[0];
      pair[0] = x * angle.cosine - pair[1] * (sign * angle.sine);
      pair[1] = x * (sign * angle.sine) + pair[1] * angle.cosine;
    }
  }
}

FloatAttention FloatModel::attention(std::uint32_t layer, std::uint32_t head) const {
  const LayerAttentionConfig config = image_.layer_attention(layer);
  float decay = 1;
  if (config.decays != nullptr) {
    decay = std::ldexp(static_cast<float>(config.decays[head / config_.heads_per_kv_head()]), -16);
  }
  return {config, config_.head_size, decay};
}

HeadInputs FloatModel::head_inputs(const FloatTrace::Layer& trace, std::uint32_t head) const {
  const std::size_t at = std::size_t{head} * config_.head_size;
  const std::size_t kv_at = std::size_t{head / config_.heads_per_kv_head()} * config_.head_size;
  return {
      {trace.queries.data() + at, config_.heads_dim()},
      {trace.sink_queries.empty() ? nullptr : trace.sink_queries.data() + at, config_.heads_dim()},
      {trace.keys.data() + kv_at, config_.kv_dim()},
      {trace.values.data() + kv_at, config_.kv_dim()}};
}

void FloatModel::attend(FloatTrace::Layer& trace, const std::vector<FloatTurn>& turns,
                        std::uint32_t layer) const {
  const std::size_t positions = trace.queries.size() / config_.heads_dim();
  trace.sink_queries.clear();
  if (image_.layer_attention(layer).sinks != 0) trace.sink_queries = trace.queries;
  turn(trace.queries, turns, config_.heads_dim(), layer, Turn::forth);
  turn(trace.sink_queries, turns, config_.heads_dim(), layer, Turn::forth_for_sinks);
  turn(trace.keys, turns, config_.kv_dim(), layer, Turn::forth);
  trace.heads.resize(trace.queries.size());
  for (std::uint32_t head = 0; head < config_.n_heads; ++head) {
    const HeadGradient out = {trace.heads.data() + std::size_t{head} * config_.head_size,
                              config_.heads_dim()};
    attention(layer, head).forward(out, head_inputs(trace, head), positions);
  }
}

void FloatModel::forward_layer(std::vector<float>& residual, FloatTrace& whole,
                               std::uint32_t layer) const {
  FloatTrace::Layer& trace = whole.layers[layer - 1];
  std::vector<float> change;
  const auto add_change = [&] {
    for (std::size_t i = 0; i < residual.size(); ++i) residual[i] += change[i];
  };
  normalize(trace.input, trace.input_factor, residual);
  multiply(trace.queries, trace.input, index_of(SectionKind::wq, layer));
  multiply(trace.keys, trace.input, index_of(SectionKind::wk, layer));
  multiply(trace.values, trace.input, index_of(SectionKind::wv, layer));
  add_bias(trace.queries, biases_[layer - 1].query);
  add_bias(trace.keys, biases_[layer - 1].key);
  add_bias(trace.values, biases_[layer - 1].value);
  attend(trace, whole.turns, layer);
  multiply(change, trace.heads, index_of(SectionKind::wo, layer));
  add_bias(change, biases_[layer - 1].output);
  add_change();

  normalize(trace.ffn_input, trace.ffn_factor, residual);
  multiply(trace.gate, trace.ffn_input, index_of(SectionKind::w_gate, layer));
  multiply(trace.up, trace.ffn_input, index_of(SectionKind::w_up, layer));
  trace.hidden.resize(trace.gate.size());
  float_kernels().swiglu(trace.hidden.data(), trace.gate.data(), trace.up.data(),
                         trace.hidden.size());
  multiply(change, trace.hidden, index_of(SectionKind::w_down, layer));
  add_change();
}

void FloatModel::forward(FloatTrace& trace, std::span<const std::uint32_t> tokens) const {
  const std::size_t dim = config_.dim;
  trace.tokens.assign(tokens.begin(), tokens.end());
  trace.layers.resize(config_.n_layers);
  find_turns(trace.turns, tokens.size());
  std::vector<float> residual(tokens.size() * dim);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    std::copy_n(matrices_[0].cells.data() + tokens[t] * dim, dim, residual.data() + t * dim);
  }
  for (std::uint32_t layer = 1; layer <= config_.n_layers; ++layer) {
    forward_layer(residual, trace, layer);
  }
  normalize(trace.final_input, trace.final_factor, residual);
  trace.final_lanes = trace.final_input;
  for (std::size_t i = 0; i < trace.final_lanes.size(); ++i) {
    trace.final_lanes[i] *= final_gains_[i % dim];
  }
  classify(trace.logits, trace.final_lanes);
}

void FloatModel::classify(std::vector<float>& logits, std::span<const float> final_lanes) const {
  multiply(logits, final_lanes, index_of(SectionKind::classifier, 0));
}

}  // namespace mote::host
