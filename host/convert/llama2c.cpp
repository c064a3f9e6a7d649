// SPDX-License-Identifier: Apache-2.0
#include "convert/llama2c.hpp"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "convert/checkpoint_shape.hpp"

namespace mote::host {
namespace {

/// A request outside the shape is a fault of the caller, not of the file.
void require_valid_request(const CheckpointShape& shape, TensorName tensor, std::uint32_t layer,
                           std::uint32_t row, std::size_t columns) {
  const TensorExtent extent = tensor_extent(shape, tensor);
  const std::uint32_t layers = belongs_to_layer(tensor) ? shape.n_layers : 1;
  const bool present = tensor != TensorName::classifier || shape.has_classifier;
  if (present && layer < layers && row < extent.rows && columns == extent.columns) return;
  throw std::logic_error("read_row outside " + tensor_label(tensor, layer));
}

/// values * scales of one group each; `first` is the index of out[0] in the tensor.
void read_groups(std::span<float> out, const std::uint8_t* values, const std::uint8_t* scales,
                 std::uint64_t first, std::uint32_t group_size) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint64_t index = first + i;
    float scale = 0;
    std::memcpy(&scale, scales + index / group_size * sizeof scale, sizeof scale);
    out[i] = static_cast<float>(static_cast<std::int8_t>(values[index])) * scale;
  }
}

}  // namespace

std::string Llama2cCheckpoint::format() const {
  switch (layout_.version) {
    case Llama2cVersion::legacy:
      return "llama2.c, legacy, fp32";
    case Llama2cVersion::version1:
      return "llama2.c, version 1, fp32";
    case Llama2cVersion::version2:
      break;
  }
  return fmt::format("llama2.c, version 2, int8 in groups of {}", layout_.group_size);
}

void Llama2cCheckpoint::read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                                 std::uint32_t row) const {
  require_valid_request(layout_.shape, tensor, layer, row, out.size());
  const TensorPlace& place = layout_.places.at(static_cast<std::size_t>(tensor));
  const std::uint8_t* data = bytes_.data() + place.offset + layer * place.stride_bytes;
  const std::uint64_t first = std::uint64_t{row} * out.size();
  if (layout_.group_size == 0 || is_norm(tensor)) {
    std::memcpy(out.data(), data + first * sizeof(float), out.size_bytes());
    return;
  }
  const std::uint64_t size = tensor_extent(layout_.shape, tensor).size();
  read_groups(out, data, data + size, first, layout_.group_size);
}

}  // namespace mote::host
