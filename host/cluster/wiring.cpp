// SPDX-License-Identifier: Apache-2.0
#include "cluster/wiring.hpp"

namespace mote::host {

std::vector<PortAddress> receivers_of(Topology topology, std::uint32_t seats, std::uint32_t hub,
                                      PortAddress from) {
  if (topology == Topology::broadcast) {
    std::vector<PortAddress> all;
    for (std::uint32_t seat = 0; seat < seats; ++seat) {
      if (seat != from.seat) all.push_back({seat, 0});
    }
    return all;
  }
  const std::uint32_t to = Routes(topology, seats, from.seat, hub, 0).neighbour(from.port);
  if (topology == Topology::ring) return {{to, 1 - from.port}};
  // A leaf has one port; the hub's ports follow the seats of the leaves.
  return {{to, to != hub ? 0 : from.seat - (from.seat > hub ? 1 : 0)}};
}

}  // namespace mote::host
