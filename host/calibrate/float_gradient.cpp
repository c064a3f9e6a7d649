// SPDX-License-Identifier: Apache-2.0
// The gradient of a float model by its weights: the forward pass from its end to its beginning.
#include <algorithm>
#include <utility>

#include "calibrate/float_kernels.hpp"
#include "calibrate/float_model.hpp"

namespace mote::host {

/// in_gradient += out_gradient times the matrix; the matrix's own gradient grows by the outer
/// products.
void FloatModel::multiply_back(std::vector<float>& in_gradient, std::vector<FloatMatrix>& gradients,
                               std::span<const float> out_gradient, std::span<const float> in,
                               std::size_t matrix) const {
  const FloatMatrix& m = matrices_[matrix];
  const std::size_t positions = in.size() / m.columns;
  in_gradient.resize(in.size());
  const FloatKernels& kernels = float_kernels();
  kernels.add_product({in_gradient.data(), m.columns}, {out_gradient.data(), m.rows},
                      {m.cells.data(), m.columns}, {positions, m.rows, m.columns});
  kernels.add_product({gradients[matrix].cells.data(), m.columns}, {out_gradient.data(), 1, m.rows},
                      {in.data(), m.columns}, {m.rows, positions, m.columns});
}

/// in_gradient += factor * (out_gradient - out * mean(out_gradient * out)), epsilon left out.
void FloatModel::normalize_back(std::span<float> in_gradient, std::span<const float> out_gradient,
                                std::span<const float> out, std::span<const float> factors) const {
  const std::size_t dim = config_.dim;
  for (std::size_t t = 0; t < factors.size(); ++t) {
    double sum = 0;
    for (std::size_t i = 0; i < dim; ++i) {
      sum += double{out_gradient[t * dim + i]} * out[t * dim + i];
    }
    const auto mean = static_cast<float>(sum / static_cast<double>(dim));
    for (std::size_t i = t * dim; i < (t + 1) * dim; ++i) {
      in_gradient[i] += factors[t] * (out_gradient[i] - out[i] * mean);
    }
  }
}

void FloatModel::attend_back(FloatTrace::Layer& gradient, const FloatTrace::Layer& trace,
                             const std::vector<FloatTurn>& turns, std::uint32_t layer) const {
  const std::size_t positions = trace.queries.size() / config_.heads_dim();
  gradient.queries.assign(trace.queries.size(), 0.0F);
  gradient.sink_queries.assign(trace.sink_queries.size(), 0.0F);
  gradient.keys.assign(trace.keys.size(), 0.0F);
  gradient.values.assign(trace.values.size(), 0.0F);
  for (std::uint32_t head = 0; head < config_.n_heads; ++head) {
    const std::size_t at = std::size_t{head} * config_.head_size;
    const std::size_t kv_at = std::size_t{head / config_.heads_per_kv_head()} * config_.head_size;
    const HeadInputGradients own = {
        {gradient.queries.data() + at, config_.heads_dim()},
        {gradient.sink_queries.empty() ? nullptr : gradient.sink_queries.data() + at,
         config_.heads_dim()},
        {gradient.keys.data() + kv_at, config_.kv_dim()},
        {gradient.values.data() + kv_at, config_.kv_dim()}};
    attention(layer, head)
        .backward(own, {gradient.heads.data() + at, config_.heads_dim()}, head_inputs(trace, head),
                  positions);
  }
  turn(gradient.queries, turns, config_.heads_dim(), layer, Turn::back);
  turn(gradient.sink_queries, turns, config_.heads_dim(), layer, Turn::back_for_sinks);
  turn(gradient.keys, turns, config_.kv_dim(), layer, Turn::back);
  for (std::size_t i = 0; i < gradient.sink_queries.size(); ++i) {
    gradient.queries[i] += gradient.sink_queries[i];
  }
}

void FloatModel::backward_layer(std::span<float> residual_gradient,
                                std::vector<FloatMatrix>& gradients, const FloatTrace& whole,
                                std::uint32_t layer) const {
  const FloatTrace::Layer& trace = whole.layers[layer - 1];
  FloatTrace::Layer gradient;
  multiply_back(gradient.up, gradients, residual_gradient, trace.hidden,
                index_of(SectionKind::w_down, layer));  // of `hidden`
  gradient.gate.resize(trace.gate.size());
  float_kernels().swiglu_back(gradient.gate.data(), gradient.up.data(), trace.gate.data(),
                              trace.up.data(), trace.gate.size());
  multiply_back(gradient.ffn_input, gradients, gradient.gate, trace.ffn_input,
                index_of(SectionKind::w_gate, layer));
  multiply_back(gradient.ffn_input, gradients, gradient.up, trace.ffn_input,
                index_of(SectionKind::w_up, layer));
  normalize_back(residual_gradient, gradient.ffn_input, trace.ffn_input, trace.ffn_factor);

  multiply_back(gradient.heads, gradients, residual_gradient, trace.heads,
                index_of(SectionKind::wo, layer));
  attend_back(gradient, trace, whole.turns, layer);
  multiply_back(gradient.input, gradients, gradient.queries, trace.input,
                index_of(SectionKind::wq, layer));
  multiply_back(gradient.input, gradients, gradient.keys, trace.input,
                index_of(SectionKind::wk, layer));
  multiply_back(gradient.input, gradients, gradient.values, trace.input,
                index_of(SectionKind::wv, layer));
  normalize_back(residual_gradient, gradient.input, trace.input, trace.input_factor);
}

void FloatModel::backward(std::vector<FloatMatrix>& gradients, const FloatTrace& trace,
                          std::span<const float> logit_gradients) const {
  const std::size_t dim = config_.dim;
  std::vector<float> final_gradient;
  multiply_back(final_gradient, gradients, logit_gradients, trace.final_lanes,
                index_of(SectionKind::classifier, 0));
  for (std::size_t i = 0; i < final_gradient.size(); ++i)
    final_gradient[i] *= final_gains_[i % dim];
  std::vector<float> residual_gradient(final_gradient.size());
  normalize_back(residual_gradient, final_gradient, trace.final_input, trace.final_factor);
  for (std::uint32_t layer = config_.n_layers; layer >= 1; --layer) {
    backward_layer(residual_gradient, gradients, trace, layer);
  }
  for (std::size_t t = 0; t < trace.tokens.size(); ++t) {
    float* row = gradients[0].cells.data() + trace.tokens[t] * dim;
    for (std::size_t i = 0; i < dim; ++i) row[i] += residual_gradient[t * dim + i];
  }
}

}  // namespace mote::host
