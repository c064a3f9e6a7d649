// SPDX-License-Identifier: Apache-2.0
#include "support/double_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "convert/checkpoint_shape.hpp"

namespace mote::test {
namespace {

using host::Checkpoint;
using host::TensorName;
using Vector = std::vector<double>;

DoubleMatrix read_tensor(const Checkpoint& checkpoint, TensorName name, std::uint32_t layer,
                         std::uint32_t rows, std::uint32_t columns) {
  DoubleMatrix matrix{rows, columns, {}};
  std::vector<float> row(columns);
  for (std::uint32_t r = 0; r < rows; ++r) {
    checkpoint.read_row(row, name, layer, r);
    matrix.weights.insert(matrix.weights.end(), row.begin(), row.end());
  }
  return matrix;
}

/// A matrix of the image by SPEC.md's formula, without its padding.
DoubleMatrix read_section(const Image& image, SectionKind kind, std::uint32_t layer) {
  Section section;
  if (!image.find(section, kind, layer))
    return read_section(image, SectionKind::token_embedding, 0);
  const MatrixView m = image.matrix(kind, layer);
  DoubleMatrix matrix{section.rows, section.columns, {}};
  for (std::uint32_t r = 0; r < section.rows; ++r) {
    const double scale = std::ldexp(static_cast<double>(m.row_scales[r].value()), m.exponent);
    for (std::uint32_t c = 0; c < section.columns; ++c) {
      double value = 0;
      if (m.format == WeightFormat::int4) {
        const std::uint32_t j = c % m.block;
        const std::uint8_t pair = m.weights[std::size_t{r} * m.row_bytes() +
                                            c / m.block * m.block / 2 + j % (m.block / 2)];
        const int nibble = (j < m.block / 2 ? pair & 15 : pair >> 4) - 8;
        value = nibble * double(m.block_factors[std::size_t{r} * m.blocks() + c / m.block]);
      } else {
        value = static_cast<std::int8_t>(m.weights[std::size_t{r} * m.row_bytes() + c] ^
                                         stored_flip(m.format, c));
      }
      matrix.weights.push_back(value * scale);
    }
  }
  return matrix;
}

Vector read_gains(const Image& image, SectionKind kind, std::uint32_t layer) {
  const GainsView gains = image.gains(kind, layer);
  Vector values(image.config().dim);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = std::ldexp(double(gains.values[i]), gains.exponent);
  }
  return values;
}

DoubleAttention read_attention(const Image& image, std::uint32_t layer) {
  const LayerAttentionConfig config = image.layer_attention(layer);
  DoubleAttention attention = {config.kind, config.window, config.sinks, {}};
  if (config.kind != AttentionKind::linear) return attention;
  for (std::uint32_t head = 0; head < image.config().n_kv_heads; ++head) {
    attention.decays.push_back(std::ldexp(double(config.decays[head]), -16));
  }
  return attention;
}

/// The biases that belong to a matrix; `unit` is that of SPEC.md's "Biases".
Vector read_biases(const Image& image, SectionKind kind, std::uint32_t layer, double unit) {
  Section section;
  if (!image.find(section, kind, layer)) return {};
  const auto bytes = image.section_bytes(kind, layer);
  Vector values;
  for (std::uint32_t i = 0; i < section.rows; ++i) {
    std::uint32_t bits = 0;
    for (std::size_t b = 4; b-- > 0;) bits = bits << 8 | bytes[4 * i + b];
    values.push_back(static_cast<std::int32_t>(bits) * unit);
  }
  return values;
}

Vector multiply(const DoubleMatrix& matrix, const Vector& x, const Vector& biases = {}) {
  Vector out(matrix.rows);
  for (std::uint32_t r = 0; r < matrix.rows; ++r) {
    const auto row = matrix.row(r);
    for (std::size_t c = 0; c < x.size(); ++c) out[r] += row[c] * x[c];
    if (!biases.empty()) out[r] += biases[r];
  }
  return out;
}

Vector rms_norm(const Vector& x, const Vector& gains, double epsilon) {
  double sum = 0;
  for (const double lane : x) sum += lane * lane;
  const double factor = 1 / std::sqrt(sum / double(x.size()) + epsilon);
  Vector out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = x[i] * factor * gains[i];
  return out;
}

void rotate(Vector& heads, std::uint32_t head_size, const Vector& turns, double position) {
  for (std::size_t i = 0; i < heads.size(); i += 2) {
    const double angle = 2 * std::numbers::pi * position * turns[i % head_size / 2];
    const double x = heads[i];
    const double y = heads[i + 1];
    heads[i] = x * std::cos(angle) - y * std::sin(angle);
    heads[i + 1] = x * std::sin(angle) + y * std::cos(angle);
  }
}

double dot(std::span<const double> x, std::span<const double> y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

/// Linear attention's feature map.
double phi(double x) {
  return std::max(x, 0.0) + 1;
}

void add(Vector& x, const Vector& delta) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += delta[i];
}

}  // namespace

DoubleModel::DoubleModel(const Checkpoint& checkpoint) {
  const host::CheckpointShape& s = checkpoint.shape();
  n_heads_ = s.n_heads;
  n_kv_heads_ = s.n_kv_heads;
  head_size_ = s.head_size;
  norm_epsilon_ = s.norm_epsilon;
  for (std::uint32_t i = 0; i < s.head_size / 2; ++i) {
    turns_per_position_.push_back(std::pow(s.rope_base, -2.0 * i / s.head_size) /
                                  (2 * std::numbers::pi));
  }
  const std::uint32_t heads_dim = s.n_heads * s.head_size;
  const std::uint32_t kv_dim = s.n_kv_heads * s.head_size;
  const auto read = [&](TensorName name, std::uint32_t layer, std::uint32_t rows,
                        std::uint32_t columns) {
    return read_tensor(checkpoint, name, layer, rows, columns);
  };
  const auto biases = [&](TensorName name, std::uint32_t layer, std::uint32_t count) {
    return host::has_tensor(s, name) ? read(name, layer, 1, count).weights : Vector{};
  };
  embedding_ = read(TensorName::token_embedding, 0, s.vocab_size, s.dim);
  classifier_ =
      s.has_classifier ? read(TensorName::classifier, 0, s.vocab_size, s.dim) : embedding_;
  final_norm_ = read(TensorName::final_norm, 0, 1, s.dim).weights;
  for (std::uint32_t l = 0; l < s.n_layers; ++l) {
    layers_.push_back(
        {read(TensorName::attention_norm, l, 1, s.dim).weights,
         read(TensorName::wq, l, heads_dim, s.dim), read(TensorName::wk, l, kv_dim, s.dim),
         read(TensorName::wv, l, kv_dim, s.dim), read(TensorName::wo, l, s.dim, heads_dim),
         read(TensorName::ffn_norm, l, 1, s.dim).weights,
         read(TensorName::w_gate, l, s.hidden_dim, s.dim),
         read(TensorName::w_up, l, s.hidden_dim, s.dim),
         read(TensorName::w_down, l, s.dim, s.hidden_dim), biases(TensorName::bq, l, heads_dim),
         biases(TensorName::bk, l, kv_dim), biases(TensorName::bv, l, kv_dim),
         biases(TensorName::bo, l, s.dim)});
  }
  attention_.resize(s.n_layers);
  reset();
}

DoubleModel::DoubleModel(const Image& image) {
  const ModelConfig& c = image.config();
  n_heads_ = c.n_heads;
  n_kv_heads_ = c.n_kv_heads;
  head_size_ = c.head_size;
  norm_epsilon_ = std::ldexp(double(c.norm_epsilon), -44) / c.dim;
  for (std::uint32_t i = 0; i < c.head_size / 2; ++i) {
    turns_per_position_.push_back(std::ldexp(double(image.rope_frequencies()[i]), -32));
  }
  embedding_ = read_section(image, SectionKind::token_embedding, 0);
  classifier_ = read_section(image, SectionKind::classifier, 0);
  final_norm_ = read_gains(image, SectionKind::final_norm, 0);
  // Those of the layers are part of their weights.
  const Vector no_gains(c.dim, 1.0);
  const double residual_unit = std::ldexp(1.0, -static_cast<int>(c.residual_fraction_bits));
  for (std::uint32_t l = 1; l <= c.n_layers; ++l) {
    layers_.push_back(
        {no_gains, read_section(image, SectionKind::wq, l), read_section(image, SectionKind::wk, l),
         read_section(image, SectionKind::wv, l), read_section(image, SectionKind::wo, l), no_gains,
         read_section(image, SectionKind::w_gate, l), read_section(image, SectionKind::w_up, l),
         read_section(image, SectionKind::w_down, l),
         read_biases(image, SectionKind::bq, l, 0x1p-20),
         read_biases(image, SectionKind::bk, l, 0x1p-20),
         read_biases(image, SectionKind::bv, l, 0x1p-20),
         read_biases(image, SectionKind::bo, l, residual_unit)});
    attention_.push_back(read_attention(image, l));
  }
  reset();
}

void DoubleModel::reset() {
  keys_.assign(layers_.size(), {});
  values_.assign(layers_.size(), {});
}

std::span<const double> DoubleModel::key(std::uint32_t layer, std::size_t position,
                                         std::uint32_t head) const {
  const std::uint32_t kv_head = head / (n_heads_ / n_kv_heads_);
  return std::span(keys_[layer][position]).subspan(kv_head * head_size_, head_size_);
}

/// The query as the present position asks. Sinks that have left the window are asked as if they
/// stood right before it: by position window + sinks - 1, where the true one is further. Linear
/// attention knows no positions.
DoubleModel::Queries DoubleModel::turn_queries(Vector query, std::uint32_t layer) const {
  const DoubleAttention& attention = attention_[layer];
  const std::size_t position = keys_[layer].size() - 1;
  Queries queries = {query, query};
  if (attention.kind == AttentionKind::linear) return queries;
  rotate(queries.near, head_size_, turns_per_position_, double(position));
  if (attention.kind == AttentionKind::causal) return queries;
  const std::size_t sink_position = std::min(position, attention.window + attention.sinks - 1);
  rotate(queries.for_sink, head_size_, turns_per_position_, double(sink_position));
  return queries;
}

Vector DoubleModel::softmax_weights(std::uint32_t layer, std::uint32_t head,
                                    const Queries& queries) const {
  const DoubleAttention& attention = attention_[layer];
  const std::size_t count = keys_[layer].size();
  const bool is_window = attention.kind == AttentionKind::sliding_window;
  Vector scores(count, -std::numeric_limits<double>::infinity());
  for (std::size_t t = 0; t < count; ++t) {
    const bool is_near = !is_window || t + attention.window >= count;
    if (!is_near && t >= attention.sinks) continue;
    const auto query =
        std::span(is_near ? queries.near : queries.for_sink).subspan(head * head_size_, head_size_);
    scores[t] = dot(query, key(layer, t, head)) / std::sqrt(double(head_size_));
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  for (double& score : scores) score = std::exp(score - largest);
  return scores;
}

Vector DoubleModel::linear_weights(std::uint32_t layer, std::uint32_t head,
                                   const Vector& query) const {
  const double decay = attention_[layer].decays[head / (n_heads_ / n_kv_heads_)];
  const std::size_t count = keys_[layer].size();
  Vector weights(count);
  for (std::size_t t = 0; t < count; ++t) {
    const auto lanes = key(layer, t, head);
    for (std::uint32_t i = 0; i < head_size_; ++i) {
      weights[t] += phi(query[head * head_size_ + i]) * phi(lanes[i]);
    }
    weights[t] *= std::pow(decay, double(count - 1 - t));
  }
  return weights;
}

Vector DoubleModel::attend(std::uint32_t layer, const Queries& queries) const {
  Vector out(queries.near.size());
  const bool is_linear = attention_[layer].kind == AttentionKind::linear;
  for (std::uint32_t h = 0; h < n_heads_; ++h) {
    const Vector weights =
        is_linear ? linear_weights(layer, h, queries.near) : softmax_weights(layer, h, queries);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    const std::uint32_t kv = h / (n_heads_ / n_kv_heads_) * head_size_;
    for (std::size_t t = 0; t < weights.size(); ++t) {
      for (std::uint32_t i = 0; i < head_size_; ++i) {
        out[h * head_size_ + i] += weights[t] / sum * values_[layer][t][kv + i];
      }
    }
  }
  return out;
}

Vector DoubleModel::forward(std::uint32_t token) {
  const auto embedding = embedding_.row(token);
  Vector residual(embedding.begin(), embedding.end());
  for (std::uint32_t l = 0; l < layers_.size(); ++l) {
    const DoubleLayer& w = layers_[l];
    const double position = double(keys_[l].size());
    Vector x = rms_norm(residual, w.attention_norm, norm_epsilon_);
    Vector key = multiply(w.wk, x, w.bk);
    if (attention_[l].kind != AttentionKind::linear) {
      rotate(key, head_size_, turns_per_position_, position);
    }
    keys_[l].push_back(key);
    values_[l].push_back(multiply(w.wv, x, w.bv));
    const Vector query = multiply(w.wq, x, w.bq);
    add(residual, multiply(w.wo, attend(l, turn_queries(query, l)), w.bo));

    x = rms_norm(residual, w.ffn_norm, norm_epsilon_);
    Vector hidden = multiply(w.w_gate, x);
    const Vector up = multiply(w.w_up, x);
    for (std::size_t i = 0; i < hidden.size(); ++i) {
      hidden[i] = hidden[i] / (1 + std::exp(-hidden[i])) * up[i];
    }
    add(residual, multiply(w.w_down, hidden));
  }
  return multiply(classifier_, rms_norm(residual, final_norm_, norm_epsilon_));
}

}  // namespace mote::test
