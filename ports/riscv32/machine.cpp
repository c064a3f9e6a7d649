// SPDX-License-Identifier: Apache-2.0
#include "riscv32/machine.hpp"

#include "board_map.hpp"
#include "common/registers.hpp"
#include "common/work.hpp"
#include "firmware/board.hpp"

namespace mote::port {
namespace {

constexpr std::uint32_t kTimeCompare = kClint + 0x4000;
constexpr std::uint32_t kTime = kClint + 0xbff8;
constexpr std::uint32_t kPlicPriority = kPlic;
constexpr std::uint32_t kPlicEnable = kPlic + 0x2000;
constexpr std::uint32_t kPlicThreshold = kPlic + 0x200000;
constexpr std::uint32_t kPlicClaim = kPlic + 0x200004;

constexpr std::uint32_t kSoftwareInterrupt = 1U << 3;
constexpr std::uint32_t kTimerInterrupt = 1U << 7;
constexpr std::uint32_t kExternalInterrupt = 1U << 11;

constexpr std::uint32_t kSleepUs = 4000;

std::uint64_t read_time() {
  return read_halves([] { return word_at(kTime); }, [] { return word_at(kTime + 4); });
}

void set_alarm(std::uint64_t time) {
  word_at(kTimeCompare + 4) = UINT32_MAX;  // so that no time in between rings
  word_at(kTimeCompare) = static_cast<std::uint32_t>(time);
  word_at(kTimeCompare + 4) = static_cast<std::uint32_t>(time >> 32);
}

}  // namespace

void start_interrupts(std::span<const std::uint8_t> sources) {
  for (const std::uint32_t source : sources) {
    word_at(kPlicPriority + 4 * source) = 1;
    const std::uint32_t enable = kPlicEnable + source / 32 * 4;
    word_at(enable) = word_at(enable) | 1U << source % 32;
  }
  word_at(kPlicThreshold) = 0;
  asm volatile("csrw mie, %0" ::"r"(kSoftwareInterrupt | kTimerInterrupt | kExternalInterrupt));
}

std::uint32_t call_host(HostCall call, const void* argument) {
  register std::uint32_t a0 asm("a0") = static_cast<std::uint32_t>(call);
  register const void* a1 asm("a1") = argument;
  // The sequence that marks the call; its instructions may not be compressed, nor cross a page.
  asm volatile(
      ".option push\n.option norvc\n.balign 16\n"
      "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n"
      ".option pop"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
  return a0;
}

std::uint64_t read_work_counter() {
  return read_halves(
      [] {
        std::uint32_t value;
        asm volatile("csrr %0, minstret" : "=r"(value));
        return value;
      },
      [] {
        std::uint32_t value;
        asm volatile("csrr %0, minstreth" : "=r"(value));
        return value;
      });
}

}  // namespace mote::port

namespace mote::board {

std::uint64_t now_us() {
  return port::read_time() / (port::kTimeHz / 1000000);
}

void sleep() {
  using namespace port;
  set_alarm(read_time() + std::uint64_t{kSleepUs} * (kTimeHz / 1000000));
  asm volatile("wfi" ::: "memory");
  set_alarm(UINT64_MAX);
  // A claimed interrupt whose device still asks is pending again at once.
  while (const std::uint32_t source = word_at(kPlicClaim)) word_at(kPlicClaim) = source;
}

}  // namespace mote::board
