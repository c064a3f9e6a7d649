// SPDX-License-Identifier: Apache-2.0
// The seat of Kconfig.
#include "firmware/board.hpp"
#include "sdkconfig.h"

namespace mote::board {
namespace {

#if CONFIG_MOTE_TOPOLOGY_BROADCAST
constexpr Topology kTopology = Topology::broadcast;
#elif CONFIG_MOTE_TOPOLOGY_STAR
constexpr Topology kTopology = Topology::star;
#else
constexpr Topology kTopology = Topology::ring;
#endif

}  // namespace

FixedSeat fixed_seat() {
  return {.topology = kTopology, .seats = CONFIG_MOTE_SEATS, .seat = CONFIG_MOTE_SEAT};
}

}  // namespace mote::board
