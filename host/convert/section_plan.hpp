// SPDX-License-Identifier: Apache-2.0
// Which sections an image of a checkpoint has, before any weight is read.
#pragma once

#include <cstdint>
#include <vector>

#include "convert/checkpoint.hpp"
#include "convert/convert.hpp"
#include "mote/image.hpp"

namespace mote::host {

/// A section to write: either its bytes are ready or they come from a tensor.
struct PlannedSection {
  Section section;
  std::vector<std::uint8_t> bytes;
  TensorName tensor{};
  std::uint32_t tensor_layer = 0;
};

/// All sections in the order of the table, with all that is known of them beforehand: everything
/// but offset, checksum and exponent.
std::vector<PlannedSection> plan_sections(const Checkpoint& checkpoint, const ModelConfig& config,
                                          const Vocabulary& vocabulary,
                                          const ConvertOptions& options);

}  // namespace mote::host
