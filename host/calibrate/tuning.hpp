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
/// to those of `exact`, the unrounded weights: gradient descent on the divergence over the text,
/// rounding taken for the identity on the way back (Bengio, Leonard and Courville, 2013), with the
/// step of each number in units of its own scale (Adam; Kingma and Ba, 2015). The text is read
/// `passes` times, one passage in eight held out: what did best on those is kept, so that the
/// result is no worse there than what came in. `progress` is called with tokens done and in all.
TuningReport tune_matrices(RoundedMatrices& matrices, const FloatModel& exact,
                           const std::vector<PlannedSection>& plan, const CalibrationText& text,
                           std::uint32_t passes,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace mote::host
