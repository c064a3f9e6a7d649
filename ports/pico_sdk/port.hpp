// SPDX-License-Identifier: Apache-2.0
// What the files of this port share.
#pragma once

#include <cstdint>

namespace mote::pico {

/// Cycles of the core that calls; 24 bits or more count.
void open_cycles();
std::uint32_t read_cycles();

void open_board();
void open_links();

}  // namespace mote::pico
