// SPDX-License-Identifier: Apache-2.0
// Small models whose layers attend in different ways.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "support/image_factory.hpp"

namespace mote::test {

inline host::LayerAttention causal() {
  return {};
}
inline host::LayerAttention window_of(std::uint32_t window, std::uint32_t sinks) {
  return {AttentionKind::sliding_window, window, sinks, {}};
}
/// `decays` are Q16, one for each K/V head.
inline host::LayerAttention linear(std::vector<std::uint32_t> decays) {
  return {AttentionKind::linear, 0, 0, std::move(decays)};
}

inline constexpr std::uint32_t kMixedContext = 96;
/// Of a linear layer of a mixed model: no decay, and one that forgets half in two positions.
inline const std::vector<std::uint32_t> kNoDecays = {65536, 65536};
inline const std::vector<std::uint32_t> kDecays = {64000, 46341};

/// Two K/V heads with two query heads each; a layer for each of `attention`.
inline ModelSpec mixed_model(std::vector<host::LayerAttention> attention,
                             std::uint32_t context_length = kMixedContext) {
  ModelSpec model;
  model.shape = {64, 101, 1, 4, 2, 16, 67, context_length};
  model.shape.n_layers = static_cast<std::uint32_t>(attention.size());
  model.attention = std::move(attention);
  return model;
}

/// The model with biases wherever there may be some.
inline ModelSpec with_biases(ModelSpec model) {
  model.shape.has_attention_bias = true;
  model.shape.has_output_bias = true;
  return model;
}

}  // namespace mote::test
