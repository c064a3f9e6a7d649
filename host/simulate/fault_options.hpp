// SPDX-License-Identifier: Apache-2.0
// Faults as the command line has them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "simulate/fault_plan.hpp"

namespace mote::host {

/// What goes wrong in a run: a rate of frames for the first five kinds, else how often.
struct FaultRequest {
  FaultRates rates;
  std::array<std::uint32_t, kFaultKinds> times{};

  bool any() const;
};

/// "drop=0.01,corrupt=0.001,reset=2". Throws `Error`.
FaultRequest parse_faults(const std::string& text);

/// Draws chips and times within `within_ns`. What lasts takes up to `longest_ns`, then passes.
FaultPlan draw_plan(const FaultRequest& request, std::uint32_t seats, std::uint64_t within_ns,
                    std::uint64_t longest_ns, std::uint64_t seed);

}  // namespace mote::host
