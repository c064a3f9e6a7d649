// SPDX-License-Identifier: Apache-2.0
// Work in instructions, where an emulator makes the board's counter depend on them alone, and in
// ticks of the counter elsewhere.
#pragma once

#include <cstdint>

namespace mote::port {

/// The board's counter as it stands.
std::uint64_t read_work_counter();

/// Finds out what the counter counts; called once, before the program.
void start_work_counter();

}  // namespace mote::port
