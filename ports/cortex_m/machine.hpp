// SPDX-License-Identifier: Apache-2.0
// What the Cortex-M boards share beyond start-up.
#pragma once

#include <cstdint>

namespace mote::port {

/// A pending interrupt of an enabled line ends `wfi`; none is ever taken.
void enable_interrupt(std::uint32_t line);
void clear_interrupt(std::uint32_t line);

}  // namespace mote::port

extern "C" {
/// The board's devices; called before mote_main.
void mote_board_start();
[[noreturn]] void mote_start();
}
