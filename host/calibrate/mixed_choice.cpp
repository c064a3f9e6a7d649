// SPDX-License-Identifier: Apache-2.0
#include "calibrate/mixed_choice.hpp"

#include <algorithm>
#include <cstddef>

namespace mote::host {
namespace {

constexpr std::uint64_t kMostUnits = 1 << 16;

}  // namespace

std::vector<bool> choose_upgrades(std::span<const Upgrade> upgrades, std::uint64_t bytes) {
  const std::uint64_t unit = std::max<std::uint64_t>(1, (bytes + kMostUnits - 1) / kMostUnits);
  const std::size_t room = static_cast<std::size_t>(bytes / unit);
  // Of each room up to `room`: the most gain of the upgrades so far, and whether the last is in it.
  std::vector<double> most(room + 1, 0.0);
  std::vector<std::vector<bool>> taken;
  for (const Upgrade& upgrade : upgrades) {
    taken.emplace_back(room + 1, false);
    const std::uint64_t size = (upgrade.bytes + unit - 1) / unit;
    if (size > room || !(upgrade.gain > 0)) continue;
    for (std::size_t r = room; r + 1 > size; --r) {
      const double with = most[r - size] + upgrade.gain;
      if (!(with > most[r])) continue;
      most[r] = with;
      taken.back()[r] = true;
    }
  }
  std::vector<bool> chosen(upgrades.size(), false);
  std::size_t left = room;
  for (std::size_t i = upgrades.size(); i-- > 0;) {
    if (!taken[i][left]) continue;
    chosen[i] = true;
    left -= static_cast<std::size_t>((upgrades[i].bytes + unit - 1) / unit);
  }
  return chosen;
}

}  // namespace mote::host
