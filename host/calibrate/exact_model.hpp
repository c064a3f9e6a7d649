// SPDX-License-Identifier: Apache-2.0
// The unrounded weights of a checkpoint as a float model.
#pragma once

#include <vector>

#include "calibrate/float_model.hpp"
#include "convert/checkpoint.hpp"
#include "convert/section_plan.hpp"

namespace mote::host {

/// `reference` is an image of the same checkpoint, whose shapes, attention, frequencies and final
/// gains the model takes; it outlives the model.
FloatModel load_exact_model(const Checkpoint& checkpoint, const Image& reference,
                            const std::vector<PlannedSection>& plan);

}  // namespace mote::host
