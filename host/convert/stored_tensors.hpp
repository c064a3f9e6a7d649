// SPDX-License-Identifier: Apache-2.0
// The tensors of a model where they lie in mapped files: what readers of formats with named tensors
// have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convert/checkpoint.hpp"
#include "gguf/gguf_blocks.hpp"

namespace mote::host {

/// Which lanes of a head RoPE turns together.
enum class RopeOrder : std::uint8_t {
  interleaved,  // 2i and 2i + 1
  halves,       // i and i + head_size / 2
};

/// A tensor of the model; `layer` is 0 where it belongs to none.
struct TensorPlaceName {
  TensorName tensor{};
  std::uint32_t layer = 0;
};

/// How a file calls a tensor: of a layer, what stands behind the layer's number.
struct TensorSpelling {
  std::string_view text;
  TensorName tensor{};
};

/// Finds `name` among `model` (whole names) and, after `layer_prefix` and a number, among `layer`.
/// Empty where it is none of them.
std::optional<TensorPlaceName> parse_tensor_name(std::string_view name,
                                                 std::span<const TensorSpelling> model,
                                                 std::string_view layer_prefix,
                                                 std::span<const TensorSpelling> layer);

/// A matrix or vector in a file, row after row.
struct StoredTensor {
  GgufType type{};
  std::uint64_t rows = 0;  // 1 for a vector
  std::uint64_t columns = 0;
  std::span<const std::uint8_t> bytes;  // of all rows
};

class StoredTensors {
 public:
  /// `path` begins messages.
  StoredTensors(const CheckpointShape& shape, RopeOrder order, std::string path);

  /// Throws `Error` that names `label`, the file's own name of the tensor, where the layer or the
  /// extents differ from the shape's, or the tensor was there before.
  void place(const TensorPlaceName& name, std::string_view label, const StoredTensor& stored);
  /// Throws `Error` where a tensor that the shape needs is missing.
  void require_all() const;

  /// As Checkpoint::read_row.
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const;

 private:
  const StoredTensor& at(TensorName tensor, std::uint32_t layer) const;
  void reorder_bias(std::span<float> out) const;

  CheckpointShape shape_;
  RopeOrder order_;
  std::string path_;
  std::vector<StoredTensor> tensors_;  // (n_layers, kTensorNameCount); no bytes: absent
};

}  // namespace mote::host
