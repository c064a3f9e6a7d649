// SPDX-License-Identifier: Apache-2.0
// int8 for the matrices that int4 costs most, within a budget.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "calibrate/calibrated_convert.hpp"
#include "calibrate/calibration_text.hpp"
#include "calibrate/float_model.hpp"
#include "convert/convert.hpp"
#include "convert/section_plan.hpp"

namespace mote::host {

/// Nats a token that a model in int4 gains where one matrix is int8.
using FormatGains = std::map<SectionName, double>;

/// Measures them on a part of the text: the divergence from `exact` of the model with all matrices
/// in int4, less that with one of them as `reference` has it, in int8.
FormatGains measure_gains(const FloatModel& exact, const Image& reference,
                          const RoundedMatrices& int4, const std::vector<PlannedSection>& plan,
                          const CalibrationText& text,
                          const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

/// Bits a weight of the matrices of `plan`: all bytes of their sections over all weights.
double bits_per_weight(const std::vector<PlannedSection>& plan);

/// Refuses a budget that `plan`, all int4, does not fit. Throws `Error` with the smallest.
void check_budget(const std::vector<PlannedSection>& plan, const MixedBudget& budget);

/// Turns those matrices of `plan`, all int4, to int8 that gain most within the budget.
void apply_choice(std::vector<PlannedSection>& plan, const FormatGains& gains,
                  const MixedBudget& budget);

}  // namespace mote::host
