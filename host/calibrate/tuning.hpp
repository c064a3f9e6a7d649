// SPDX-License-Identifier: Apache-2.0
// Rounded matrices improved against the answers of the whole model.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "calibrate/calibration_text.hpp"
#include "calibrate/float_model.hpp"
#include "convert/convert.hpp"
#include "convert/section_plan.hpp"

namespace mote::host {

/// Mean divergences of the held-out passages from the exact model, nats a token.
struct TuningReport {
  double before = 0;
  double after = 0;
};

/// The weights that `matrices` stand for, as those of `model`, whose shapes are theirs.
void set_rounded(FloatModel& model, const RoundedMatrices& matrices,
                 const std::vector<PlannedSection>& plan);

/// Moves the integers and block factors of `matrices` so that the model's distributions come closer
/// to those of `exact`, the unrounded weights: gradient descent on the divergence over a text and
/// over what the model has written itself, by the rules of TunedMatrix and Lessons. What did best
/// on the held-out part of the text is kept, so that the result is no worse there than what came
/// in. `progress` is called with steps done and in all.
TuningReport tune_matrices(RoundedMatrices& matrices, const FloatModel& exact,
                           const std::vector<PlannedSection>& plan, const CalibrationText& text,
                           const CalibrationText& written, std::uint32_t steps,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace mote::host
