// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "calibrate/float_math.hpp"

namespace mote::host {
namespace {

float dot(const float* a, const float* b, std::size_t count) {
  float sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void add_scaled(float* out, const float* in, float factor, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] += factor * in[i];
}

/// Linear attention's feature map, and its slope.
float phi(float x) {
  return std::max(x, 0.0F) + 1;
}
float phi_slope(float x) {
  return x > 0 ? 1.0F : 0.0F;
}

}  // namespace

FloatAttention::FloatAttention(const LayerAttentionConfig& config, std::uint32_t head_size,
                               float decay)
    : config_(config),
      head_size_(head_size),
      decay_(decay),
      score_scale_(1 / std::sqrt(static_cast<float>(head_size))) {}

bool FloatAttention::is_far_sink(std::size_t position, std::size_t earlier) const {
  return config_.kind == AttentionKind::sliding_window && earlier + config_.window <= position &&
         earlier < config_.sinks;
}

bool FloatAttention::sees(std::size_t position, std::size_t earlier) const {
  return config_.kind != AttentionKind::sliding_window || earlier + config_.window > position ||
         earlier < config_.sinks;
}

const float* FloatAttention::query_for(const HeadInputs& inputs, std::size_t position,
                                       std::size_t earlier) const {
  return (is_far_sink(position, earlier) ? inputs.sink_queries : inputs.queries).row(position);
}

/// The weights of positions 0 to `position`, whose sum is one.
void FloatAttention::weigh(const HeadInputs& inputs, std::size_t position) {
  const std::size_t count = position + 1;
  weights_.assign(count, 0);
  if (config_.kind == AttentionKind::linear) {
    float kept = 1;
    for (std::size_t t = count; t-- > 0; kept *= decay_) {
      const float* query = inputs.queries.row(position);
      const float* key = inputs.keys.row(t);
      for (std::uint32_t i = 0; i < head_size_; ++i) weights_[t] += phi(query[i]) * phi(key[i]);
      weights_[t] *= kept;
    }
  } else {
    float largest = -std::numeric_limits<float>::infinity();
    for (std::size_t t = 0; t < count; ++t) {
      if (!sees(position, t)) continue;
      weights_[t] =
          score_scale_ * dot(query_for(inputs, position, t), inputs.keys.row(t), head_size_);
      largest = std::max<float>(largest, weights_[t]);
    }
    for (std::size_t t = 0; t < count; ++t) {
      weights_[t] = sees(position, t) ? portable_exp(weights_[t] - largest) : 0;
    }
  }
  mass_ = 0;
  for (const float weight : weights_) mass_ += weight;
  for (float& weight : weights_) weight /= mass_;
}

void FloatAttention::forward(HeadGradient out, const HeadInputs& inputs, std::size_t count) {
  for (std::size_t position = 0; position < count; ++position) {
    weigh(inputs, position);
    std::fill_n(out.row(position), head_size_, 0.0F);
    for (std::size_t t = 0; t <= position; ++t) {
      if (weights_[t] == 0) continue;
      add_scaled(out.row(position), inputs.values.row(t), weights_[t], head_size_);
    }
  }
}

void FloatAttention::backward(const HeadInputGradients& gradients, HeadRows out_gradient,
                              const HeadInputs& inputs, std::size_t count) {
  for (std::size_t position = 0; position < count; ++position) {
    weigh(inputs, position);
    gradients_.assign(position + 1, 0);
    float mean = 0;
    for (std::size_t t = 0; t <= position; ++t) {
      if (weights_[t] == 0) continue;
      const float* wanted = out_gradient.row(position);
      gradients_[t] = dot(wanted, inputs.values.row(t), head_size_);
      mean += weights_[t] * gradients_[t];
      add_scaled(gradients.values.row(t), wanted, weights_[t], head_size_);
    }
    for (std::size_t t = 0; t <= position; ++t) gradients_[t] -= mean;
    if (config_.kind == AttentionKind::linear) {
      backward_linear(gradients, inputs, position);
    } else {
      backward_softmax(gradients, inputs, position);
    }
  }
}

void FloatAttention::backward_softmax(const HeadInputGradients& gradients, const HeadInputs& inputs,
                                      std::size_t position) {
  for (std::size_t t = 0; t <= position; ++t) {
    const float slope = gradients_[t] * weights_[t] * score_scale_;
    if (slope == 0) continue;
    const HeadGradient& query =
        is_far_sink(position, t) ? gradients.sink_queries : gradients.queries;
    add_scaled(query.row(position), inputs.keys.row(t), slope, head_size_);
    add_scaled(gradients.keys.row(t), query_for(inputs, position, t), slope, head_size_);
  }
}

void FloatAttention::backward_linear(const HeadInputGradients& gradients, const HeadInputs& inputs,
                                     std::size_t position) {
  float kept = 1;
  const float* query = inputs.queries.row(position);
  for (std::size_t t = position + 1; t-- > 0; kept *= decay_) {
    const float slope = gradients_[t] * kept / mass_;
    const float* key = inputs.keys.row(t);
    for (std::uint32_t i = 0; i < head_size_; ++i) {
      gradients.queries.row(position)[i] += slope * phi(key[i]) * phi_slope(query[i]);
      gradients.keys.row(t)[i] += slope * phi(query[i]) * phi_slope(key[i]);
    }
  }
}

}  // namespace mote::host
