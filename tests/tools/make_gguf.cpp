// SPDX-License-Identifier: Apache-2.0
// Writes a GGUF file of any size with made-up weights, to try conversion on large models:
//   make_gguf OUT [TYPE [DIM HIDDEN LAYERS HEADS KV_HEADS VOCABULARY CONTEXT]]
// Without a shape the model has 110 million parameters (12 layers of 768). The file is written row
// by row, so that memory does not grow with it.
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "gguf/gguf_blocks.hpp"
#include "support/error.hpp"
#include "support/gguf_quantize.hpp"
#include "support/gguf_writer.hpp"
#include "support/named_model.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace {

using mote::host::CheckpointShape;
using mote::host::GgufType;
using mote::host::TensorName;

struct Tensor {
  std::string name;
  TensorName tensor{};
  std::uint32_t layer = 0;
};

constexpr std::array kLayerTensors = {std::pair{"attn_norm", TensorName::attention_norm},
                                      std::pair{"attn_q", TensorName::wq},
                                      std::pair{"attn_k", TensorName::wk},
                                      std::pair{"attn_v", TensorName::wv},
                                      std::pair{"attn_output", TensorName::wo},
                                      std::pair{"ffn_norm", TensorName::ffn_norm},
                                      std::pair{"ffn_gate", TensorName::w_gate},
                                      std::pair{"ffn_up", TensorName::w_up},
                                      std::pair{"ffn_down", TensorName::w_down}};

std::vector<Tensor> list_tensors(const CheckpointShape& shape) {
  std::vector<Tensor> tensors = {{"token_embd.weight", TensorName::token_embedding, 0},
                                 {"output_norm.weight", TensorName::final_norm, 0}};
  for (std::uint32_t layer = 0; layer < shape.n_layers; ++layer) {
    for (const auto& [name, tensor] : kLayerTensors) {
      tensors.push_back({fmt::format("blk.{}.{}.weight", layer, name), tensor, layer});
    }
  }
  return tensors;
}

GgufType find_type(const std::string& name) {
  for (const mote::host::GgufTypeInfo& info : mote::host::gguf_types()) {
    if (info.name == name) return info.type;
  }
  throw mote::host::Error(fmt::format("make_gguf: the type {} is not supported; supported: {}",
                                      name, mote::host::supported_gguf_types()));
}

GgufType type_of(TensorName tensor, GgufType matrices) {
  return mote::host::is_norm(tensor) ? GgufType::f32 : matrices;
}

void add_metadata(mote::test::GgufWriter& writer, const CheckpointShape& shape) {
  mote::test::NamedModel model;
  model.shape = shape;
  mote::test::add_gguf_metadata(writer, model);
}

void declare(mote::test::GgufWriter& writer, const CheckpointShape& shape, const Tensor& tensor,
             GgufType type) {
  const mote::host::TensorExtent extent = mote::host::tensor_extent(shape, tensor.tensor);
  if (extent.columns % mote::host::gguf_type_info(type).block_values != 0) {
    throw mote::host::Error(fmt::format("make_gguf: {}: rows of {} are no whole blocks of {}",
                                        tensor.name, extent.columns,
                                        mote::host::gguf_type_info(type).name));
  }
  std::vector<std::uint64_t> extents = {extent.columns};
  if (!mote::host::is_norm(tensor.tensor)) extents.push_back(extent.rows);
  writer.declare_tensor(tensor.name, extents, type);
}

void write(std::ofstream& file, const std::vector<std::uint8_t>& bytes) {
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

void write_data(std::ofstream& file, const mote::host::SyntheticCheckpoint& weights,
                const Tensor& tensor, GgufType type) {
  const mote::host::TensorExtent extent = mote::host::tensor_extent(weights.shape(), tensor.tensor);
  std::vector<float> row(extent.columns);
  std::uint64_t written = 0;
  for (std::uint32_t r = 0; r < extent.rows; ++r) {
    weights.read_row(row, tensor.tensor, tensor.layer, r);
    const std::vector<std::uint8_t> bytes = mote::test::quantize_gguf(row, type);
    write(file, bytes);
    written += bytes.size();
  }
  constexpr std::uint64_t kAlignment = mote::test::GgufWriter::kAlignment;
  write(file, std::vector<std::uint8_t>((kAlignment - written % kAlignment) % kAlignment));
}

void make_gguf(const std::string& path, const CheckpointShape& shape, GgufType type) {
  mote::host::check_shape("make_gguf", shape);
  mote::test::GgufWriter writer;
  add_metadata(writer, shape);
  const std::vector<Tensor> tensors = list_tensors(shape);
  for (const Tensor& tensor : tensors) {
    declare(writer, shape, tensor, type_of(tensor.tensor, type));
  }
  std::ofstream file(path, std::ios::binary);
  write(file, writer.header());
  const mote::host::SyntheticCheckpoint weights(shape, 1);
  for (const Tensor& tensor : tensors) {
    write_data(file, weights, tensor, type_of(tensor.tensor, type));
  }
  if (!file.flush()) throw mote::host::Error(path + ": cannot write");
}

CheckpointShape read_shape(char** numbers) {
  const auto next = [&] {
    return static_cast<std::uint32_t>(std::strtoul(*numbers++, nullptr, 10));
  };
  CheckpointShape shape;
  shape.dim = next();
  shape.hidden_dim = next();
  shape.n_layers = next();
  shape.n_heads = next();
  shape.n_kv_heads = next();
  shape.vocab_size = next();
  shape.context_length = next();
  shape.head_size = shape.n_heads == 0 ? 0 : shape.dim / shape.n_heads;
  return shape;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3 && argc != 10) {
    std::fprintf(stderr,
                 "usage: make_gguf OUT [TYPE [DIM HIDDEN LAYERS HEADS KV_HEADS VOCABULARY "
                 "CONTEXT]]\n");
    return 2;
  }
  CheckpointShape shape;
  shape.dim = 768;
  shape.hidden_dim = 2048;
  shape.n_layers = 12;
  shape.n_heads = 12;
  shape.n_kv_heads = 12;
  shape.head_size = 64;
  shape.vocab_size = 32000;
  shape.context_length = 1024;
  try {
    const GgufType type = find_type(argc > 2 ? argv[2] : "Q8_0");
    make_gguf(argv[1], argc == 10 ? read_shape(argv + 3) : shape, type);
  } catch (const mote::host::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
