// SPDX-License-Identifier: Apache-2.0
// The oracle: a Llama-shaped forward pass in double precision, written as plainly as it goes.
#pragma once

#include <cstddef>
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
  std::vector<double> bq, bk, bv, bo;  // (rows of wq, wk, wv, wo), empty for none
};

/// SPEC.md's "Attention" of one layer, as it stands there.
struct DoubleAttention {
  AttentionKind kind = AttentionKind::causal;
  std::size_t window = 0;
  std::size_t sinks = 0;
  std::vector<double> decays;  // (n_kv_heads)
};

/// Weights and KV cache in double precision. `forward` is one token of a growing context. Every
/// kind of attention is a weight for each earlier position: nothing is kept as a sum or in a ring.
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
  struct Queries {
    std::vector<double> near;      // (n_heads * head_size)
    std::vector<double> for_sink;  // the same, as sinks outside the window see it
  };

  Queries turn_queries(std::vector<double> query, std::uint32_t layer) const;
  std::vector<double> softmax_weights(std::uint32_t layer, std::uint32_t head,
                                      const Queries& queries) const;
  std::vector<double> linear_weights(std::uint32_t layer, std::uint32_t head,
                                     const std::vector<double>& query) const;
  std::vector<double> attend(std::uint32_t layer, const Queries& queries) const;
  /// The lanes of `head`'s key at a position.
  std::span<const double> key(std::uint32_t layer, std::size_t position, std::uint32_t head) const;

  std::uint32_t n_heads_ = 0;
  std::uint32_t n_kv_heads_ = 0;
  std::uint32_t head_size_ = 0;
  double norm_epsilon_ = 0;
  std::vector<double> turns_per_position_;  // (head_size / 2)
  DoubleMatrix embedding_;
  DoubleMatrix classifier_;
  std::vector<double> final_norm_;
  std::vector<DoubleLayer> layers_;
  std::vector<DoubleAttention> attention_;                // (layers)
  std::vector<std::vector<std::vector<double>>> keys_;    // (layer, position, kv_dim)
  std::vector<std::vector<std::vector<double>>> values_;  // (layer, position, kv_dim)
};

}  // namespace mote::test
