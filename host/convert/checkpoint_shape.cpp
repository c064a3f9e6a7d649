// SPDX-License-Identifier: Apache-2.0
#include "convert/checkpoint_shape.hpp"

#include <fmt/format.h>

#include <array>

#include "mote/config.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

// In the order of TensorName.
constexpr std::array<std::string_view, kTensorNameCount> kTensorNames = {
    "token_embedding", "classifier", "final_norm", "attention_norm", "wq", "wk", "wv", "wo",
    "ffn_norm",        "w_gate",     "w_up",       "w_down",         "bq", "bk", "bv", "bo"};

void check_rope_factors(std::string_view where, const CheckpointShape& shape) {
  if (shape.rope_factors.empty()) return;
  check_range(where, "the number of RoPE factors",
              static_cast<std::int64_t>(shape.rope_factors.size()), shape.head_size / 2,
              shape.head_size / 2);
  for (const double factor : shape.rope_factors) {
    if (factor >= kMinRopeFactor && factor <= kMaxRopeFactor) continue;
    throw Error(fmt::format("{}: a RoPE factor is {}, must be {} to {}", where, factor,
                            kMinRopeFactor, kMaxRopeFactor));
  }
}

}  // namespace

void check_range(std::string_view where, std::string_view field, std::int64_t value,
                 std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return;
  throw Error(fmt::format("{}: {} is {}, must be {} to {}", where, field, value, low, high));
}

void check_shape(std::string_view where, const CheckpointShape& shape) {
  check_range(where, "dim", shape.dim, 1, kMaxDim);
  if (shape.dim % 2 != 0) {
    throw Error(fmt::format("{}: dim is {}, must be a multiple of 2", where, shape.dim));
  }
  check_range(where, "hidden_dim", shape.hidden_dim, 1, kMaxHiddenDim);
  check_range(where, "n_layers", shape.n_layers, 1, kMaxLayers);
  check_range(where, "n_heads", shape.n_heads, 1, kMaxDim);
  check_range(where, "n_kv_heads", shape.n_kv_heads, 1, shape.n_heads);
  if (shape.n_heads % shape.n_kv_heads != 0) {
    throw Error(fmt::format("{}: n_kv_heads is {}, must divide n_heads, {}", where,
                            shape.n_kv_heads, shape.n_heads));
  }
  check_range(where, "head_size", shape.head_size, 2, kMaxHeadSize);
  if (shape.head_size % 2 != 0) {
    throw Error(fmt::format("{}: head_size is {}, must be even", where, shape.head_size));
  }
  check_range(where, "n_heads * head_size", std::int64_t{shape.n_heads} * shape.head_size, 2,
              kMaxHiddenDim);
  check_range(where, "vocab_size", shape.vocab_size, 1, kMaxVocabulary);
  check_range(where, "context_length", shape.context_length, 1, kMaxContext);
  check_rope_factors(where, shape);
}

TensorExtent tensor_extent(const CheckpointShape& shape, TensorName tensor) {
  const std::uint64_t dim = shape.dim;
  const std::uint64_t heads_dim = std::uint64_t{shape.n_heads} * shape.head_size;
  const std::uint64_t kv_dim = std::uint64_t{shape.n_kv_heads} * shape.head_size;
  switch (tensor) {
    case TensorName::token_embedding:
    case TensorName::classifier:
      return {shape.vocab_size, dim};
    case TensorName::final_norm:
    case TensorName::attention_norm:
    case TensorName::ffn_norm:
      return {1, dim};
    case TensorName::wq:
      return {heads_dim, dim};
    case TensorName::wk:
    case TensorName::wv:
      return {kv_dim, dim};
    case TensorName::wo:
      return {dim, heads_dim};
    case TensorName::w_gate:
    case TensorName::w_up:
      return {shape.hidden_dim, dim};
    case TensorName::w_down:
      return {dim, shape.hidden_dim};
    case TensorName::bq:
      return {1, heads_dim};
    case TensorName::bk:
    case TensorName::bv:
      return {1, kv_dim};
    case TensorName::bo:
      return {1, dim};
  }
  return {};
}

bool belongs_to_layer(TensorName tensor) {
  return tensor != TensorName::token_embedding && tensor != TensorName::classifier &&
         tensor != TensorName::final_norm;
}

bool is_norm(TensorName tensor) {
  return tensor == TensorName::final_norm || tensor == TensorName::attention_norm ||
         tensor == TensorName::ffn_norm;
}

bool is_bias(TensorName tensor) {
  return tensor == TensorName::bq || tensor == TensorName::bk || tensor == TensorName::bv ||
         tensor == TensorName::bo;
}

bool has_tensor(const CheckpointShape& shape, TensorName tensor) {
  if (tensor == TensorName::classifier) return shape.has_classifier;
  if (tensor == TensorName::bo) return shape.has_output_bias;
  return !is_bias(tensor) || shape.has_attention_bias;
}

std::string tensor_label(TensorName tensor, std::uint32_t layer) {
  const std::string_view name = kTensorNames.at(static_cast<std::size_t>(tensor));
  if (!belongs_to_layer(tensor)) return std::string(name);
  return fmt::format("layers.{}.{}", layer, name);
}

}  // namespace mote::host
