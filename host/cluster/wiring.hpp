// SPDX-License-Identifier: Apache-2.0
// Which port hears which: the wires of a topology.
#pragma once

#include <cstdint>
#include <vector>

#include "mote/all_gather.hpp"

namespace mote::host {

struct PortAddress {
  std::uint32_t seat = 0;
  std::uint32_t port = 0;
};

/// The ports at which a frame arrives that `from` sends: one, or on a shared medium all others.
std::vector<PortAddress> receivers_of(Topology topology, std::uint32_t seats, std::uint32_t hub,
                                      PortAddress from);

}  // namespace mote::host
