// SPDX-License-Identifier: Apache-2.0
#include "huggingface/huggingface_shape.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "convert/checkpoint_shape.hpp"
#include "convert/printable.hpp"
#include "convert/rope_factors.hpp"
#include "mote/config.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

std::string read_model_type(const JsonReader& config) {
  const std::string type = config.text_or("model_type", "");
  if (type == "llama" || type == "mistral" || type == "qwen2") return type;
  throw Error(
      fmt::format("{}: the model_type \"{}\" is not supported; supported: llama, mistral, "
                  "qwen2",
                  config.where(), printable(type)));
}

void refuse_features(const JsonReader& config) {
  const std::string activation = config.text_or("hidden_act", "silu");
  if (activation != "silu") {
    throw Error(fmt::format("{}: the hidden_act {} is not supported; supported: silu",
                            config.where(), printable(activation)));
  }
  if (config.find("quantization_config") != nullptr) {
    throw Error(
        fmt::format("{}: quantization_config: quantised checkpoints (GPTQ, AWQ, FP8, ...) "
                    "are not supported; supported: F32, F16 and BF16",
                    config.where()));
  }
  if (config.real_or("partial_rotary_factor", 1) != 1) {
    config.fail("partial_rotary_factor", "1: RoPE turns whole heads");
  }
}

/// Newer files keep all that concerns RoPE in one object, older ones only the scaling.
std::optional<JsonReader> find_rope(const JsonReader& config) {
  auto rope = config.find_object("rope_parameters");
  return rope ? rope : config.find_object("rope_scaling");
}

std::vector<double> read_rope_factors(const JsonReader& rope, const CheckpointShape& shape) {
  const std::string type = rope.text_or("rope_type", rope.text_or("type", "default"));
  if (type == "default") return {};
  if (type == "linear") return make_linear_factors(rope.require_real("factor"), shape.head_size);
  if (type == "llama3") {
    Llama3Scaling scaling;
    scaling.factor = rope.require_real("factor");
    scaling.low_freq_factor = rope.require_real("low_freq_factor");
    scaling.high_freq_factor = rope.require_real("high_freq_factor");
    scaling.original_context = rope.require_real("original_max_position_embeddings");
    return make_llama3_factors(scaling, shape.head_size, shape.rope_base, rope.where());
  }
  throw Error(fmt::format("{}: the type {} is not supported; supported: default, linear, llama3",
                          rope.where(), printable(type)));
}

/// Whether each layer has the window, where the file lists it. // (n_layers) or empty
std::vector<bool> read_layer_types(const JsonReader& config, std::uint32_t n_layers) {
  const nlohmann::json* types = config.find("layer_types");
  if (types == nullptr) return {};
  if (!types->is_array() || types->size() != n_layers) {
    config.fail("layer_types", fmt::format("an array of {} strings", n_layers));
  }
  std::vector<bool> has_window;
  for (const nlohmann::json& type : *types) {
    if (type != "full_attention" && type != "sliding_attention") {
      config.fail("layer_types", "full_attention or sliding_attention in each layer");
    }
    has_window.push_back(type == "sliding_attention");
  }
  return has_window;
}

/// Mistral's window is that of all layers. Qwen2's must be switched on, and begins at a layer.
std::vector<std::uint32_t> read_windows(const JsonReader& config, const HuggingfaceModel& model) {
  const std::uint32_t n_layers = model.shape.n_layers;
  const std::uint32_t window = config.find_u32("sliding_window").value_or(0);
  const bool is_qwen = model.model_type == "qwen2";
  std::vector<bool> has_window = read_layer_types(config, n_layers);
  if (is_qwen && !config.flag_or("use_sliding_window", false)) return {};
  if (window == 0) return {};
  if (has_window.empty()) {
    if (!is_qwen && model.model_type != "mistral") return {};
    const std::uint32_t first = is_qwen ? config.find_u32("max_window_layers").value_or(28) : 0;
    for (std::uint32_t layer = 0; layer < n_layers; ++layer) has_window.push_back(layer >= first);
  }
  std::vector<std::uint32_t> windows;
  for (const bool has : has_window) windows.push_back(has ? window : 0);
  return windows;
}

std::uint32_t read_head_size(const JsonReader& config, const CheckpointShape& shape) {
  if (const auto head_dim = config.find_u32("head_dim")) return *head_dim;
  if (shape.n_heads == 0 || shape.dim % shape.n_heads != 0) {
    config.fail("num_attention_heads", fmt::format("a divisor of hidden_size, {}", shape.dim));
  }
  return shape.dim / shape.n_heads;
}

}  // namespace

HuggingfaceModel read_huggingface_model(const JsonReader& config) {
  HuggingfaceModel model;
  model.model_type = read_model_type(config);
  refuse_features(config);
  model.ties_head = config.flag_or("tie_word_embeddings", false);
  CheckpointShape& shape = model.shape;
  shape.dim = config.require_u32("hidden_size");
  shape.hidden_dim = config.require_u32("intermediate_size");
  shape.n_layers = config.require_u32("num_hidden_layers");
  shape.n_heads = config.require_u32("num_attention_heads");
  shape.n_kv_heads = config.find_u32("num_key_value_heads").value_or(shape.n_heads);
  shape.head_size = read_head_size(config, shape);
  shape.vocab_size = config.require_u32("vocab_size");
  // Shorter contexts are right for every model.
  shape.context_length = std::min(config.require_u32("max_position_embeddings"), kMaxContext);
  shape.norm_epsilon = config.real_or("rms_norm_eps", 1e-6);
  const std::optional<JsonReader> rope = find_rope(config);
  shape.rope_base = config.real_or("rope_theta", rope ? rope->real_or("rope_theta", 1e4) : 1e4);
  check_shape(config.where(), shape);
  if (rope) shape.rope_factors = read_rope_factors(*rope, shape);
  shape.layer_windows = read_windows(config, model);
  check_shape(config.where(), shape);
  return model;
}

}  // namespace mote::host
