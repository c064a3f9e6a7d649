// SPDX-License-Identifier: Apache-2.0
// QEMU's riscv32 `virt`: the console is the UART of the board, the links are PCI serial cards.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "board_map.hpp"
#include "common/registers.hpp"
#include "common/work.hpp"
#include "firmware/board.hpp"
#include "riscv32/machine.hpp"

namespace mote::port {
namespace {

// A 16550. Its receiver interrupts at each byte, its transmitter while writers wait for room.
constexpr std::uint32_t kData = 0;
constexpr std::uint32_t kInterruptEnable = 1;
constexpr std::uint32_t kFifoControl = 2;
constexpr std::uint32_t kLineControl = 3;
constexpr std::uint32_t kModemControl = 4;
constexpr std::uint32_t kLineStatus = 5;
constexpr std::uint8_t kHasByte = 1;
constexpr std::uint8_t kHasRoom = 0x20;
constexpr std::uint8_t kOnReceive = 1;
constexpr std::uint8_t kOnRoom = 2;

constexpr std::uint32_t kSerialCard = 0x00021b36;  // device and vendor

std::uint32_t links = 0;

constexpr std::uint32_t link_address(std::uint32_t link) {
  return kPciPorts + 0x1000 + 8 * link;
}

void start_uart(std::uint32_t uart) {
  byte_at(uart + kLineControl) = 0x83;  // 8 bits, divisor 1: 115200 baud
  byte_at(uart + kData) = 1;
  byte_at(uart + kInterruptEnable) = 0;
  byte_at(uart + kLineControl) = 3;
  byte_at(uart + kFifoControl) = 1;  // the default wakes at each byte
  byte_at(uart + kModemControl) = 8;
  byte_at(uart + kInterruptEnable) = kOnReceive;
}

/// The card in slot link + 1 takes its place among the ports.
bool find_card(std::uint32_t link) {
  const std::uint32_t card = kPciConfiguration + ((link + 1) << 15);
  if (word_at(card) != kSerialCard) return false;
  word_at(card + 0x10) = (link_address(link) - kPciPorts) | 1;
  word_at(card + 4) = word_at(card + 4) | 1;
  return true;
}

std::size_t read_uart(std::uint32_t uart, std::span<std::uint8_t> out) {
  std::size_t count = 0;
  while (count < out.size() && (byte_at(uart + kLineStatus) & kHasByte) != 0) {
    out[count++] = byte_at(uart + kData);
  }
  return count;
}

std::size_t write_uart(std::uint32_t uart, std::span<const std::uint8_t> bytes) {
  std::size_t count = 0;
  while (count < bytes.size() && (byte_at(uart + kLineStatus) & kHasRoom) != 0) {
    byte_at(uart + kData) = bytes[count++];
  }
  const bool waits = count < bytes.size();
  byte_at(uart + kInterruptEnable) = waits ? kOnReceive | kOnRoom : kOnReceive;
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
  return links;
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  return read_uart(link_address(link), out);
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  return write_uart(link_address(link), bytes);
}

void exit(int status) {
  mote_exit(status);
}

}  // namespace mote::board

void mote_board_start() {
  using namespace mote::port;
  static constexpr std::array<std::uint8_t, 5> kSources = {
      kConsoleInterrupt, kFirstPciInterrupt, kFirstPciInterrupt + 1, kFirstPciInterrupt + 2,
      kFirstPciInterrupt + 3};
  start_uart(kConsole);
  while (links < kMaxLinks && find_card(links)) start_uart(link_address(links++));
  start_interrupts(kSources);
  start_work_counter();
}

void mote_exit(int status) {
  const auto code = static_cast<std::uint32_t>(status);
  mote::port::word_at(mote::port::kTestDevice) = code == 0 ? 0x5555 : code << 16 | 0x3333;
  for (;;) asm volatile("wfi");
}
