// SPDX-License-Identifier: Apache-2.0
#include "model/layer_attention.hpp"

#include <algorithm>

namespace mote {
namespace {

SlidingWindowShape window_shape(const LayerAttentionConfig& config, const AttentionShape& shape) {
  return {shape.n_heads, shape.n_kv_heads, shape.head_size, config.window, config.sinks};
}

LinearShape linear_shape(const AttentionShape& shape) {
  return {shape.n_heads, shape.n_kv_heads, shape.head_size};
}

}  // namespace

LayerAttention::LayerAttention(const LayerAttentionConfig& config, const AttentionShape& shape,
                               std::span<std::byte> state)
    : config_(config) {
  switch (config.kind) {
    case AttentionKind::causal:
      causal_ = CausalAttention(shape, state);
      break;
    case AttentionKind::sliding_window:
      window_ = SlidingWindowAttention(window_shape(config, shape), state);
      break;
    case AttentionKind::linear:
      linear_ = LinearAttention(linear_shape(shape), state,
                                {config.decays, std::size_t{shape.n_kv_heads}});
      break;
  }
}

std::size_t LayerAttention::state_bytes(const LayerAttentionConfig& config,
                                        const AttentionShape& shape) {
  switch (config.kind) {
    case AttentionKind::causal:
      return CausalAttention::state_bytes(shape);
    case AttentionKind::sliding_window:
      return SlidingWindowAttention::state_bytes(window_shape(config, shape));
    case AttentionKind::linear:
      break;
  }
  return LinearAttention::state_bytes(linear_shape(shape));
}

std::size_t LayerAttention::scratch_count(const LayerAttentionConfig& config,
                                          const AttentionShape& shape) {
  switch (config.kind) {
    case AttentionKind::causal:
      return CausalAttention::scratch_count(shape);
    case AttentionKind::sliding_window:
      return SlidingWindowAttention::scratch_count(window_shape(config, shape));
    case AttentionKind::linear:
      break;
  }
  return 0;
}

std::uint32_t LayerAttention::sink_query_position(std::uint32_t position) const {
  if (config_.kind != AttentionKind::sliding_window || config_.sinks == 0) return position;
  return std::min<std::uint32_t>(position, config_.window + config_.sinks - 1);
}

void LayerAttention::reset() {
  if (config_.kind == AttentionKind::linear) linear_.reset();
}

void LayerAttention::store(std::uint32_t position, std::uint32_t kv_head,
                           const QuantizedVector& key, const QuantizedVector& value) {
  switch (config_.kind) {
    case AttentionKind::causal:
      return causal_.store(position, kv_head, key, value);
    case AttentionKind::sliding_window:
      return window_.store(position, kv_head, key, value);
    case AttentionKind::linear:
      return linear_.update(kv_head, key, value);
  }
}

void LayerAttention::attend(WideVector& out, std::span<std::uint32_t> scratch,
                            std::uint32_t position, std::uint32_t head,
                            const QuantizedVector& query, const QuantizedVector& sink_query) {
  switch (config_.kind) {
    case AttentionKind::causal:
      return causal_.attend(out, scratch, position, head, query);
    case AttentionKind::sliding_window:
      return window_.attend(out, scratch, position, head, query, sink_query);
    case AttentionKind::linear:
      return linear_.attend(out, head, query);
  }
}

void LayerAttention::attend_two(WideVector (&out)[2], std::span<std::uint32_t> scratch,
                                std::uint32_t position, std::uint32_t head,
                                const QuantizedVector (&queries)[2]) const {
  switch (config_.kind) {
    case AttentionKind::causal:
      return causal_.attend_two(out, scratch, position, head, queries);
    case AttentionKind::sliding_window:
      return window_.attend_two(out, scratch, position, head, queries);
    case AttentionKind::linear:
      return linear_.attend_two(out, head, queries);
  }
}

}  // namespace mote
