// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes are, the reader of GGUF files refuses them with `Error` or delivers rows and a
// vocabulary.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "gguf/gguf_checkpoint.hpp"
#include "gguf/gguf_vocabulary.hpp"
#include "support/error.hpp"

namespace {

using mote::host::TensorName;

void read_rows(const mote::host::Checkpoint& checkpoint, TensorName tensor, std::uint32_t layer) {
  const mote::host::TensorExtent extent = mote::host::tensor_extent(checkpoint.shape(), tensor);
  std::vector<float> row(extent.columns);
  checkpoint.read_row(row, tensor, layer, 0);
  checkpoint.read_row(row, tensor, layer, static_cast<std::uint32_t>(extent.rows / 2));
  checkpoint.read_row(row, tensor, layer, static_cast<std::uint32_t>(extent.rows - 1));
}

void read_model(std::span<const std::uint8_t> bytes) {
  const mote::host::GgufCheckpoint checkpoint(bytes, "fuzz");
  const mote::host::CheckpointShape& shape = checkpoint.shape();
  static_cast<void>(checkpoint.format());
  for (std::size_t index = 0; index < mote::host::kTensorNameCount; ++index) {
    const auto tensor = static_cast<TensorName>(index);
    if (!mote::host::has_tensor(shape, tensor)) continue;
    read_rows(checkpoint, tensor, 0);
    if (mote::host::belongs_to_layer(tensor)) read_rows(checkpoint, tensor, shape.n_layers - 1);
  }
}

void read_vocabulary(std::span<const std::uint8_t> bytes) {
  const mote::host::GgufFile file(bytes, "fuzz");
  const mote::host::Vocabulary vocabulary = mote::host::gguf_tokenizer_model(file) == "gpt2"
                                                ? mote::host::read_gguf_byte_level(file)
                                                : mote::host::read_gguf_sentencepiece(file);
  // What a reader delivers, the device opens.
  static_cast<void>(mote::host::build_tokenizer_section(vocabulary));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    read_model({data, size});
  } catch (const mote::host::Error&) {
    // Refused; the vocabulary may still be right.
  }
  try {
    read_vocabulary({data, size});
  } catch (const mote::host::Error&) {
    return 0;  // refused
  }
  return 0;
}
