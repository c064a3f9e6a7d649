// SPDX-License-Identifier: Apache-2.0
// What one token costs a cluster: work before each exchange, then the exchange.
#pragma once

#include <span>

#include "mote/image.hpp"
#include "plan/plan.hpp"

namespace mote::host {

/// Fills in `plan.token`, `plan.exchanges`, and work and traffic of `plan.chips`; all else of
/// `plan` is there. Work and wire do not overlap, and each exchange waits for the slowest chip.
///   slices  (chips)
void plan_token(Plan& plan, const Image& image, std::span<const Slice> slices);

}  // namespace mote::host
