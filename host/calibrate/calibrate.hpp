// SPDX-License-Identifier: Apache-2.0
// Rounding that knows what a model meets: error-compensated rounding of all matrices, one after
// another.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "calibrate/calibration_text.hpp"
#include "calibrate/matrix_rounder.hpp"
#include "convert/checkpoint.hpp"
#include "convert/convert.hpp"
#include "convert/section_plan.hpp"

namespace mote::host {

/// The matrices of a plan and what their rounding did.
struct CalibratedMatrices {
  RoundedMatrices matrices;
  std::map<SectionName, ProductError> errors;
};

/// What the matrices after a rounded one see of it.
enum class ErrorsBefore : std::uint8_t {
  seen,    // each is rounded to make up for those before it
  hidden,  // each is rounded as if it were the only one
};

/// Rounds every matrix of `plan` to the format that stands there. `reference` is the image of the
/// same checkpoint in int8. The embedding comes first, then layer by layer the matrices in the
/// order in which a token meets them, each against what the engine computes with all before it
/// rounded, or with none. `progress` is called with matrices done and in all. Throws `Error` that
/// names the matrix where one has too many columns for its Hessian.
CalibratedMatrices calibrate_matrices(
    const Checkpoint& checkpoint, const Image& reference, const std::vector<PlannedSection>& plan,
    const CalibrationText& text, ErrorsBefore errors_before,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace mote::host
