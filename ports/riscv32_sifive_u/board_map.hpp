// SPDX-License-Identifier: Apache-2.0
// Addresses of QEMU's riscv32 machine `sifive_u`.
#pragma once

#include <cstdint>

namespace mote::port {

inline constexpr std::uint32_t kClint = 0x02000000;
inline constexpr std::uint32_t kPlic = 0x0c000000;
inline constexpr std::uint32_t kTimeHz = 1000000;

/// Both UARTs are links.
inline constexpr std::uint32_t kMaxLinks = 2;
inline constexpr std::uint32_t kLinks[kMaxLinks] = {0x10010000, 0x10011000};
inline constexpr std::uint8_t kLinkInterrupts[kMaxLinks] = {4, 5};

/// minstret under -icount shift=0.
inline constexpr std::uint64_t kInstructionsOfTicks = 1;
inline constexpr std::uint64_t kTicksOfInstructions = 1;

}  // namespace mote::port

#define MOTE_COUNTED_LOOP "1: addi %0, %0, -1\n bnez %0, 1b"
