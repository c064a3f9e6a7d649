// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "convert/printable.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::string_view kHead = "output.weight";
constexpr std::string_view kRopeFactors = "rope_freqs.weight";

constexpr std::array kModelTensors = {
    TensorSpelling{"token_embd.weight", TensorName::token_embedding},
    TensorSpelling{kHead, TensorName::classifier},
    TensorSpelling{"output_norm.weight", TensorName::final_norm},
};
constexpr std::array kLayerTensors = {
    TensorSpelling{".attn_norm.weight", TensorName::attention_norm},
    TensorSpelling{".attn_q.weight", TensorName::wq},
    TensorSpelling{".attn_k.weight", TensorName::wk},
    TensorSpelling{".attn_v.weight", TensorName::wv},
    TensorSpelling{".attn_output.weight", TensorName::wo},
    TensorSpelling{".ffn_norm.weight", TensorName::ffn_norm},
    TensorSpelling{".ffn_gate.weight", TensorName::w_gate},
    TensorSpelling{".ffn_up.weight", TensorName::w_up},
    TensorSpelling{".ffn_down.weight", TensorName::w_down},
    TensorSpelling{".attn_q.bias", TensorName::bq},
    TensorSpelling{".attn_k.bias", TensorName::bk},
    TensorSpelling{".attn_v.bias", TensorName::bv},
    TensorSpelling{".attn_output.bias", TensorName::bo},
};

bool has_own_head(const GgufFile& file) {
  const GgufTensor* head = file.find_tensor(kHead);
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (head == nullptr || embedding == nullptr) return head != nullptr;
  return head->type != embedding->type || head->extents != embedding->extents ||
         !std::ranges::equal(head->bytes, embedding->bytes);
}

GgufModel read_model(const GgufFile& file) {
  GgufModel model = read_gguf_model(file);
  model.shape.has_classifier = has_own_head(file);
  return model;
}

StoredTensor store(const GgufTensor& tensor, const std::string& path) {
  if (tensor.dimensions > 2) {
    throw Error(fmt::format("{}: {} has {} dimensions, must be 1 or 2", path,
                            printable(tensor.name), tensor.dimensions));
  }
  return {tensor.type, tensor.extents[1], tensor.extents[0], tensor.bytes};
}

StoredTensors place_tensors(const GgufFile& file, const GgufModel& model) {
  StoredTensors tensors(model.shape, model.rope_order, file.path());
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.name == kRopeFactors) continue;
    if (tensor.name == kHead && !model.shape.has_classifier) continue;
    const auto name = parse_tensor_name(tensor.name, kModelTensors, "blk.", kLayerTensors);
    if (!name) {
      throw Error(
          fmt::format("{}: the tensor {} is not supported; supported: those of plain llama "
                      "and qwen2 models",
                      file.path(), printable(tensor.name)));
    }
    tensors.place(*name, tensor.name, store(tensor, file.path()));
  }
  tensors.require_all();
  return tensors;
}

}  // namespace

GgufCheckpoint::GgufCheckpoint(std::span<const std::uint8_t> bytes, const std::string& path)
    : file_(bytes, path), model_(read_model(file_)), tensors_(place_tensors(file_, model_)) {}

std::string GgufCheckpoint::format() const {
  std::set<GgufType> types;
  for (const GgufTensor& tensor : file_.tensors()) {
    if (tensor.dimensions == 2) types.insert(tensor.type);
  }
  std::string names;
  for (const GgufType type : types) {
    if (!names.empty()) names += " and ";
    names += gguf_type_info(type).name;
  }
  return fmt::format("GGUF, version {}, {}, {}", file_.version(), model_.architecture, names);
}

}  // namespace mote::host
