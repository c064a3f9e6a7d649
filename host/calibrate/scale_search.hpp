// SPDX-License-Identifier: Apache-2.0
// Scales for weights of which some matter more than others.
#pragma once

#include <span>

#include "mote/scale.hpp"

namespace mote::host {

/// The scale of least sum of importance * error^2 for one int4 block, from a search over scales
/// that clip its ends. 0 where all weights are zero.
///   weights (n), importance (n) >= 0
double search_int4_scale(std::span<const double> weights, std::span<const double> importance);

/// The same for a row of int8, in units of 2^exponent.
Scale16 search_int8_scale(std::span<const double> weights, std::span<const double> importance,
                          int exponent);

}  // namespace mote::host
