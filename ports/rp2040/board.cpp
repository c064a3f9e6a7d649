// SPDX-License-Identifier: Apache-2.0
// The RP2040 after its boot ROM: both UARTs are links with flow control, the console is a memory
// terminal.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/registers.hpp"
#include "cortex_m/machine.hpp"
#include "firmware/board.hpp"
#include "rp2040/terminal.hpp"

namespace mote::port {
namespace {

constexpr std::uint32_t kClockMhz = 125;
constexpr std::uint32_t kSleepUs = 4000;

constexpr std::uint32_t kTimer = 0x40054000;  // microseconds
constexpr std::uint32_t kTimeHigh = kTimer + 0x24;
constexpr std::uint32_t kTimeLow = kTimer + 0x28;
constexpr std::uint32_t kAlarm = kTimer + 0x10;
constexpr std::uint32_t kAlarmArmed = kTimer + 0x20;
constexpr std::uint32_t kAlarmRaised = kTimer + 0x34;
constexpr std::uint32_t kAlarmEnable = kTimer + 0x38;
constexpr std::uint32_t kAlarmLine = 0;

constexpr std::uint32_t kSysTickControl = 0xe000e010;
constexpr std::uint32_t kSysTickReload = 0xe000e014;
constexpr std::uint32_t kSysTickValue = 0xe000e018;
constexpr std::uint32_t kSysTickBits = 24;
constexpr std::uint32_t kInterruptEnable = 0xe000e100;
constexpr std::uint32_t kInterruptClearPending = 0xe000e280;

// PL011.
constexpr std::uint32_t kUarts[2] = {0x40034000, 0x40038000};
constexpr std::uint32_t kUartLines[2] = {20, 21};
constexpr std::uint32_t kData = 0x00;
constexpr std::uint32_t kFlags = 0x18;
constexpr std::uint32_t kDivisor = 0x24;
constexpr std::uint32_t kDivisorFraction = 0x28;
constexpr std::uint32_t kLineControl = 0x2c;
constexpr std::uint32_t kControl = 0x30;
constexpr std::uint32_t kInterruptMask = 0x38;
constexpr std::uint32_t kInterruptClear = 0x44;
constexpr std::uint32_t kNoByte = 1U << 4;  // of kFlags
constexpr std::uint32_t kNoRoom = 1U << 5;
constexpr std::uint32_t kFifosAnd8Bits = 0x70;
constexpr std::uint32_t kFlowControl = 0xc000;  // RTS and CTS
constexpr std::uint32_t kEnable = 0x301;
constexpr std::uint32_t kOnReceive = 1U << 4 | 1U << 6;  // a part of the FIFO, or its rest

void start_uart(std::uint32_t index) {
  const std::uint32_t uart = kUarts[index];
  word_at(uart + kDivisor) = 7;  // 125 MHz / 16 / 7.8125 = 1 Mbaud
  word_at(uart + kDivisorFraction) = 52;
  word_at(uart + kLineControl) = kFifosAnd8Bits;
  word_at(uart + kControl) = kEnable | kFlowControl;
  word_at(uart + kInterruptMask) = kOnReceive;
  word_at(kInterruptEnable) = 1U << kUartLines[index];
}

std::uint64_t read_time() {
  return read_halves([] { return word_at(kTimeLow); }, [] { return word_at(kTimeHigh); });
}

}  // namespace
}  // namespace mote::port

namespace mote::board {

using namespace port;

int read_console() {
  return read_terminal();
}

void write_console(std::string_view text) {
  for (;;) {
    text = write_terminal(text);
    if (text.empty()) return;
    sleep();
  }
}

std::uint32_t link_count() {
  return 2;
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  const std::uint32_t uart = kUarts[link];
  std::size_t count = 0;
  while (count < out.size() && (word_at(uart + kFlags) & kNoByte) == 0) {
    out[count++] = static_cast<std::uint8_t>(word_at(uart + kData));
  }
  return count;
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  const std::uint32_t uart = kUarts[link];
  std::size_t count = 0;
  while (count < bytes.size() && (word_at(uart + kFlags) & kNoRoom) == 0) {
    word_at(uart + kData) = bytes[count++];
  }
  return count;
}

std::uint64_t now_us() {
  return read_time();
}

// SysTick has 24 bits of the cycle count; the timer tells the others.
std::uint64_t work_count() {
  constexpr std::uint32_t kShift = 32 - kSysTickBits;
  const std::uint32_t fine = (~word_at(kSysTickValue)) << kShift;
  const std::uint64_t coarse = read_time() * kClockMhz;
  const auto difference =
      static_cast<std::int32_t>(fine - (static_cast<std::uint32_t>(coarse) << kShift)) >> kShift;
  return coarse + static_cast<std::uint64_t>(std::int64_t{difference});
}

std::string_view work_unit() {
  return "cycles";
}

void sleep() {
  word_at(kAlarm) = static_cast<std::uint32_t>(read_time()) + kSleepUs;
  asm volatile("dsb\n wfi" ::: "memory");
  word_at(kAlarmArmed) = 1;
  word_at(kAlarmRaised) = 1;
  for (const std::uint32_t uart : kUarts) word_at(uart + kInterruptClear) = kOnReceive;
  word_at(kInterruptClearPending) = UINT32_MAX;
}

// Semihosting's SYS_EXIT_EXTENDED; without a debugger the chip stops here.
void exit(int status) {
  const std::uint32_t block[2] = {0x20026, static_cast<std::uint32_t>(status)};
  register std::uint32_t r0 asm("r0") = 0x20;
  register const void* r1 asm("r1") = block;
  asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  for (;;) asm volatile("wfi");
}

}  // namespace mote::board

void mote_board_start() {
  using namespace mote::port;
  word_at(kSysTickReload) = (1U << kSysTickBits) - 1;
  word_at(kSysTickValue) = 0;
  word_at(kSysTickControl) = 5;
  for (std::uint32_t i = 0; i < 2; ++i) start_uart(i);
  word_at(kAlarmEnable) = 1U << kAlarmLine;
  word_at(kInterruptEnable) = 1U << kAlarmLine;
}
