// SPDX-License-Identifier: Apache-2.0
// A board to begin with. What is marked FILL IN depends on the chip; as it stands it is Arm's MPS2
// board AN385 as QEMU has it, so that it runs before anything is changed. docs/PORTING.md.
#include "firmware/board.hpp"

#include <array>

#include "common/registers.hpp"
#include "cortex_m/machine.hpp"

namespace mote::port {
namespace {

// FILL IN: UARTs, the console first, then link 0 (to the next chip) and link 1 (to the one before).
// A UART that keeps only few bytes needs an interrupt handler and ports/ecosystem/byte_queue.hpp.
constexpr std::array<std::uint32_t, 3> kUarts{0x40004000, 0x40005000, 0x40006000};
void start_uart(std::uint32_t uart) {
  word_at(uart + 0x10) = 16;  // divisor of the clock
  word_at(uart + 0x08) = 3;   // send and receive
}
bool has_byte(std::uint32_t uart) {
  return (word_at(uart + 0x04) & 2) != 0;
}
bool has_room(std::uint32_t uart) {
  return (word_at(uart + 0x04) & 1) == 0;
}
volatile std::uint32_t& data_of(std::uint32_t uart) {
  return word_at(uart);
}

// FILL IN: a counter of 32 bits that runs upwards, and its ticks in a microsecond.
constexpr std::uint32_t kTicksOfUs = 25;
void start_counter() {
  word_at(0x40000008) = 0xffffffff;  // begins anew after zero
  word_at(0x40000000) = 1;
}
std::uint32_t read_counter() {
  return ~word_at(0x40000004);
}

std::uint64_t ticks = 0;  // so far; brought up to date far more often than the counter wraps

}  // namespace
}  // namespace mote::port

// Called before the program. FILL IN: clocks and pins, where the chip does not start with them.
void mote_board_start() {
  mote::port::start_counter();
  for (const std::uint32_t uart : mote::port::kUarts) mote::port::start_uart(uart);
}

namespace mote::board {

using namespace port;

int read_console() {
  return has_byte(kUarts[0]) ? static_cast<int>(data_of(kUarts[0]) & 0xff) : -1;
}

void write_console(std::string_view text) {
  for (const char c : text) {
    while (!has_room(kUarts[0])) continue;
    data_of(kUarts[0]) = static_cast<std::uint8_t>(c);
  }
}

std::uint32_t link_count() {
  return kUarts.size() - 1;
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  const std::uint32_t uart = kUarts[link + 1];
  std::size_t count = 0;
  while (count < out.size() && has_byte(uart))
    out[count++] = static_cast<std::uint8_t>(data_of(uart));
  return count;
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  const std::uint32_t uart = kUarts[link + 1];
  std::size_t count = 0;
  while (count < bytes.size() && has_room(uart)) data_of(uart) = bytes[count++];
  return count;
}

std::uint64_t work_count() {
  ticks += read_counter() - static_cast<std::uint32_t>(ticks);
  return ticks;
}
std::string_view work_unit() {
  return "cycles";
}
std::uint64_t now_us() {
  return work_count() / kTicksOfUs;
}

void sleep() {}  // Better: wait for an interrupt, a few milliseconds at most.

void exit(int) {
  for (;;) asm volatile("wfi");
}

}  // namespace mote::board
