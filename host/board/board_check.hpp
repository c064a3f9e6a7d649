// SPDX-License-Identifier: Apache-2.0
// Whether boards did what this computer does, and took what the plan says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "board/board_run.hpp"
#include "plan/plan.hpp"

namespace mote::host {

/// The tokens that one chip on this computer draws, with the context that the boards had.
std::vector<std::uint32_t> expected_tokens(const BoardRun& run, const BoardQuestion& question,
                                           const BoardAnswer& answer);

/// The plan of the chips that answered.
Plan plan_of(const BoardRun& run, const BoardQuestion& question, const BoardAnswer& answer);

/// Sentences, one for each thing that differs: tokens from this computer's; of each chip the image,
/// its weights and the arena from the plan's, to the byte. Empty where all is equal.
std::vector<std::string> find_differences(const BoardRun& run, const BoardQuestion& question,
                                          const BoardAnswer& answer);

}  // namespace mote::host
