// SPDX-License-Identifier: Apache-2.0
// QEMU's Xtensa machine `sim`.
#pragma once

#include <cstdint>

namespace mote::port {

inline constexpr std::uint32_t kClockHz = 40000000;

/// Under -icount shift=5 an instruction takes 32 ns.
inline constexpr std::uint64_t kInstructionsOfTicks = 25;
inline constexpr std::uint64_t kTicksOfInstructions = 32;

}  // namespace mote::port

#define MOTE_COUNTED_LOOP "1: addi %0, %0, -1\n bnez %0, 1b"
