// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes are, the reader of llama2.c files refuses them with `Error` or delivers rows.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "convert/llama2c.hpp"
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const mote::host::Llama2cCheckpoint checkpoint({data, size}, "fuzz");
    const mote::host::CheckpointShape& shape = checkpoint.shape();
    for (int index = 0; index < 12; ++index) {
      const auto tensor = static_cast<TensorName>(index);
      if (tensor == TensorName::classifier && !shape.has_classifier) continue;
      read_rows(checkpoint, tensor, 0);
      if (mote::host::belongs_to_layer(tensor)) read_rows(checkpoint, tensor, shape.n_layers - 1);
    }
  } catch (const mote::host::Error&) {
    return 0;  // refused
  }
  return 0;
}
