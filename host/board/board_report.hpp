// SPDX-License-Identifier: Apache-2.0
// An answer of virtual boards as a table for people and as JSON for programs.
#pragma once

#include <string>
#include <vector>

#include "board/board_run.hpp"
#include "plan/plan.hpp"

namespace mote::host {

struct BoardReport {
  const BoardRun& run;
  const BoardQuestion& question;
  const BoardAnswer& answer;
  const Plan& plan;
  bool is_checked = false;
  std::vector<std::string> differences;  // where it is checked
};

/// A line a chip, a line a wire, and what the answer cost.
std::string format_board_text(const BoardReport& report);
std::string format_board_json(const BoardReport& report);

}  // namespace mote::host
