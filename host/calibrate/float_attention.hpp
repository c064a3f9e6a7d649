// SPDX-License-Identifier: Apache-2.0
// Attention of one head over one passage in float, and its gradient.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "mote/config.hpp"

namespace mote::host {

/// Rows of one head in a tensor of all heads: lane i of position t is data[t * stride + i].
struct HeadRows {
  const float* data = nullptr;
  std::size_t stride = 0;

  const float* row(std::size_t position) const { return data + position * stride; }
};
struct HeadGradient {
  float* data = nullptr;
  std::size_t stride = 0;

  float* row(std::size_t position) const { return data + position * stride; }
};

/// What one head reads: queries and keys turned as its layer's kind turns them. `sink_queries` are
/// those that a sliding window shows to the sinks outside it.
struct HeadInputs {
  HeadRows queries;
  HeadRows sink_queries;
  HeadRows keys;
  HeadRows values;
};
/// The same for gradients, which are added to.
struct HeadInputGradients {
  HeadGradient queries;
  HeadGradient sink_queries;
  HeadGradient keys;
  HeadGradient values;
};

/// Attention of one kind over positions 0 to `count` - 1 of a passage.
class FloatAttention {
 public:
  /// `decay` is that of the head's K/V head, linear layers only.
  FloatAttention(const LayerAttentionConfig& config, std::uint32_t head_size, float decay);

  /// out = what each position attends to. // out (count, head_size) in `stride`
  void forward(HeadGradient out, const HeadInputs& inputs, std::size_t count);
  /// Adds the gradient of the inputs, given that of the output.
  void backward(const HeadInputGradients& gradients, HeadRows out_gradient,
                const HeadInputs& inputs, std::size_t count);

 private:
  /// Whether `position` sees `earlier`, and if so whether as a sink outside the window.
  bool sees(std::size_t position, std::size_t earlier) const;
  bool is_far_sink(std::size_t position, std::size_t earlier) const;
  const float* query_for(const HeadInputs& inputs, std::size_t position, std::size_t earlier) const;
  void weigh(const HeadInputs& inputs, std::size_t position);
  void backward_softmax(const HeadInputGradients& gradients, const HeadInputs& inputs,
                        std::size_t position);
  void backward_linear(const HeadInputGradients& gradients, const HeadInputs& inputs,
                       std::size_t position);

  LayerAttentionConfig config_;
  std::uint32_t head_size_;
  float decay_;
  float score_scale_;
  std::vector<float> weights_;    // of one position, their sum one
  std::vector<float> gradients_;  // of the scores (softmax) or of the products (linear)
  float mass_ = 0;                // the sum of linear attention's weights
};

}  // namespace mote::host
