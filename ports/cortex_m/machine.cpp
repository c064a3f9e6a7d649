// SPDX-License-Identifier: Apache-2.0
#include "cortex_m/machine.hpp"

#include <cstdint>

#include "board_map.hpp"
#include "common/registers.hpp"
#include "firmware/board.hpp"

namespace mote::port {
namespace {

constexpr std::uint32_t kSysTickControl = 0xe000e010;
constexpr std::uint32_t kSysTickReload = 0xe000e014;
constexpr std::uint32_t kSysTickValue = 0xe000e018;
constexpr std::uint32_t kInterruptEnable = 0xe000e100;
constexpr std::uint32_t kInterruptClearPending = 0xe000e280;
constexpr std::uint32_t kInterruptControl = 0xe000ed04;
constexpr std::uint32_t kClearSysTick = 1U << 25;
constexpr std::uint32_t kCountWithInterrupt = 7;

constexpr std::uint32_t kSleepTicks = kClockHz / 250;

}  // namespace

void enable_interrupt(std::uint32_t line) {
  word_at(kInterruptEnable + line / 32 * 4) = 1U << line % 32;
}

void clear_interrupt(std::uint32_t line) {
  word_at(kInterruptClearPending + line / 32 * 4) = 1U << line % 32;
}

}  // namespace mote::port

namespace mote::board {

void sleep() {
  using namespace port;
  word_at(kSysTickReload) = kSleepTicks;
  word_at(kSysTickValue) = 0;
  word_at(kSysTickControl) = kCountWithInterrupt;
  asm volatile("dsb\n wfi" ::: "memory");
  word_at(kSysTickControl) = 0;
  word_at(kInterruptControl) = kClearSysTick;
}

// Semihosting's SYS_EXIT_EXTENDED.
void exit(int status) {
  const std::uint32_t block[2] = {0x20026, static_cast<std::uint32_t>(status)};
  register std::uint32_t r0 asm("r0") = 0x20;
  register const void* r1 asm("r1") = block;
  asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  for (;;) asm volatile("wfi");
}

}  // namespace mote::board
