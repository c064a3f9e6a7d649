// SPDX-License-Identifier: Apache-2.0
#include "plan/cost_card.hpp"

#include <algorithm>

namespace mote::host {
namespace {

GatherCost nothing(std::size_t chips) {
  GatherCost cost;
  cost.chips.resize(chips);
  return cost;
}

void send(Traffic& chip, const ShareSize& share) {
  chip.messages += share.messages;
  chip.wire_bytes += share.wire_bytes();
}

std::uint64_t total_payload(std::span<const ShareSize> shares) {
  std::uint64_t total = 0;
  for (const ShareSize& share : shares) total += share.payload_bytes;
  return total;
}

}  // namespace

GatherCost ring_cost(std::span<const ShareSize> shares, const LinkCard& link) {
  const std::size_t n = shares.size();
  GatherCost cost = nothing(n);
  if (n < 2) return cost;
  const std::size_t forward = n / 2;
  const std::size_t backward = n - 1 - forward;
  cost.steps = static_cast<std::uint32_t>(forward);
  double step_us = 0;
  for (const ShareSize& share : shares) step_us = std::max(step_us, share.time_us(link));
  cost.time_us = step_us * cost.steps;
  const std::uint64_t payload = total_payload(shares);
  for (std::size_t chip = 0; chip < n; ++chip) {
    for (std::size_t i = 0; i < forward; ++i) send(cost.chips[chip], shares[(chip + n - i) % n]);
    for (std::size_t i = 0; i < backward; ++i) send(cost.chips[chip], shares[(chip + i) % n]);
    // Forward come the shares of `chip` and those before it, backward those behind it: all but one.
    const std::size_t missing = (chip + backward + 1) % n;
    cost.link_payload_bytes.push_back(payload - shares[missing].payload_bytes);
  }
  return cost;
}

GatherCost star_cost(std::span<const ShareSize> shares, const LinkCard& link) {
  const std::size_t n = shares.size();
  GatherCost cost = nothing(n);
  if (n < 2) return cost;
  cost.steps = static_cast<std::uint32_t>(n);
  double up_us = 0;
  double down_us = 0;
  for (std::size_t leaf = 1; leaf < n; ++leaf) {
    send(cost.chips[leaf], shares[leaf]);
    up_us = std::max(up_us, shares[leaf].time_us(link));
    double leaf_us = 0;
    for (std::size_t other = 0; other < n; ++other) {
      if (other == leaf) continue;
      send(cost.chips[0], shares[other]);
      leaf_us += shares[other].time_us(link);
    }
    down_us = std::max(down_us, leaf_us);
    cost.link_payload_bytes.push_back(total_payload(shares));
  }
  cost.time_us = up_us + down_us;
  return cost;
}

GatherCost broadcast_cost(std::span<const ShareSize> shares, const LinkCard& link) {
  const std::size_t n = shares.size();
  GatherCost cost = nothing(n);
  if (n < 2) return cost;
  cost.steps = static_cast<std::uint32_t>(n);
  for (std::size_t chip = 0; chip < n; ++chip) {
    send(cost.chips[chip], shares[chip]);
    cost.time_us += shares[chip].time_us(link);
  }
  cost.link_payload_bytes.push_back(total_payload(shares));
  return cost;
}

GatherCost gather_cost(Topology topology, std::span<const ShareSize> shares, const LinkCard& link) {
  switch (topology) {
    case Topology::ring:
      return ring_cost(shares, link);
    case Topology::star:
      return star_cost(shares, link);
    case Topology::broadcast:
      break;
  }
  return broadcast_cost(shares, link);
}

}  // namespace mote::host
