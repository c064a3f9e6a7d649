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
  /// Positions first to first + rows - 1, which see no others than 0 to width - 1.
  struct Chunk {
    std::size_t first = 0;
    std::size_t rows = 0;
    std::size_t width = 0;
  };

  template <typename Visit>
  void for_each_chunk(std::size_t count, const Visit& visit) const;
  /// Sinks outside the window of a position, positions 0 to this - 1.
  std::size_t far_sinks(std::size_t position) const;
  float feature(float lane) const;
  float feature_slope(float lane) const;
  void take_keys(HeadRows keys, std::size_t count);
  void take_queries(std::vector<float>& features, HeadRows queries, const Chunk& chunk) const;
  void weigh(const HeadInputs& inputs, const Chunk& chunk);
  void show_sinks(const Chunk& chunk);
  void normalize_softmax(std::span<float> row);
  void normalize_linear(std::span<float> row);
  void find_slopes(HeadRows out_gradient, const Chunk& chunk);
  void part_sinks(const Chunk& chunk);
  void add_value_gradients(HeadGradient values, HeadRows out_gradient, const Chunk& chunk) const;
  void add_query_gradients(HeadGradient gradient, HeadRows queries,
                           const std::vector<float>& slopes, std::size_t seen, const Chunk& chunk);
  void add_key_gradients(const std::vector<float>& slopes, const std::vector<float>& features,
                         std::size_t seen, const Chunk& chunk);

  LayerAttentionConfig config_;
  std::uint32_t head_size_;
  float decay_;
  float score_scale_;
  std::vector<float> keys_;           // (count, head_size) features
  std::vector<float> turned_keys_;    // (head_size, count) the same
  std::vector<float> turned_values_;  // (head_size, count)
  std::vector<float> key_gradients_;  // (count, head_size) of the features
  std::vector<float> decays_;         // (count) powers of the decay
  // Of one chunk:
  std::vector<float> queries_, sink_queries_;  // (rows, head_size) features
  std::vector<float> weights_;                 // (rows, width), each row's sum one
  std::vector<float> masses_;                  // (rows) sums of linear attention's weights
  std::vector<float> slopes_;                  // (rows, width) gradients of the scores
  std::vector<float> sink_scores_;             // (rows, sinks) scores or slopes of far sinks
  std::vector<float> query_gradients_;         // (rows, head_size)
};

}  // namespace mote::host
