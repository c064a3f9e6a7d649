// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes of config.json and of a safetensors file are, they are refused with `Error` or
// deliver rows. The same bytes are read as an index of shards and as a tokenizer.model.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "huggingface/huggingface_checkpoint.hpp"
#include "huggingface/sentencepiece_model.hpp"
#include "support/error.hpp"

namespace {

using Bytes = std::span<const std::uint8_t>;
using mote::host::TensorName;

void read_rows(const mote::host::Checkpoint& checkpoint, TensorName tensor, std::uint32_t layer) {
  const mote::host::TensorExtent extent = mote::host::tensor_extent(checkpoint.shape(), tensor);
  std::vector<float> row(extent.columns);
  checkpoint.read_row(row, tensor, layer, 0);
  checkpoint.read_row(row, tensor, layer, static_cast<std::uint32_t>(extent.rows - 1));
}

void read_model(Bytes config, Bytes tensors) {
  const mote::host::SafetensorsFile files[] = {{tensors, "fuzz.safetensors"}};
  const mote::host::HuggingfaceCheckpoint checkpoint(config, "config.json", files);
  const mote::host::CheckpointShape& shape = checkpoint.shape();
  for (std::size_t index = 0; index < mote::host::kTensorNameCount; ++index) {
    const auto tensor = static_cast<TensorName>(index);
    if (!mote::host::has_tensor(shape, tensor)) continue;
    read_rows(checkpoint, tensor, 0);
    if (mote::host::belongs_to_layer(tensor)) read_rows(checkpoint, tensor, shape.n_layers - 1);
  }
}

template <typename Read>
void try_reading(Read read) {
  try {
    read();
  } catch (const mote::host::Error&) {
    return;  // refused
  }
}

}  // namespace

/// The first two bytes are the length of config.json, which follows; the rest is the safetensors
/// file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Bytes rest(data + 2, size - 2);
  const std::size_t length = std::min<std::size_t>(data[0] + 256U * data[1], rest.size());
  try_reading([&] { read_model(rest.first(length), rest.subspan(length)); });
  try_reading([&] { static_cast<void>(mote::host::list_shards(rest, "index.json")); });
  try_reading([&] {
    const mote::host::Vocabulary vocabulary =
        mote::host::read_sentencepiece_model(rest, "tokenizer.model");
    // What a reader delivers, the device opens.
    static_cast<void>(mote::host::build_tokenizer_section(vocabulary));
  });
  return 0;
}
