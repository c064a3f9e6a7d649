// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_features.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "convert/printable.hpp"
#include "convert/rope_factors.hpp"
#include "gguf/gguf_metadata.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

// Keys that are read elsewhere, or that change nothing.
constexpr std::array<std::string_view, 20> kKnown = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "tensor_data_layout",
    "vocab_size",
};

/// A key that asks for nothing as long as it has one of two values.
struct NeutralKey {
  std::string_view name;
  double neutral = 0;
  double also_neutral = 0;
  std::string_view feature;
};

constexpr std::array kNeutral = {
    NeutralKey{"attention.causal", 1, 1, "attention to later positions"},
    NeutralKey{"attention.clamp_kqv", 0, 0, "clamping of queries, keys and values"},
    NeutralKey{"attention.max_alibi_bias", 0, 0, "ALiBi"},
    NeutralKey{"attention.scale", 0, 0, "an attention scale of its own"},
    NeutralKey{"attn_logit_softcapping", 0, 0, "soft capping"},
    NeutralKey{"embedding_scale", 0, 1, "a scale of the embedding"},
    NeutralKey{"expert_count", 0, 0, "a mixture of experts"},
    NeutralKey{"expert_used_count", 0, 0, "a mixture of experts"},
    NeutralKey{"final_logit_softcapping", 0, 0, "soft capping"},
    NeutralKey{"logit_scale", 0, 1, "a scale of the logits"},
    NeutralKey{"residual_scale", 0, 1, "a scale of the residual stream"},
    NeutralKey{"rope.scaling.attn_factor", 0, 1, "an attention factor of RoPE"},
    NeutralKey{"use_parallel_residual", 0, 0, "parallel residuals"},
};

double number_or_flag(const GgufFile& file, const GgufValue& value) {
  if (value.type == GgufValueType::boolean && !value.is_array) {
    return *find_flag(file, value.key) ? 1 : 0;
  }
  return *find_real(file, value.key);
}

/// True where `value` is one of kNeutral and asks for nothing.
bool is_neutral(const GgufFile& file, const GgufValue& value, std::string_view name) {
  const auto* key = std::find_if(kNeutral.begin(), kNeutral.end(),
                                 [&](const NeutralKey& one) { return one.name == name; });
  if (key == kNeutral.end()) return false;
  const double number = number_or_flag(file, value);
  if (number == key->neutral || number == key->also_neutral) return true;
  throw Error(fmt::format("{}: {} is {}: {} is not supported; supported: {}", file.path(),
                          value.key, number, key->feature, key->also_neutral));
}

double read_linear_factor(const GgufFile& file, const std::string& architecture) {
  const std::string type_key = architecture + ".rope.scaling.type";
  // A factor without a type is a linear one.
  const std::string_view type = find_text(file, type_key).value_or("linear");
  if (type == "none") return 1;
  if (type != "linear") {
    throw Error(fmt::format(
        "{}: {} is {}, which is not supported; supported: none, linear, and llama 3's factors",
        file.path(), type_key, printable(type)));
  }
  const auto factor = find_real(file, architecture + ".rope.scaling.factor");
  const auto old_factor = find_real(file, architecture + ".rope.scale_linear");
  const double value = factor.value_or(old_factor.value_or(1));
  return value == 0 ? 1 : value;
}

}  // namespace

void refuse_gguf_features(const GgufFile& file, const std::string& architecture) {
  const std::string prefix = architecture + ".";
  for (const GgufValue& value : file.values()) {
    if (!value.key.starts_with(prefix)) continue;
    const std::string_view name = value.key.substr(prefix.size());
    if (std::find(kKnown.begin(), kKnown.end(), name) != kKnown.end()) continue;
    if (is_neutral(file, value, name)) continue;
    throw Error(
        fmt::format("{}: {} is not supported; supported: the keys of plain llama and qwen2 "
                    "models",
                    file.path(), printable(value.key)));
  }
}

std::vector<double> read_gguf_rope_factors(const GgufFile& file, const std::string& architecture,
                                           std::uint32_t head_size) {
  const double linear = read_linear_factor(file, architecture);
  std::vector<double> factors = make_linear_factors(linear, head_size);
  const GgufTensor* tensor = file.find_tensor("rope_freqs.weight");
  if (tensor == nullptr) return factors;
  if (tensor->dimensions != 1 || tensor->extents[0] != head_size / 2) {
    throw Error(
        fmt::format("{}: rope_freqs.weight has {} values in {} dimensions, must be a "
                    "vector of {}",
                    file.path(), tensor->extents[0], tensor->dimensions, head_size / 2));
  }
  std::vector<float> stored(head_size / 2);
  read_gguf_blocks(stored, tensor->bytes, tensor->type);
  factors.assign(stored.begin(), stored.end());
  for (double& factor : factors) factor *= linear;
  return factors;
}

}  // namespace mote::host
