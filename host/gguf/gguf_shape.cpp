// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_shape.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "convert/checkpoint_shape.hpp"
#include "convert/printable.hpp"
#include "gguf/gguf_features.hpp"
#include "gguf/gguf_metadata.hpp"
#include "mote/config.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::string_view kSupported = "supported: llama, qwen2";

/// Reads the keys of one architecture.
class Reader {
 public:
  Reader(const GgufFile& file, const std::string& architecture)
      : file_(file), prefix_(architecture + ".") {}

  std::string key(std::string_view name) const { return prefix_ + std::string(name); }
  std::uint32_t require(std::string_view name) const { return require_u32(file_, key(name)); }

  std::uint32_t require_common(std::string_view name) const {
    const auto value = find_common_u32(file_, key(name));
    if (!value) throw Error(fmt::format("{}: {} is missing", file_.path(), key(name)));
    return *value;
  }

  /// 0 where the file has no such key.
  std::uint32_t common_or_zero(std::string_view name) const {
    return find_common_u32(file_, key(name)).value_or(0);
  }

  double real_or(std::string_view name, double otherwise) const {
    return find_real(file_, key(name)).value_or(otherwise);
  }

  void require_equal(std::string_view name, std::uint32_t expected, std::string_view why) const {
    const auto value = find_common_u32(file_, key(name));
    if (!value || *value == expected) return;
    throw Error(fmt::format("{}: {} is {}, must be {}: {}", file_.path(), key(name), *value,
                            expected, why));
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
};

std::string read_architecture(const GgufFile& file) {
  const auto text = find_text(file, "general.architecture");
  if (!text) {
    throw Error(fmt::format("{}: general.architecture is missing; {}", file.path(), kSupported));
  }
  if (*text != "llama" && *text != "qwen2") {
    throw Error(fmt::format("{}: the architecture {} is not supported; {}", file.path(),
                            printable(*text), kSupported));
  }
  return std::string(*text);
}

/// Without a length of keys the heads share the width evenly.
std::uint32_t read_head_size(const GgufFile& file, const Reader& reader,
                             const CheckpointShape& shape) {
  std::uint32_t head_size = reader.common_or_zero("attention.key_length");
  if (head_size == 0) {
    if (shape.n_heads == 0 || shape.dim % shape.n_heads != 0) {
      throw Error(fmt::format("{}: {} is {}, must divide the embedding length, {}", file.path(),
                              reader.key("attention.head_count"), shape.n_heads, shape.dim));
    }
    head_size = shape.dim / shape.n_heads;
  }
  reader.require_equal("attention.value_length", head_size, "keys and values have one length");
  reader.require_equal("rope.dimension_count", head_size, "RoPE turns whole heads");
  return head_size;
}

std::uint32_t read_vocab_size(const GgufFile& file, const Reader& reader) {
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr) {
    throw Error(fmt::format("{}: the tensor token_embd.weight is missing", file.path()));
  }
  const std::uint64_t rows = embedding->extents[1];
  if (rows > kMaxVocabulary) {
    throw Error(fmt::format("{}: token_embd.weight has {} rows, must be 1 to {}", file.path(), rows,
                            kMaxVocabulary));
  }
  const auto vocab_size = static_cast<std::uint32_t>(rows);
  reader.require_equal("vocab_size", vocab_size, "the rows of token_embd.weight");
  return vocab_size;
}

/// (n_layers), empty where no layer has a window. A pattern says which layers have it: a flag for
/// each, or a period whose last layer sees everything.
std::vector<std::uint32_t> read_windows(const GgufFile& file, const Reader& reader,
                                        const CheckpointShape& shape) {
  const std::uint32_t window = reader.common_or_zero("attention.sliding_window");
  if (window == 0) return {};
  std::vector<std::uint32_t> windows(shape.n_layers, window);
  const std::string key = reader.key("attention.sliding_window_pattern");
  const GgufValue* pattern = file.find_value(key);
  if (pattern == nullptr) return windows;
  if (!pattern->is_array) {
    const std::uint32_t period = require_u32(file, key);
    for (std::uint32_t i = 0; period > 0 && i < shape.n_layers; ++i) {
      if (i % period == period - 1) windows[i] = 0;
    }
    return windows;
  }
  const std::vector<std::int64_t> flags = list_integers(file, key);
  check_range(file.path(), key + ": its length", static_cast<std::int64_t>(flags.size()),
              shape.n_layers, shape.n_layers);
  for (std::uint32_t i = 0; i < shape.n_layers; ++i) {
    if (flags[i] == 0) windows[i] = 0;
  }
  return windows;
}

}  // namespace

GgufModel read_gguf_model(const GgufFile& file) {
  GgufModel model;
  model.architecture = read_architecture(file);
  // llama.cpp's converter permutes the rows of llama models, and only theirs.
  model.rope_order = model.architecture == "llama" ? RopeOrder::interleaved : RopeOrder::halves;
  refuse_gguf_features(file, model.architecture);
  const Reader reader(file, model.architecture);
  CheckpointShape& shape = model.shape;
  shape.dim = reader.require("embedding_length");
  shape.hidden_dim = reader.require_common("feed_forward_length");
  shape.n_layers = reader.require("block_count");
  shape.n_heads = reader.require_common("attention.head_count");
  shape.n_kv_heads =
      find_common_u32(file, reader.key("attention.head_count_kv")).value_or(shape.n_heads);
  shape.head_size = read_head_size(file, reader, shape);
  shape.vocab_size = read_vocab_size(file, reader);
  // Shorter contexts are right for every model.
  shape.context_length = std::min(reader.require("context_length"), kMaxContext);
  shape.norm_epsilon = reader.real_or("attention.layer_norm_rms_epsilon", -1);
  if (!(shape.norm_epsilon >= 0)) {
    throw Error(fmt::format("{}: {} is missing or negative", file.path(),
                            reader.key("attention.layer_norm_rms_epsilon")));
  }
  shape.rope_base = reader.real_or("rope.freq_base", 10000);
  shape.has_attention_bias = file.find_tensor("blk.0.attn_q.bias") != nullptr;
  shape.has_output_bias = file.find_tensor("blk.0.attn_output.bias") != nullptr;
  check_shape(file.path(), shape);
  shape.rope_factors = read_gguf_rope_factors(file, model.architecture, shape.head_size);
  shape.layer_windows = read_windows(file, reader, shape);
  check_shape(file.path(), shape);
  return model;
}

}  // namespace mote::host
