// SPDX-License-Identifier: Apache-2.0
#include "convert/stored_tensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "convert/checkpoint_shape.hpp"
#include "convert/printable.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

std::optional<TensorName> find_spelling(std::span<const TensorSpelling> spellings,
                                        std::string_view text) {
  const auto found =
      std::find_if(spellings.begin(), spellings.end(),
                   [&](const TensorSpelling& spelling) { return spelling.text == text; });
  if (found == spellings.end()) return {};
  return found->tensor;
}

bool is_turned(TensorName tensor) {
  return tensor == TensorName::wq || tensor == TensorName::wk || tensor == TensorName::bq ||
         tensor == TensorName::bk;
}

/// Where a file in the order of halves keeps what belongs to `row` of the interleaved order.
std::uint32_t row_in_halves(std::uint32_t row, std::uint32_t head_size) {
  const std::uint32_t lane = row % head_size;
  return row - lane + lane / 2 + (lane % 2 == 0 ? 0 : head_size / 2);
}

}  // namespace

std::optional<TensorPlaceName> parse_tensor_name(std::string_view name,
                                                 std::span<const TensorSpelling> model,
                                                 std::string_view layer_prefix,
                                                 std::span<const TensorSpelling> layer) {
  if (const auto tensor = find_spelling(model, name)) return TensorPlaceName{*tensor, 0};
  if (!name.starts_with(layer_prefix)) return {};
  name.remove_prefix(layer_prefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const auto digits = static_cast<std::size_t>(end - name.data());
  // Of "007" and "7" only one can be meant.
  if (error != std::errc() || (digits > 1 && name.front() == '0')) return {};
  name.remove_prefix(digits);
  const auto tensor = find_spelling(layer, name);
  if (!tensor) return {};
  return TensorPlaceName{*tensor, number};
}

StoredTensors::StoredTensors(const CheckpointShape& shape, RopeOrder order, std::string path)
    : shape_(shape),
      order_(order),
      path_(std::move(path)),
      tensors_(std::size_t{shape.n_layers} * kTensorNameCount) {}

const StoredTensor& StoredTensors::at(TensorName tensor, std::uint32_t layer) const {
  return tensors_.at(layer * kTensorNameCount + static_cast<std::size_t>(tensor));
}

void StoredTensors::place(const TensorPlaceName& name, std::string_view label,
                          const StoredTensor& stored) {
  const std::string shown = printable(label);
  const std::uint32_t layers = belongs_to_layer(name.tensor) ? shape_.n_layers : 1;
  if (name.layer >= layers) {
    throw Error(fmt::format("{}: {}: the model has layers 0 to {}", path_, shown, layers - 1));
  }
  if (!has_tensor(shape_, name.tensor)) {
    throw Error(fmt::format("{}: {} is there, but not in every layer", path_, shown));
  }
  const TensorExtent extent = tensor_extent(shape_, name.tensor);
  if (stored.rows != extent.rows || stored.columns != extent.columns) {
    throw Error(fmt::format("{}: {} is {} x {}, must be {} x {}", path_, shown, stored.rows,
                            stored.columns, extent.rows, extent.columns));
  }
  StoredTensor& place =
      tensors_.at(name.layer * kTensorNameCount + static_cast<std::size_t>(name.tensor));
  if (!place.bytes.empty()) throw Error(fmt::format("{}: {} occurs twice", path_, shown));
  place = stored;
}

void StoredTensors::require_all() const {
  for (std::size_t index = 0; index < kTensorNameCount; ++index) {
    const auto tensor = static_cast<TensorName>(index);
    if (!has_tensor(shape_, tensor)) continue;
    const std::uint32_t layers = belongs_to_layer(tensor) ? shape_.n_layers : 1;
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      if (!at(tensor, layer).bytes.empty()) continue;
      throw Error(fmt::format("{}: the tensor {} is missing", path_, tensor_label(tensor, layer)));
    }
  }
}

void StoredTensors::reorder_bias(std::span<float> out) const {
  const std::vector<float> halves(out.begin(), out.end());
  for (std::uint32_t i = 0; i < halves.size(); ++i) {
    out[i] = halves[row_in_halves(i, shape_.head_size)];
  }
}

void StoredTensors::read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                             std::uint32_t row) const {
  const StoredTensor& stored = at(tensor, layer);
  if (stored.bytes.empty() || row >= stored.rows || out.size() != stored.columns) {
    throw std::logic_error("read_row outside " + tensor_label(tensor, layer));
  }
  const bool reorders = order_ == RopeOrder::halves && is_turned(tensor);
  if (reorders && !is_bias(tensor)) row = row_in_halves(row, shape_.head_size);
  const std::size_t row_bytes = stored.bytes.size() / static_cast<std::size_t>(stored.rows);
  read_gguf_blocks(out, stored.bytes.subspan(row * row_bytes, row_bytes), stored.type);
  if (reorders && is_bias(tensor)) reorder_bias(out);
}

}  // namespace mote::host
