// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_attention.hpp"

#include <algorithm>
#include <cmath>

#include "calibrate/float_kernels.hpp"

namespace mote::host {
namespace {

/// Positions that are computed side by side: enough for products of matrices, few enough that
/// little is computed for what causality hides.
constexpr std::size_t kChunk = 32;

/// out[i][t] = rows.row(t)[i] // out (width, count)
void turn_rows(std::vector<float>& out, HeadRows rows, std::size_t width, std::size_t count) {
  out.resize(width * count);
  for (std::size_t t = 0; t < count; ++t) {
    for (std::size_t i = 0; i < width; ++i) out[i * count + t] = rows.row(t)[i];
  }
}

}  // namespace

FloatAttention::FloatAttention(const LayerAttentionConfig& config, std::uint32_t head_size,
                               float decay)
    : config_(config),
      head_size_(head_size),
      decay_(decay),
      score_scale_(1 / std::sqrt(static_cast<float>(head_size))) {}

template <typename Visit>
void FloatAttention::for_each_chunk(std::size_t count, const Visit& visit) const {
  for (std::size_t first = 0; first < count; first += kChunk) {
    const std::size_t rows = std::min(kChunk, count - first);
    visit(Chunk{first, rows, first + rows});
  }
}

std::size_t FloatAttention::far_sinks(std::size_t position) const {
  if (config_.kind != AttentionKind::sliding_window || position < config_.window) return 0;
  return std::min<std::size_t>(config_.sinks, position + 1 - config_.window);
}

/// Linear attention's feature map; of softmax the lane as it is.
float FloatAttention::feature(float lane) const {
  return config_.kind == AttentionKind::linear ? std::max(lane, 0.0F) + 1 : lane;
}
float FloatAttention::feature_slope(float lane) const {
  return config_.kind == AttentionKind::linear && !(lane > 0) ? 0.0F : 1.0F;
}

void FloatAttention::take_keys(HeadRows keys, std::size_t count) {
  keys_.resize(count * head_size_);
  for (std::size_t t = 0; t < count; ++t) {
    for (std::size_t i = 0; i < head_size_; ++i) {
      keys_[t * head_size_ + i] = feature(keys.row(t)[i]);
    }
  }
  turn_rows(turned_keys_, {keys_.data(), head_size_}, head_size_, count);
  decays_.assign(count, 1);
  for (std::size_t t = 1; t < count; ++t) decays_[t] = decays_[t - 1] * decay_;
}

/// Queries of a chunk, those of softmax times the scale of scores.
void FloatAttention::take_queries(std::vector<float>& features, HeadRows queries,
                                  const Chunk& chunk) const {
  const float scale = config_.kind == AttentionKind::linear ? 1 : score_scale_;
  features.resize(chunk.rows * head_size_);
  for (std::size_t r = 0; r < chunk.rows; ++r) {
    for (std::size_t i = 0; i < head_size_; ++i) {
      features[r * head_size_ + i] = scale * feature(queries.row(chunk.first + r)[i]);
    }
  }
}

/// Puts the scores of far sinks, which see other queries, in their places.
void FloatAttention::show_sinks(const Chunk& chunk) {
  const std::size_t sinks = std::min<std::size_t>(config_.sinks, chunk.width);
  const std::size_t count = turned_keys_.size() / head_size_;
  sink_scores_.assign(chunk.rows * sinks, 0);
  float_kernels().add_product({sink_scores_.data(), sinks}, {sink_queries_.data(), head_size_},
                              {turned_keys_.data(), count}, {chunk.rows, head_size_, sinks});
  for (std::size_t r = 0; r < chunk.rows; ++r) {
    std::copy_n(sink_scores_.data() + r * sinks, far_sinks(chunk.first + r),
                weights_.data() + r * chunk.width);
  }
}

/// Scores of a position's past to weights whose sum is one. // row (position + 1)
void FloatAttention::normalize_softmax(std::span<float> row) {
  const FloatKernels& kernels = float_kernels();
  std::span<float> hidden;
  if (config_.kind == AttentionKind::sliding_window &&
      row.size() > std::size_t{config_.window} + config_.sinks) {
    hidden = row.subspan(config_.sinks, row.size() - config_.window - config_.sinks);
  }
  std::fill(hidden.begin(), hidden.end(), row.back());  // so that the largest is one that is seen
  kernels.exponentials(row.data(), kernels.largest(row.data(), row.size()), row.size());
  std::fill(hidden.begin(), hidden.end(), 0.0F);
  const float share = 1 / kernels.sum(row.data(), row.size());
  for (float& weight : row) weight *= share;
}

void FloatAttention::normalize_linear(std::span<float> row) {
  for (std::size_t t = 0; t < row.size(); ++t) row[t] *= decays_[row.size() - 1 - t];
  masses_.push_back(float_kernels().sum(row.data(), row.size()));
  for (float& weight : row) weight /= masses_.back();
}

/// The weights of a chunk's positions; 0 for what comes after each.
void FloatAttention::weigh(const HeadInputs& inputs, const Chunk& chunk) {
  take_queries(queries_, inputs.queries, chunk);
  weights_.assign(chunk.rows * chunk.width, 0);
  float_kernels().add_product({weights_.data(), chunk.width}, {queries_.data(), head_size_},
                              {turned_keys_.data(), turned_keys_.size() / head_size_},
                              {chunk.rows, head_size_, chunk.width});
  if (inputs.sink_queries.data != nullptr && far_sinks(chunk.width - 1) != 0) {
    take_queries(sink_queries_, inputs.sink_queries, chunk);
    show_sinks(chunk);
  }
  masses_.clear();
  for (std::size_t r = 0; r < chunk.rows; ++r) {
    const auto row = std::span(weights_).subspan(r * chunk.width, chunk.width);
    const std::size_t seen = chunk.first + r + 1;
    if (config_.kind == AttentionKind::linear) {
      normalize_linear(row.first(seen));
    } else {
      normalize_softmax(row.first(seen));
    }
    std::fill(row.begin() + static_cast<std::ptrdiff_t>(seen), row.end(), 0.0F);
  }
}

void FloatAttention::forward(HeadGradient out, const HeadInputs& inputs, std::size_t count) {
  take_keys(inputs.keys, count);
  for_each_chunk(count, [&](const Chunk& chunk) {
    weigh(inputs, chunk);
    for (std::size_t r = 0; r < chunk.rows; ++r) {
      std::fill_n(out.row(chunk.first + r), head_size_, 0.0F);
    }
    float_kernels().add_product({out.row(chunk.first), out.stride}, {weights_.data(), chunk.width},
                                {inputs.values.data, inputs.values.stride},
                                {chunk.rows, chunk.width, head_size_});
  });
}

void FloatAttention::backward(const HeadInputGradients& gradients, HeadRows out_gradient,
                              const HeadInputs& inputs, std::size_t count) {
  take_keys(inputs.keys, count);
  turn_rows(turned_values_, inputs.values, head_size_, count);
  key_gradients_.assign(count * head_size_, 0);
  for_each_chunk(count, [&](const Chunk& chunk) {
    weigh(inputs, chunk);
    add_value_gradients(gradients.values, out_gradient, chunk);
    find_slopes(out_gradient, chunk);
    if (inputs.sink_queries.data != nullptr && far_sinks(chunk.width - 1) != 0) {
      part_sinks(chunk);
      const std::size_t sinks = sink_scores_.size() / chunk.rows;
      add_query_gradients(gradients.sink_queries, inputs.sink_queries, sink_scores_, sinks, chunk);
      add_key_gradients(sink_scores_, sink_queries_, sinks, chunk);
    }
    add_query_gradients(gradients.queries, inputs.queries, slopes_, chunk.width, chunk);
    add_key_gradients(slopes_, queries_, chunk.width, chunk);
  });
  for (std::size_t t = 0; t < count; ++t) {
    for (std::size_t i = 0; i < head_size_; ++i) {
      gradients.keys.row(t)[i] +=
          key_gradients_[t * head_size_ + i] * feature_slope(inputs.keys.row(t)[i]);
    }
  }
}

/// values += weights^T out_gradient
void FloatAttention::add_value_gradients(HeadGradient values, HeadRows out_gradient,
                                         const Chunk& chunk) const {
  float_kernels().add_product({values.data, values.stride}, {weights_.data(), 1, chunk.width},
                              {out_gradient.row(chunk.first), out_gradient.stride},
                              {chunk.width, chunk.rows, head_size_});
}

/// Gradients of the scores: of weight w, that of w less the mean, times dw / dscore.
void FloatAttention::find_slopes(HeadRows out_gradient, const Chunk& chunk) {
  const FloatKernels& kernels = float_kernels();
  const std::size_t count = turned_values_.size() / head_size_;
  slopes_.assign(chunk.rows * chunk.width, 0);
  kernels.add_product({slopes_.data(), chunk.width},
                      {out_gradient.row(chunk.first), out_gradient.stride},
                      {turned_values_.data(), count}, {chunk.rows, head_size_, chunk.width});
  for (std::size_t r = 0; r < chunk.rows; ++r) {
    float* slopes = slopes_.data() + r * chunk.width;
    const float* weights = weights_.data() + r * chunk.width;
    const std::size_t seen = chunk.first + r + 1;
    const float mean = kernels.dot(slopes, weights, seen);
    if (config_.kind == AttentionKind::linear) {
      for (std::size_t t = 0; t < seen; ++t) {
        slopes[t] = (slopes[t] - mean) * decays_[seen - 1 - t] / masses_[r];
      }
    } else {
      for (std::size_t t = 0; t < seen; ++t) slopes[t] = (slopes[t] - mean) * weights[t];
    }
    std::fill(slopes + seen, slopes + chunk.width, 0.0F);
  }
}

/// Moves the slopes of far sinks to a matrix of their own.
void FloatAttention::part_sinks(const Chunk& chunk) {
  const std::size_t sinks = std::min<std::size_t>(config_.sinks, chunk.width);
  sink_scores_.assign(chunk.rows * sinks, 0);
  for (std::size_t r = 0; r < chunk.rows; ++r) {
    float* slopes = slopes_.data() + r * chunk.width;
    const std::size_t far = far_sinks(chunk.first + r);
    std::copy_n(slopes, far, sink_scores_.data() + r * sinks);
    std::fill_n(slopes, far, 0.0F);
  }
}

/// gradient += slopes keys, by the lanes before the feature map. // slopes (rows, seen)
void FloatAttention::add_query_gradients(HeadGradient gradient, HeadRows queries,
                                         const std::vector<float>& slopes, std::size_t seen,
                                         const Chunk& chunk) {
  query_gradients_.assign(chunk.rows * head_size_, 0);
  float_kernels().add_product({query_gradients_.data(), head_size_}, {slopes.data(), seen},
                              {keys_.data(), head_size_}, {chunk.rows, seen, head_size_});
  const float scale = config_.kind == AttentionKind::linear ? 1 : score_scale_;
  for (std::size_t r = 0; r < chunk.rows; ++r) {
    const float* query = queries.row(chunk.first + r);
    for (std::size_t i = 0; i < head_size_; ++i) {
      gradient.row(chunk.first + r)[i] +=
          scale * query_gradients_[r * head_size_ + i] * feature_slope(query[i]);
    }
  }
}

/// key_gradients += slopes^T features // slopes (rows, seen), features (rows, head_size)
void FloatAttention::add_key_gradients(const std::vector<float>& slopes,
                                       const std::vector<float>& features, std::size_t seen,
                                       const Chunk& chunk) {
  float_kernels().add_product({key_gradients_.data(), head_size_}, {slopes.data(), 1, seen},
                              {features.data(), head_size_}, {seen, chunk.rows, head_size_});
}

}  // namespace mote::host
