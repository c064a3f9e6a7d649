// SPDX-License-Identifier: Apache-2.0
// A simulated answer as text for people and as JSON for programs.
#pragma once

#include <string>

#include "simulate/speed.hpp"

namespace mote::host {

/// `name` is what the model is called.
std::string format_speed_text(const SpeedResult& result, const SpeedOptions& options,
                              const std::string& name);
std::string format_speed_json(const SpeedResult& result, const SpeedOptions& options,
                              const std::string& name);

}  // namespace mote::host
