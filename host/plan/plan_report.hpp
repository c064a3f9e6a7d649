// SPDX-License-Identifier: Apache-2.0
// A plan as text for people and as JSON for programs.
#pragma once

#include <string>

#include "plan/plan.hpp"

namespace mote::host {

/// `path` names the image.
std::string format_plan_text(const Plan& plan, const std::string& path);
std::string format_plan_json(const Plan& plan, const std::string& path);

}  // namespace mote::host
