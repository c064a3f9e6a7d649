// SPDX-License-Identifier: Apache-2.0
#include "support/named_model.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "convert/byte_level.hpp"
#include "convert/checkpoint_shape.hpp"
#include "support/gguf_quantize.hpp"

namespace mote::test {
namespace {

using host::TensorName;

/// What the two formats call a tensor; a brace stands for the layer.
struct Names {
  TensorName tensor{};
  const char* gguf;
  const char* huggingface;
};
constexpr Names kNames[] = {
    {TensorName::token_embedding, "token_embd.weight", "model.embed_tokens.weight"},
    {TensorName::classifier, "output.weight", "lm_head.weight"},
    {TensorName::final_norm, "output_norm.weight", "model.norm.weight"},
    {TensorName::attention_norm, "blk.{}.attn_norm.weight",
     "model.layers.{}.input_layernorm.weight"},
    {TensorName::wq, "blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"},
    {TensorName::wk, "blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight"},
    {TensorName::wv, "blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight"},
    {TensorName::wo, "blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight"},
    {TensorName::ffn_norm, "blk.{}.ffn_norm.weight",
     "model.layers.{}.post_attention_layernorm.weight"},
    {TensorName::w_gate, "blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight"},
    {TensorName::w_up, "blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight"},
    {TensorName::w_down, "blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"},
    {TensorName::bq, "blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias"},
    {TensorName::bk, "blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias"},
    {TensorName::bv, "blk.{}.attn_v.bias", "model.layers.{}.self_attn.v_proj.bias"},
    {TensorName::bo, "blk.{}.attn_output.bias", "model.layers.{}.self_attn.o_proj.bias"},
};

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t value = a * 0x9e3779b97f4a7c15U + b + 0x632be59bd9b4e019U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

bool is_turned(TensorName tensor) {
  return tensor == TensorName::wq || tensor == TensorName::wk || tensor == TensorName::bq ||
         tensor == TensorName::bk;
}

/// The lane of a head that stands at place `place` in the order of halves, lane by lane from the
/// definition: first the even lanes, then the odd ones.
std::uint64_t lane_at(std::uint64_t place, std::uint64_t head_size) {
  const std::uint64_t in_head = place % head_size;
  const std::uint64_t half = head_size / 2;
  const std::uint64_t lane = in_head < half ? 2 * in_head : 2 * (in_head - half) + 1;
  return place - in_head + lane;
}

/// A tensor in the order of the file.
std::vector<float> file_values(const NamedModel& model, TensorName tensor, std::uint32_t layer,
                               bool in_halves) {
  const host::TensorExtent extent = host::tensor_extent(model.shape, tensor);
  const bool reorders = in_halves && is_turned(tensor);
  std::vector<float> values;
  for (std::uint64_t row = 0; row < extent.rows; ++row) {
    for (std::uint64_t column = 0; column < extent.columns; ++column) {
      const bool is_vector = host::is_bias(tensor);
      const auto turned = [&](std::uint64_t place) {
        return reorders ? lane_at(place, model.shape.head_size) : place;
      };
      values.push_back(named_weight(model, tensor, layer, is_vector ? row : turned(row),
                                    is_vector ? turned(column) : column));
    }
  }
  return values;
}

/// Calls `visit(names, layer)` for every tensor of the model.
template <typename Visit>
void for_each_tensor(const NamedModel& model, Visit visit) {
  for (const Names& names : kNames) {
    if (!host::has_tensor(model.shape, names.tensor)) continue;
    const std::uint32_t layers = host::belongs_to_layer(names.tensor) ? model.shape.n_layers : 1;
    for (std::uint32_t layer = 0; layer < layers; ++layer) visit(names, layer);
  }
}

bool is_vector(TensorName tensor) {
  return host::is_norm(tensor) || host::is_bias(tensor);
}

/// "a" to "z", "aa" to "zz", ...
std::string letters(std::uint32_t index) {
  std::string text;
  for (++index; index > 0; index = (index - 1) / 26) {
    text.insert(text.begin(), static_cast<char>('a' + (index - 1) % 26));
  }
  return text;
}

void add_vocabulary(GgufWriter& writer, std::uint32_t vocab_size) {
  std::vector<std::string> texts = named_vocabulary(vocab_size);
  std::vector<float> scores;
  std::vector<std::int32_t> types;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const bool is_byte = texts[i].starts_with("<0x");
    types.push_back(i == 0 ? 2 : i < 3 ? 3 : is_byte ? 6 : 1);
    scores.push_back(types.back() == 1 ? -static_cast<float>(i) : 0);
    if (texts[i] == " ") texts[i] = "\xe2\x96\x81";
  }
  writer.add_string("tokenizer.ggml.model", "llama");
  writer.add_strings("tokenizer.ggml.tokens", texts);
  writer.add_f32s("tokenizer.ggml.scores", scores);
  writer.add_i32s("tokenizer.ggml.token_type", types);
  writer.add_u32("tokenizer.ggml.bos_token_id", 1);
  writer.add_u32("tokenizer.ggml.eos_token_id", 2);
}

void add_byte_level_vocabulary(GgufWriter& writer, std::uint32_t vocab_size) {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) {
    texts.push_back(host::map_bytes(std::string(1, static_cast<char>(byte))));
  }
  std::vector<std::int32_t> types(256, 1);
  for (const char* text : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    texts.emplace_back(text);
    types.push_back(3);
  }
  texts.emplace_back("ab");
  types.push_back(1);
  while (texts.size() < vocab_size) {
    texts.push_back("[PAD" + std::to_string(texts.size()) + "]");
    types.push_back(5);
  }
  writer.add_string("tokenizer.ggml.model", "gpt2");
  writer.add_string("tokenizer.ggml.pre", "qwen2");
  writer.add_strings("tokenizer.ggml.tokens", texts);
  writer.add_i32s("tokenizer.ggml.token_type", types);
  writer.add_strings("tokenizer.ggml.merges", {"a b"});
  writer.add_u32("tokenizer.ggml.eos_token_id", 256);
}

void add_metadata(GgufWriter& writer, const NamedModel& model) {
  const host::CheckpointShape& shape = model.shape;
  const std::string prefix = model.architecture + ".";
  writer.add_string("general.architecture", model.architecture);
  writer.add_u32(prefix + "embedding_length", shape.dim);
  writer.add_u32(prefix + "feed_forward_length", shape.hidden_dim);
  writer.add_u32(prefix + "block_count", shape.n_layers);
  writer.add_u32(prefix + "attention.head_count", shape.n_heads);
  writer.add_u32(prefix + "attention.head_count_kv", shape.n_kv_heads);
  writer.add_u32(prefix + "attention.key_length", shape.head_size);
  writer.add_u32(prefix + "context_length", shape.context_length);
  writer.add_f32(prefix + "attention.layer_norm_rms_epsilon",
                 static_cast<float>(shape.norm_epsilon));
  writer.add_f32(prefix + "rope.freq_base", static_cast<float>(shape.rope_base));
}

std::string dtype(host::GgufType type) {
  return std::string(host::gguf_type_info(type).name);
}

}  // namespace

float named_weight(const NamedModel& model, TensorName tensor, std::uint32_t layer,
                   std::uint64_t row, std::uint64_t column) {
  const std::uint64_t place = row << 32 | column;
  const std::uint64_t hash =
      mix(mix(mix(model.seed, static_cast<std::uint64_t>(tensor)), layer), place);
  if (host::is_norm(tensor)) return 1 + static_cast<float>(static_cast<int>(hash % 64) - 32) / 128;
  return static_cast<float>(static_cast<int>(hash % 256) - 128) / 128;
}

std::vector<std::string> named_vocabulary(std::uint32_t vocab_size) {
  std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
  for (std::uint32_t byte = 0; vocab_size >= 3 + 256 && byte < 256; ++byte) {
    texts.push_back(fmt::format("<0x{:02X}>", byte));
  }
  for (std::uint32_t i = 0; texts.size() < vocab_size; ++i) {
    texts.push_back(i == 0 ? " " : letters(i));
  }
  return texts;
}

void add_gguf_metadata(GgufWriter& writer, const NamedModel& model) {
  add_metadata(writer, model);
  if (model.byte_level) {
    add_byte_level_vocabulary(writer, model.shape.vocab_size);
  } else {
    add_vocabulary(writer, model.shape.vocab_size);
  }
}

GgufWriter begin_gguf(const NamedModel& model) {
  GgufWriter writer(model.gguf_version);
  add_gguf_metadata(writer, model);
  for_each_tensor(model, [&](const Names& names, std::uint32_t layer) {
    const host::TensorExtent extent = host::tensor_extent(model.shape, names.tensor);
    const std::vector<std::uint64_t> extents =
        is_vector(names.tensor) ? std::vector<std::uint64_t>{extent.columns}
                                : std::vector<std::uint64_t>{extent.columns, extent.rows};
    writer.add_tensor(fmt::format(fmt::runtime(names.gguf), layer), extents,
                      is_vector(names.tensor) ? host::GgufType::f32 : model.type,
                      file_values(model, names.tensor, layer, model.architecture != "llama"));
  });
  return writer;
}

std::vector<std::uint8_t> write_gguf(const NamedModel& model) {
  return begin_gguf(model).file();
}

std::string write_huggingface_config(const NamedModel& model) {
  const host::CheckpointShape& shape = model.shape;
  return fmt::format(
      R"({{"model_type":"{}","hidden_size":{},"intermediate_size":{},"num_hidden_layers":{},)"
      R"("num_attention_heads":{},"num_key_value_heads":{},"head_dim":{},"vocab_size":{},)"
      R"("max_position_embeddings":{},"rms_norm_eps":{},"rope_theta":{},)"
      R"("tie_word_embeddings":{}}})",
      model.architecture, shape.dim, shape.hidden_dim, shape.n_layers, shape.n_heads,
      shape.n_kv_heads, shape.head_size, shape.vocab_size, shape.context_length, shape.norm_epsilon,
      shape.rope_base, !shape.has_classifier);
}

std::vector<std::uint8_t> write_safetensors(const NamedModel& model, std::size_t shard,
                                            std::size_t shards) {
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::vector<std::uint8_t> data;
  std::size_t index = 0;
  for_each_tensor(model, [&](const Names& names, std::uint32_t layer) {
    if (index++ % shards != shard) return;
    const host::TensorExtent extent = host::tensor_extent(model.shape, names.tensor);
    const std::size_t begin = data.size();
    const auto bytes = quantize_gguf(file_values(model, names.tensor, layer, true), model.type);
    data.insert(data.end(), bytes.begin(), bytes.end());
    const std::string shape = is_vector(names.tensor)
                                  ? fmt::format("{}", extent.columns)
                                  : fmt::format("{},{}", extent.rows, extent.columns);
    header += fmt::format(R"(,"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          fmt::format(fmt::runtime(names.huggingface), layer), dtype(model.type),
                          shape, begin, data.size());
  });
  header += "}";
  std::vector<std::uint8_t> out;
  append_string(out, header);
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

}  // namespace mote::test
