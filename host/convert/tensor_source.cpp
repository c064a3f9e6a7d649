// SPDX-License-Identifier: Apache-2.0
#include "convert/tensor_source.hpp"

#include <optional>
#include <utility>
#include <vector>

#include "convert/checkpoint_shape.hpp"

namespace mote::host {
namespace {

/// The norm whose gains the columns of a tensor take in (SPEC.md, "Gains and
/// frequencies").
std::optional<TensorName> norm_before(TensorName tensor) {
  switch (tensor) {
    case TensorName::wq:
    case TensorName::wk:
    case TensorName::wv:
      return TensorName::attention_norm;
    case TensorName::w_gate:
    case TensorName::w_up:
      return TensorName::ffn_norm;
    default:
      return std::nullopt;
  }
}

/// (columns), empty where the tensor follows no norm.
std::vector<float> read_gains(const Checkpoint& checkpoint, const PlannedSection& planned) {
  const std::optional<TensorName> norm = norm_before(planned.tensor);
  if (!norm) return {};
  std::vector<float> gains(planned.section.columns);
  checkpoint.read_row(gains, *norm, planned.tensor_layer, 0);
  return gains;
}

}  // namespace

TensorSource make_source(const Checkpoint& checkpoint, const PlannedSection& planned) {
  TensorSource source;
  source.label = tensor_label(planned.tensor, planned.tensor_layer);
  const TensorExtent extent = tensor_extent(checkpoint.shape(), planned.tensor);
  source.rows = static_cast<std::uint32_t>(extent.rows);
  source.columns = static_cast<std::uint32_t>(extent.columns);
  source.read_row = [&checkpoint, &planned, gains = read_gains(checkpoint, planned)](
                        std::span<float> out, std::uint32_t row) {
    checkpoint.read_row(out, planned.tensor, planned.tensor_layer, row);
    for (std::size_t i = 0; i < gains.size(); ++i) out[i] *= gains[i];
  };
  return source;
}

}  // namespace mote::host
