// SPDX-License-Identifier: Apache-2.0
// The oracle: a Llama-shaped forward pass in double precision, written as plainly as it goes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "convert/checkpoint.hpp"
#include "mote/image.hpp"

namespace mote::test {

struct DoubleMatrix {
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::vector<double> weights;  // (rows, columns)

  std::span<const double> row(std::uint32_t r) const {
    return std::span(weights).subspan(std::size_t{r} * columns, columns);
  }
};

struct DoubleLayer {
  std::vector<double> attention_norm;  // (dim)
  DoubleMatrix wq, wk, wv, wo;
  std::vector<double> ffn_norm;  // (dim)
  DoubleMatrix w_gate, w_up, w_down;
};

/// Weights and KV cache in double precision. `forward` is one token of a growing context.
class DoubleModel {
 public:
  /// The checkpoint's own weights: what the file means.
  explicit DoubleModel(const host::Checkpoint& checkpoint);
  /// The image's rounded weights, gains and frequencies: what exact arithmetic makes of them.
  explicit DoubleModel(const Image& image);

  /// Logits after `token` at the next position. // (vocab_size)
  std::vector<double> forward(std::uint32_t token);
  void reset();

 private:
  std::vector<double> attend(std::uint32_t layer, const std::vector<double>& query) const;

  std::uint32_t n_heads_ = 0;
  std::uint32_t n_kv_heads_ = 0;
  std::uint32_t head_size_ = 0;
  double norm_epsilon_ = 0;
  std::vector<double> turns_per_position_;  // (head_size / 2)
  DoubleMatrix embedding_;
  DoubleMatrix classifier_;
  std::vector<double> final_norm_;
  std::vector<DoubleLayer> layers_;
  std::vector<std::vector<std::vector<double>>> keys_;    // (layer, position, kv_dim)
  std::vector<std::vector<std::vector<double>>> values_;  // (layer, position, kv_dim)
};

}  // namespace mote::test
