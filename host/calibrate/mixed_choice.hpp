// SPDX-License-Identifier: Apache-2.0
// Which matrices of a model get int8 and which int4.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mote::host {

/// What int8 in the place of int4 would do for one matrix.
struct Upgrade {
  std::uint64_t bytes = 0;  // that the image grows by
  double gain = 0;          // that the loss falls by; below 0 counts as 0
};

/// The upgrades of most gain that together take at most `bytes`: the knapsack problem, solved
/// exactly but for sizes that are rounded up to 1/65536 of `bytes` where they are larger than that.
/// Of equal sets the one with the earlier upgrades left out. // returns (upgrades), true: int8
std::vector<bool> choose_upgrades(std::span<const Upgrade> upgrades, std::uint64_t bytes);

}  // namespace mote::host
