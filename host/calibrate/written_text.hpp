// SPDX-License-Identifier: Apache-2.0
// Text that a model writes for its own calibration.
#pragma once

#include <cstdint>
#include <functional>

#include "calibrate/calibration_text.hpp"
#include "mote/image.hpp"
#include "mote/tokenizer.hpp"

namespace mote::host {

/// At least `tokens` tokens drawn by the engine from `image` with temperature 1 and a fixed seed:
/// the same on every machine. Each passage begins with the first token of one of `text`, in turn,
/// and has as many tokens as that one, or fewer where the model ends it or begins anew.
CalibrationText write_text(const Image& image, const Tokenizer& tokenizer,
                           const CalibrationText& text, std::uint64_t tokens,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace mote::host
