// SPDX-License-Identifier: Apache-2.0
// Addresses of QEMU's riscv32 machine `virt`.
#pragma once

#include <cstdint>

namespace mote::port {

inline constexpr std::uint32_t kClint = 0x02000000;
inline constexpr std::uint32_t kPlic = 0x0c000000;
inline constexpr std::uint32_t kTimeHz = 10000000;
inline constexpr std::uint32_t kTestDevice = 0x00100000;

inline constexpr std::uint32_t kConsole = 0x10000000;  // 16550
inline constexpr std::uint8_t kConsoleInterrupt = 10;

/// Links are PCI serial cards in slots 1 to 4.
inline constexpr std::uint32_t kPciConfiguration = 0x30000000;
inline constexpr std::uint32_t kPciPorts = 0x03000000;
inline constexpr std::uint32_t kMaxLinks = 4;
inline constexpr std::uint8_t kFirstPciInterrupt = 32;

/// minstret under -icount shift=0.
inline constexpr std::uint64_t kInstructionsOfTicks = 1;
inline constexpr std::uint64_t kTicksOfInstructions = 1;

}  // namespace mote::port

#define MOTE_COUNTED_LOOP "1: addi %0, %0, -1\n bnez %0, 1b"
