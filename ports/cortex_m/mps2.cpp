// SPDX-License-Identifier: Apache-2.0
// Arm's MPS2 and MPS3 boards: UART 0 is the console, UARTs 1 to 4 are links.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>

#include "board_map.hpp"
#include "common/registers.hpp"
#include "common/work.hpp"
#include "cortex_m/clock.hpp"
#include "cortex_m/machine.hpp"
#include "firmware/board.hpp"

namespace mote::port {
namespace {

// A CMSDK UART: one byte each way. Its lines: received at kUartInterrupts[i], sent at the next.
constexpr std::uint32_t kData = 0x00;
constexpr std::uint32_t kState = 0x04;
constexpr std::uint32_t kControl = 0x08;
constexpr std::uint32_t kInterrupts = 0x0c;
constexpr std::uint32_t kDivisor = 0x10;
constexpr std::uint32_t kNoRoom = 1;  // of kState
constexpr std::uint32_t kHasByte = 2;
constexpr std::uint32_t kSendAndReceive = 3;  // of kControl
constexpr std::uint32_t kOnRoom = 4;
constexpr std::uint32_t kOnReceive = 8;
constexpr std::uint32_t kRoomCame = 1;  // of kInterrupts
constexpr std::uint32_t kByteCame = 2;

constexpr std::uint32_t kConsole = 0;

void start_uart(std::uint32_t index) {
  const std::uint32_t uart = kUarts[index];
  word_at(uart + kDivisor) = 16;
  word_at(uart + kControl) = kSendAndReceive | kOnReceive;
  [[maybe_unused]] const std::uint32_t noise = word_at(uart + kData);  // QEMU looks for more then
  enable_interrupt(kUartInterrupts[index]);
  enable_interrupt(kUartInterrupts[index] + 1);
}

bool has_byte(std::uint32_t index) {
  const std::uint32_t uart = kUarts[index];
  if ((word_at(uart + kState) & kHasByte) != 0) return true;
  // Cleared before looking again, so that a byte which comes now ends the next sleep.
  word_at(uart + kInterrupts) = kByteCame;
  clear_interrupt(kUartInterrupts[index]);
  return (word_at(uart + kState) & kHasByte) != 0;
}

std::size_t read_uart(std::uint32_t index, std::span<std::uint8_t> out) {
  std::size_t count = 0;
  while (count < out.size() && has_byte(index)) {
    out[count++] = static_cast<std::uint8_t>(word_at(kUarts[index] + kData));
  }
  return count;
}

std::size_t write_uart(std::uint32_t index, std::span<const std::uint8_t> bytes) {
  const std::uint32_t uart = kUarts[index];
  word_at(uart + kControl) = kSendAndReceive | kOnReceive | kOnRoom;
  word_at(uart + kInterrupts) = kRoomCame;
  clear_interrupt(kUartInterrupts[index] + 1);
  std::size_t count = 0;
  while (count < bytes.size() && (word_at(uart + kState) & kNoRoom) == 0) {
    word_at(uart + kData) = bytes[count++];
  }
  if (count == bytes.size()) {
    word_at(uart + kControl) = kSendAndReceive | kOnReceive;
    word_at(uart + kInterrupts) = kRoomCame;
    clear_interrupt(kUartInterrupts[index] + 1);
  }
  return count;
}

}  // namespace
}  // namespace mote::port

namespace mote::board {

using namespace port;

int read_console() {
  std::uint8_t byte = 0;
  return read_uart(kConsole, {&byte, 1}) == 1 ? byte : -1;
}

void write_console(std::string_view text) {
  std::span rest(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  for (;;) {
    rest = rest.subspan(write_uart(kConsole, rest));
    if (rest.empty()) return;
    sleep();
  }
}

std::uint32_t link_count() {
  return std::size(kUarts) - 1;
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  return read_uart(link + 1, out);
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  return write_uart(link + 1, bytes);
}

std::uint64_t now_us() {
  return read_clock() / (kClockHz / 1000000);
}

}  // namespace mote::board

std::uint64_t mote::port::read_work_counter() {
  return read_clock();
}

void mote_board_start() {
  using namespace mote::port;
  start_clock();
  for (std::uint32_t i = 0; i < std::size(kUarts); ++i) start_uart(i);
  start_work_counter();
}
