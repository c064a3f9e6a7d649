// SPDX-License-Identifier: Apache-2.0
#include "convert/model_sections.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "convert/checkpoint_shape.hpp"
#include "support/error.hpp"
#include "support/little_endian.hpp"

namespace mote::host {
namespace {

constexpr double kMaxNormEpsilon = 0x1p40;
constexpr double kNormEpsilonUnit = 0x1p-44;

std::uint64_t make_norm_epsilon(const CheckpointShape& shape, std::string_view where) {
  const double units = shape.dim * shape.norm_epsilon / kNormEpsilonUnit;
  if (!(shape.norm_epsilon >= 0 && units <= kMaxNormEpsilon)) {
    throw Error(fmt::format("{}: norm_epsilon is {}, must be 0 to {}", where, shape.norm_epsilon,
                            kMaxNormEpsilon * kNormEpsilonUnit / shape.dim));
  }
  return static_cast<std::uint64_t>(std::round(units));
}

void add_line(std::string& text, std::string_view key, std::string_view value) {
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  };
  if (std::any_of(value.begin(), value.end(), is_control)) {
    throw Error(fmt::format("{}: must hold no control characters (a line feed, a tab)", key));
  }
  text += fmt::format("{}={}\n", key, value);
}

}  // namespace

ModelConfig make_config(const CheckpointShape& shape, const ConvertOptions& options,
                        std::string_view where) {
  check_shape(where, shape);
  if (options.block != 16 && options.block != 32 && options.block != 64) {
    throw Error(fmt::format("{}: block is {}, must be 16, 32 or 64", where, options.block));
  }
  check_range(where, "residual_fraction_bits", options.residual_fraction_bits, 8, 20);
  if (!(shape.rope_base >= 1 && std::isfinite(shape.rope_base))) {
    throw Error(fmt::format("{}: rope_base is {}, must be at least 1", where, shape.rope_base));
  }
  ModelConfig config;
  config.dim = shape.dim;
  config.hidden_dim = shape.hidden_dim;
  config.n_layers = shape.n_layers;
  config.n_heads = shape.n_heads;
  config.n_kv_heads = shape.n_kv_heads;
  config.head_size = shape.head_size;
  config.vocab_size = shape.vocab_size;
  config.context_length =
      options.context_length == 0 ? shape.context_length : options.context_length;
  check_range(where, "the context", config.context_length, 1, kMaxContext);
  config.block = options.block;
  config.residual_fraction_bits = options.residual_fraction_bits;
  config.norm_epsilon = make_norm_epsilon(shape, where);
  return config;
}

std::vector<std::uint8_t> encode_config(const ModelConfig& config) {
  const std::uint32_t fields[] = {config.dim,        config.hidden_dim,
                                  config.n_layers,   config.n_heads,
                                  config.n_kv_heads, config.head_size,
                                  config.vocab_size, config.context_length,
                                  config.block,      config.residual_fraction_bits};
  std::vector<std::uint8_t> out(kConfigSectionBytes);
  std::uint8_t* place = out.data();
  for (const std::uint32_t field : fields) {
    store_u32(place, field);
    place += sizeof field;
  }
  store_u64(place, config.norm_epsilon);
  return out;
}

std::vector<std::uint8_t> encode_rope_frequencies(std::uint32_t head_size, double base,
                                                  std::span<const double> factors) {
  std::vector<std::uint8_t> out(std::size_t{head_size} / 2 * 4);
  for (std::uint32_t i = 0; i < head_size / 2; ++i) {
    const double factor = factors.empty() ? 1 : factors[i];
    const double radians = std::pow(base, -2.0 * i / head_size) / factor;
    const double turns = std::round(0x1p32 * radians / (2 * std::numbers::pi));
    // Below 2^32 as the base is at least 1 and a factor at least
    // kMinRopeFactor, 1/4.
    store_u32(out.data() + std::size_t{4} * i, static_cast<std::uint32_t>(turns));
  }
  return out;
}

std::vector<std::uint8_t> encode_attention(const LayerAttention& attention,
                                           const ModelConfig& config, std::string_view where) {
  std::vector<std::uint32_t> words = {static_cast<std::uint32_t>(attention.kind), 0, 0, 0};
  switch (attention.kind) {
    case AttentionKind::causal:
      return {};
    case AttentionKind::sliding_window:
      check_range(where, "sinks", attention.sinks, 0, kMaxSinks);
      // A key is never further away than window and sinks together: the model
      // knows such distances.
      if (attention.sinks >= config.context_length) {
        throw Error(fmt::format("{}: sinks is {}, must be below the context of {}", where,
                                attention.sinks, config.context_length));
      }
      check_range(where, "window", attention.window, 1, config.context_length - attention.sinks);
      words[1] = attention.window;
      words[2] = attention.sinks;
      break;
    case AttentionKind::linear:
      check_range(where, "the number of decays",
                  static_cast<std::uint32_t>(attention.decays.size()), config.n_kv_heads,
                  config.n_kv_heads);
      for (const std::uint32_t decay : attention.decays) {
        check_range(where, "decay", decay, 1, 1U << 16);
        words.push_back(decay);
      }
      break;
  }
  std::vector<std::uint8_t> out(words.size() * sizeof(std::uint32_t));
  for (std::size_t i = 0; i < words.size(); ++i) store_u32(out.data() + i * 4, words[i]);
  return out;
}

std::vector<std::uint8_t> encode_metadata(const ConvertOptions& options) {
  std::string text;
  add_line(text, "name", options.name);
  if (!options.license.empty()) add_line(text, "license", options.license);
  if (!options.source.empty()) add_line(text, "source", options.source);
  if (!options.chat_template.empty()) add_line(text, "chat_template", options.chat_template);
  if (!options.chat_system.empty()) add_line(text, "chat_system", options.chat_system);
  return {text.begin(), text.end()};
}

}  // namespace mote::host
