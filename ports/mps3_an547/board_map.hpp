// SPDX-License-Identifier: Apache-2.0
// Addresses of the MPS3 board with image AN547 (Cortex-M55), as secure code sees them.
#pragma once

#include <cstdint>

namespace mote::port {

inline constexpr std::uint32_t kClockHz = 32000000;
inline constexpr std::uint32_t kCounterControl = 0x58100000;
inline constexpr std::uint32_t kCounterStatus = 0x48101000;

/// The console, then the links.
inline constexpr std::uint32_t kUarts[5] = {0x49303000, 0x49304000, 0x49305000, 0x49306000,
                                            0x49307000};
inline constexpr std::uint32_t kUartInterrupts[5] = {33, 35, 37, 39, 41};

/// Under -icount shift=6 an instruction takes 64 ns.
inline constexpr std::uint64_t kInstructionsOfTicks = 125;
inline constexpr std::uint64_t kTicksOfInstructions = 256;

}  // namespace mote::port

#define MOTE_COUNTED_LOOP "1: subs %0, %0, #1\n bne 1b"
