// SPDX-License-Identifier: Apache-2.0
// Whether a reader delivers every weight of a model that a test wrote.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "support/named_model.hpp"

namespace mote::test {

/// Vectors must be exact, matrices within `tolerance`.
inline void expect_weights(const NamedModel& model, const host::Checkpoint& checkpoint,
                           double tolerance) {
  for (std::size_t index = 0; index < host::kTensorNameCount; ++index) {
    const auto tensor = static_cast<host::TensorName>(index);
    if (!host::has_tensor(model.shape, tensor)) continue;
    const host::TensorExtent extent = host::tensor_extent(checkpoint.shape(), tensor);
    const std::uint32_t layers = host::belongs_to_layer(tensor) ? model.shape.n_layers : 1;
    const double allowed = extent.rows == 1 ? 0 : tolerance;
    std::vector<float> row(extent.columns);
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      for (std::uint32_t r = 0; r < extent.rows; ++r) {
        checkpoint.read_row(row, tensor, layer, r);
        for (std::uint64_t c = 0; c < extent.columns; ++c) {
          ASSERT_NEAR(row[c], named_weight(model, tensor, layer, r, c), allowed)
              << host::tensor_label(tensor, layer) << " " << r << " " << c;
        }
      }
    }
  }
}

}  // namespace mote::test
