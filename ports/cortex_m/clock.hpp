// SPDX-License-Identifier: Apache-2.0
// A counter at the processor's clock, kClockHz of board_map.hpp.
#pragma once

#include <cstdint>

namespace mote::port {

void start_clock();
/// Ticks since start_clock.
std::uint64_t read_clock();

}  // namespace mote::port
