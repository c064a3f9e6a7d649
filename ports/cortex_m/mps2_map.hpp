// SPDX-License-Identifier: Apache-2.0
// Addresses that the MPS2 images AN385, AN386 and AN500 share: they differ in the processor alone.
#pragma once

#include <cstdint>

namespace mote::port {

inline constexpr std::uint32_t kClockHz = 25000000;
inline constexpr std::uint32_t kTimer = 0x40000000;
inline constexpr std::uint32_t kBoardCounters = 0x40028000;

/// The console, then the links.
inline constexpr std::uint32_t kUarts[5] = {0x40004000, 0x40005000, 0x40006000, 0x40007000,
                                            0x40009000};
inline constexpr std::uint32_t kUartInterrupts[5] = {0, 2, 4, 18, 20};

/// Under -icount shift=6 an instruction takes 64 ns.
inline constexpr std::uint64_t kInstructionsOfTicks = 5;
inline constexpr std::uint64_t kTicksOfInstructions = 8;

}  // namespace mote::port

#define MOTE_COUNTED_LOOP "1: subs %0, %0, #1\n bne 1b"
