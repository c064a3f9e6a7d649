// SPDX-License-Identifier: Apache-2.0
// `mote convert --calibrate`: the image of a checkpoint with calibrated matrices.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "convert/convert.hpp"

namespace mote::host {

/// How large an image with matrices of both formats may be: one of the two.
struct MixedBudget {
  std::optional<std::uint64_t> image_bytes;
  std::optional<double> bits_per_weight;  // as CalibrationSummary counts them
};

/// Steps of tuning that bring most of what there is to gain.
inline constexpr std::uint32_t kTuningSteps = 1000;

struct CalibrationOptions {
  std::string_view text;
  std::string text_name;  // for messages
  /// Steps of tuning; 0: none, which spares some 60 bytes of memory a weight.
  std::uint32_t steps = kTuningSteps;
  /// Tokens that the model writes itself for tuning, for each token of the text.
  double written_share = 2;
  /// Given: each matrix is int4 or int8, whatever ConvertOptions::weights says.
  std::optional<MixedBudget> budget = {};
};

/// What is under way ("calibrate"), how much of it is done and how much there is.
using CalibrationProgress =
    std::function<void(std::string_view stage, std::uint64_t done, std::uint64_t total)>;

/// As convert_checkpoint, its matrices calibrated. The image depends on the arguments alone, not on
/// the computer. Memory stays below twice the int8 image, the largest Hessian and tuning's part.
/// Throws `Error` as well where the text is too short or the budget too small.
ConvertReport convert_calibrated(const std::string& out_path, const Checkpoint& checkpoint,
                                 const Vocabulary& vocabulary, const ConvertOptions& options,
                                 const CalibrationOptions& calibration,
                                 const CalibrationProgress& progress = {});

}  // namespace mote::host
