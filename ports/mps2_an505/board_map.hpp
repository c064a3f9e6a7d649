// SPDX-License-Identifier: Apache-2.0
// Addresses of the MPS2 board with image AN505 (Cortex-M33), as secure code sees them.
#pragma once

#include <cstdint>

namespace mote::port {

inline constexpr std::uint32_t kClockHz = 20000000;
inline constexpr std::uint32_t kTimer = 0x50000000;
inline constexpr std::uint32_t kBoardCounters = 0x50302000;

/// The console, then the links.
inline constexpr std::uint32_t kUarts[5] = {0x50200000, 0x50201000, 0x50202000, 0x50203000,
                                            0x50204000};
inline constexpr std::uint32_t kUartInterrupts[5] = {32, 34, 36, 38, 40};

/// Under -icount shift=6 an instruction takes 64 ns.
inline constexpr std::uint64_t kInstructionsOfTicks = 25;
inline constexpr std::uint64_t kTicksOfInstructions = 32;

}  // namespace mote::port

#define MOTE_COUNTED_LOOP "1: subs %0, %0, #1\n bne 1b"
