// SPDX-License-Identifier: Apache-2.0
// QEMU's riscv32 `sifive_u`. Both of its UARTs are links, so that the console goes over
// semihosting, where reading waits: hart 1 does it, and wakes hart 0.
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

// A SiFive UART: FIFOs of 8 bytes.
constexpr std::uint32_t kTransmit = 0x00;  // bit 31: no room
constexpr std::uint32_t kReceive = 0x04;   // bit 31: no byte
constexpr std::uint32_t kTransmitControl = 0x08;
constexpr std::uint32_t kReceiveControl = 0x0c;
constexpr std::uint32_t kInterruptEnable = 0x10;
constexpr std::uint32_t kEnable = 1;
constexpr std::uint32_t kNone = 1U << 31;
constexpr std::uint32_t kOnRoom = 1;
constexpr std::uint32_t kOnReceive = 2;

/// What hart 1 has read of the console and hart 0 not yet.
struct Mailbox {
  static constexpr std::uint32_t kBytes = 2048;  // more than the longest line
  std::uint8_t bytes[kBytes];
  std::uint32_t written;
  std::uint32_t read;
};
Mailbox mailbox;

std::uint32_t load(const std::uint32_t& shared) {
  return __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
}

void store(std::uint32_t& shared, std::uint32_t value) {
  __atomic_store_n(&shared, value, __ATOMIC_RELEASE);
}

/// The register that wakes a hart.
volatile std::uint32_t& alarm_of(std::uint32_t hart) {
  return word_at(kClint + 4 * hart);
}

/// Semihosting's SYS_READC (7), which waits for a byte. QEMU puts it below the stack and copies it
/// from there; its versions before 8 do so in the wrong order and return the byte before.
[[gnu::noinline]] std::uint8_t read_host_byte() {
  register std::uint32_t a0 asm("a0") = 7;
  register std::uint32_t a1 asm("a1") = 0;
  asm volatile(
      ".option push\n.option norvc\n.balign 16\n"
      "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n"
      "lbu a0, -1(sp)\n"
      ".option pop"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
  return static_cast<std::uint8_t>(a0);
}

void start_uart(std::uint32_t uart) {
  word_at(uart + kTransmitControl) = kEnable;
  word_at(uart + kReceiveControl) = kEnable;
  word_at(uart + kInterruptEnable) = kOnReceive;
}

}  // namespace
}  // namespace mote::port

namespace mote::board {

using namespace port;

int read_console() {
  const std::uint32_t read = mailbox.read;
  if (load(mailbox.written) == read) {
    alarm_of(0) = 0;  // before looking again, so that a byte which comes now wakes
    if (load(mailbox.written) == read) return -1;
  }
  const std::uint8_t byte = mailbox.bytes[read % Mailbox::kBytes];
  store(mailbox.read, read + 1);
  return byte;
}

void write_console(std::string_view text) {
  // The host takes texts that end with a zero.
  char piece[64];
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    piece[used++] = text[i];
    if (used + 1 < sizeof piece && i + 1 < text.size()) continue;
    piece[used] = '\0';
    call_host(HostCall::write_text, piece);
    used = 0;
  }
}

std::uint32_t link_count() {
  return kMaxLinks;
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  std::size_t count = 0;
  while (count < out.size()) {
    const std::uint32_t received = word_at(kLinks[link] + kReceive);
    if ((received & kNone) != 0) break;
    out[count++] = static_cast<std::uint8_t>(received);
  }
  return count;
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  const std::uint32_t uart = kLinks[link];
  std::size_t count = 0;
  while (count < bytes.size() && (word_at(uart + kTransmit) & kNone) == 0) {
    word_at(uart + kTransmit) = bytes[count++];
  }
  word_at(uart + kInterruptEnable) = count < bytes.size() ? kOnReceive | kOnRoom : kOnReceive;
  return count;
}

void exit(int status) {
  mote_exit(status);
}

}  // namespace mote::board

void mote_board_start() {
  using namespace mote::port;
  for (const std::uint32_t uart : kLinks) start_uart(uart);
  start_interrupts(kLinkInterrupts);
  start_work_counter();
  alarm_of(1) = 1;
}

void mote_exit(int status) {
  using namespace mote::port;
  const std::uint32_t block[2] = {0x20026, static_cast<std::uint32_t>(status)};
  call_host(HostCall::exit_extended, block);
  for (;;) asm volatile("wfi");
}

/// Hart 1: begins when hart 0 has prepared the memory, and then reads the console for ever.
extern "C" [[noreturn]] void mote_read_console() {
  using namespace mote::port;
  asm volatile("csrw mie, %0" ::"r"(8));
  while (alarm_of(1) == 0) asm volatile("wfi");
  alarm_of(1) = 0;
  for (;;) {
    const std::uint8_t byte = read_host_byte();
    const std::uint32_t written = mailbox.written;
    while (written - load(mailbox.read) == Mailbox::kBytes) {
    }
    mailbox.bytes[written % Mailbox::kBytes] = byte;
    store(mailbox.written, written + 1);
    alarm_of(0) = 1;
  }
}

extern "C" [[gnu::naked, noreturn]] void mote_other_hart() {
  asm volatile(
      "la sp, mote_second_stack + 512\n"
      "j mote_read_console");
}

extern "C" {
alignas(16) std::byte mote_second_stack[512];
}
