// SPDX-License-Identifier: Apache-2.0
// A model in float that can say how its loss changes with its weights.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "calibrate/float_attention.hpp"
#include "mote/image.hpp"

namespace mote::host {

/// (rows, columns), row by row.
struct FloatMatrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<float> cells;
};

/// Biases of one layer; empty where there are none.
struct FloatBiases {
  std::vector<float> query;        // (n_heads * head_size)
  std::vector<float> key;          // (n_kv_heads * head_size)
  std::vector<float> value;        // (n_kv_heads * head_size)
  std::vector<float> output = {};  // (dim)
};

/// An angle of RoPE.
struct FloatTurn {
  float cosine = 1;
  float sine = 0;
};

/// What a forward pass over one passage leaves for the way back. All (positions, lanes).
struct FloatTrace {
  struct Layer {
    std::vector<float> input;         // normalised
    std::vector<float> input_factor;  // (positions) one over the root mean square
    std::vector<float> queries, sink_queries, keys, values;  // turned
    std::vector<float> heads;
    std::vector<float> ffn_input;
    std::vector<float> ffn_factor;
    std::vector<float> gate, up, hidden;
  };
  std::vector<std::uint32_t> tokens;
  std::vector<FloatTurn> turns;  // (positions, head_size / 2)
  std::vector<Layer> layers;
  std::vector<float> final_input;  // normalised, without gains
  std::vector<float> final_factor;
  std::vector<float> final_lanes;  // with gains
  std::vector<float> logits;       // (positions, vocab_size)
};

/// Shapes, attention, frequencies and gains are an image's; weights are the caller's.
class FloatModel {
 public:
  /// `image` outlives this. // biases (n_layers), or empty
  FloatModel(const Image& image, std::vector<FloatBiases> biases);

  /// The place of a matrix among `matrices`: the classifier's is the token embedding's where the
  /// image has no other.
  std::size_t index_of(SectionKind kind, std::uint32_t layer) const;
  std::size_t matrix_count() const { return matrices_.size(); }
  const FloatMatrix& matrix(std::size_t index) const { return matrices_[index]; }
  void set_matrix(std::size_t index, std::span<const float> cells);
  /// Matrices of the same shapes, all zero.
  std::vector<FloatMatrix> make_gradients() const;

  /// Logits of every position of a passage.
  void forward(FloatTrace& trace, std::span<const std::uint32_t> tokens) const;
  /// Logits from `FloatTrace::final_lanes`.
  void classify(std::vector<float>& logits, std::span<const float> final_lanes) const;
  /// Adds to `gradients` those of a loss whose gradient by the logits is given.
  ///   logit_gradients (positions, vocab_size)
  void backward(std::vector<FloatMatrix>& gradients, const FloatTrace& trace,
                std::span<const float> logit_gradients) const;

 private:
  enum class Turn : std::uint8_t { forth, back, forth_for_sinks, back_for_sinks };

  void multiply(std::vector<float>& out, std::span<const float> in, std::size_t matrix) const;
  void multiply_back(std::vector<float>& in_gradient, std::vector<FloatMatrix>& gradients,
                     std::span<const float> out_gradient, std::span<const float> in,
                     std::size_t matrix) const;
  void normalize(std::vector<float>& out, std::vector<float>& factors,
                 std::span<const float> in) const;
  void normalize_back(std::span<float> in_gradient, std::span<const float> out_gradient,
                      std::span<const float> out, std::span<const float> factors) const;
  void find_turns(std::vector<FloatTurn>& turns, std::size_t positions) const;
  void turn(std::span<float> rows, const std::vector<FloatTurn>& turns, std::size_t width,
            std::uint32_t layer, Turn turn) const;
  FloatAttention attention(std::uint32_t layer, std::uint32_t head) const;
  HeadInputs head_inputs(const FloatTrace::Layer& trace, std::uint32_t head) const;
  void attend(FloatTrace::Layer& trace, const std::vector<FloatTurn>& turns,
              std::uint32_t layer) const;
  /// From the gradient of the heads to that of queries, keys and values before they are turned.
  void attend_back(FloatTrace::Layer& gradient, const FloatTrace::Layer& trace,
                   const std::vector<FloatTurn>& turns, std::uint32_t layer) const;
  void forward_layer(std::vector<float>& residual, FloatTrace& whole, std::uint32_t layer) const;
  void backward_layer(std::span<float> residual_gradient, std::vector<FloatMatrix>& gradients,
                      const FloatTrace& whole, std::uint32_t layer) const;

  const Image& image_;
  ModelConfig config_;
  bool has_classifier_ = false;
  std::vector<FloatBiases> biases_;
  std::vector<float> final_gains_;  // (dim)
  std::vector<FloatMatrix> matrices_;
  std::vector<std::vector<float>> transposed_;  // (columns, rows) of each
};

}  // namespace mote::host
