// SPDX-License-Identifier: Apache-2.0
// What every checkpoint has in common: the ranges that an image allows and the tensors' extents.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "convert/checkpoint.hpp"

namespace mote::host {

/// Refuses `value` outside low..high. The message reads "<where>: <field> is 7, must be 1 to 4".
void check_range(std::string_view where, std::string_view field, std::int64_t value,
                 std::int64_t low, std::int64_t high);

/// What may divide a RoPE frequency; more than 2^32 / 2 pi units would be no frequency.
inline constexpr double kMinRopeFactor = 0.25;
inline constexpr double kMaxRopeFactor = 0x1p20;

/// Refuses a shape that no image can have (SPEC.md, "Config"). `where` begins the message: the
/// path of the file. After this every product of two fields fits 64 bits.
void check_shape(std::string_view where, const CheckpointShape& shape);

struct TensorExtent {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;

  std::uint64_t size() const { return rows * columns; }
};
/// Rows and columns of `tensor`; of one layer where the tensor belongs to a layer.
TensorExtent tensor_extent(const CheckpointShape& shape, TensorName tensor);

/// False for the three tensors of the whole model.
bool belongs_to_layer(TensorName tensor);
/// True for the three kinds of gains.
bool is_norm(TensorName tensor);

/// True for bq, bk, bv and bo.
bool is_bias(TensorName tensor);
/// False for the classifier and the biases of a shape that says it has none.
bool has_tensor(const CheckpointShape& shape, TensorName tensor);

/// For people: "layers.0.wq", "token_embedding".
std::string tensor_label(TensorName tensor, std::uint32_t layer);

}  // namespace mote::host
