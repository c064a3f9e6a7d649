// SPDX-License-Identifier: Apache-2.0
#include "huggingface/huggingface_checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "convert/printable.hpp"
#include "huggingface/json_reader.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::string_view kHead = "lm_head.weight";
constexpr std::string_view kEmbedding = "model.embed_tokens.weight";
constexpr std::string_view kFirstBias = "model.layers.0.self_attn.q_proj.bias";
constexpr std::string_view kFirstOutputBias = "model.layers.0.self_attn.o_proj.bias";
// RoPE's frequencies, which older files keep as a tensor, follow from the configuration.
constexpr std::string_view kFrequencies = ".self_attn.rotary_emb.inv_freq";

constexpr std::array kModelTensors = {
    TensorSpelling{kEmbedding, TensorName::token_embedding},
    TensorSpelling{kHead, TensorName::classifier},
    TensorSpelling{"model.norm.weight", TensorName::final_norm},
};
constexpr std::array kLayerTensors = {
    TensorSpelling{".input_layernorm.weight", TensorName::attention_norm},
    TensorSpelling{".self_attn.q_proj.weight", TensorName::wq},
    TensorSpelling{".self_attn.k_proj.weight", TensorName::wk},
    TensorSpelling{".self_attn.v_proj.weight", TensorName::wv},
    TensorSpelling{".self_attn.o_proj.weight", TensorName::wo},
    TensorSpelling{".post_attention_layernorm.weight", TensorName::ffn_norm},
    TensorSpelling{".mlp.gate_proj.weight", TensorName::w_gate},
    TensorSpelling{".mlp.up_proj.weight", TensorName::w_up},
    TensorSpelling{".mlp.down_proj.weight", TensorName::w_down},
    TensorSpelling{".self_attn.q_proj.bias", TensorName::bq},
    TensorSpelling{".self_attn.k_proj.bias", TensorName::bk},
    TensorSpelling{".self_attn.v_proj.bias", TensorName::bv},
    TensorSpelling{".self_attn.o_proj.bias", TensorName::bo},
};

const SafeTensor* find_tensor(std::span<const SafetensorsFile> files, std::string_view name) {
  for (const SafetensorsFile& file : files) {
    const auto& tensors = file.tensors();
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const SafeTensor& tensor) { return tensor.name == name; });
    if (found != tensors.end()) return &*found;
  }
  return nullptr;
}

/// A head that is missing is only right where the model says that it has none.
bool has_own_head(const HuggingfaceModel& model, std::span<const SafetensorsFile> files) {
  if (model.ties_head) return false;
  const SafeTensor* head = find_tensor(files, kHead);
  const SafeTensor* embedding = find_tensor(files, kEmbedding);
  if (head == nullptr || embedding == nullptr) return true;
  return head->stored.type != embedding->stored.type ||
         !std::ranges::equal(head->stored.bytes, embedding->stored.bytes);
}

HuggingfaceModel read_model(std::span<const std::uint8_t> config, const std::string& path,
                            std::span<const SafetensorsFile> files) {
  const nlohmann::json json = parse_json_object(config, path);
  HuggingfaceModel model = read_huggingface_model(JsonReader(json, path));
  model.shape.has_classifier = has_own_head(model, files);
  model.shape.has_attention_bias = find_tensor(files, kFirstBias) != nullptr;
  model.shape.has_output_bias = find_tensor(files, kFirstOutputBias) != nullptr;
  return model;
}

void place_file(StoredTensors& tensors, const SafetensorsFile& file, const CheckpointShape& shape) {
  for (const SafeTensor& tensor : file.tensors()) {
    if (tensor.name == kHead && !shape.has_classifier) continue;
    if (tensor.name.ends_with(kFrequencies)) continue;
    const auto name = parse_tensor_name(tensor.name, kModelTensors, "model.layers.", kLayerTensors);
    if (!name) {
      throw Error(
          fmt::format("{}: the tensor {} is not supported; supported: those of plain "
                      "llama, mistral and qwen2 models",
                      file.path(), printable(tensor.name)));
    }
    tensors.place(*name, tensor.name, tensor.stored);
  }
}

StoredTensors place_tensors(const CheckpointShape& shape, const std::string& path,
                            std::span<const SafetensorsFile> files) {
  StoredTensors tensors(shape, RopeOrder::halves, path);
  for (const SafetensorsFile& file : files) place_file(tensors, file, shape);
  tensors.require_all();
  return tensors;
}

std::string list_types(std::span<const SafetensorsFile> files) {
  std::set<GgufType> types;
  for (const SafetensorsFile& file : files) {
    for (const SafeTensor& tensor : file.tensors()) {
      if (tensor.stored.rows > 1) types.insert(tensor.stored.type);
    }
  }
  std::string names;
  for (const GgufType type : types) {
    if (!names.empty()) names += " and ";
    names += gguf_type_info(type).name;
  }
  return names;
}

}  // namespace

HuggingfaceCheckpoint::HuggingfaceCheckpoint(std::span<const std::uint8_t> config,
                                             const std::string& config_path,
                                             std::span<const SafetensorsFile> files)
    : model_(read_model(config, config_path, files)),
      tensors_(place_tensors(model_.shape, config_path, files)),
      types_(list_types(files)),
      file_count_(files.size()) {}

std::string HuggingfaceCheckpoint::format() const {
  return fmt::format("Hugging Face, {}, {} in {} file{}", model_.model_type, types_, file_count_,
                     file_count_ == 1 ? "" : "s");
}

}  // namespace mote::host
