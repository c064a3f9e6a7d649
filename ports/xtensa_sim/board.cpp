// SPDX-License-Identifier: Apache-2.0
// QEMU's Xtensa `sim`: a console by simulator calls, no links.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "board_map.hpp"
#include "common/work.hpp"
#include "firmware/board.hpp"

namespace mote::port {
namespace {

enum class Call : std::uint32_t { exit = 1, read = 3, write = 4, select_one = 29 };

std::uint32_t call_simulator(Call call, std::uint32_t first, std::uint32_t second,
                             std::uint32_t third) {
  register std::uint32_t a2 asm("a2") = static_cast<std::uint32_t>(call);
  register std::uint32_t a3 asm("a3") = first;
  register std::uint32_t a4 asm("a4") = second;
  register std::uint32_t a5 asm("a5") = third;
  asm volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
  return a2;
}

std::uint32_t read_cycles() {
  std::uint32_t cycles;
  asm volatile("rsr.ccount %0" : "=r"(cycles));
  return cycles;
}

/// The simulator hands out at most this many bytes at a time.
constexpr std::uint32_t kPiece = 16;
/// Of the console's input, those that read_console has not given out.
std::uint8_t piece[kPiece];
std::uint32_t piece_begin = 0;
std::uint32_t piece_end = 0;

std::uint64_t cycles = 0;

/// Bytes that are just coming could be torn, because the simulator reads them in another thread: a
/// piece is taken when it has had time to come.
constexpr std::uint32_t kSettleCycles = kClockHz / 1000;

constexpr std::uint32_t kForReading = 1;

bool fetch_piece() {
  const std::uint32_t no_wait[2] = {0, 0};
  const auto timeout = reinterpret_cast<std::uintptr_t>(no_wait);
  if (call_simulator(Call::select_one, 0, kForReading, timeout) == 0) return false;
  for (const std::uint32_t begin = read_cycles(); read_cycles() - begin < kSettleCycles;) {
  }
  const auto count = call_simulator(Call::read, 0, reinterpret_cast<std::uintptr_t>(piece), kPiece);
  piece_begin = 0;
  piece_end = count <= kPiece ? count : 0;
  return piece_end != 0;
}

}  // namespace

/// The processor's counter has 32 bits: whoever counts must ask within 107 s of its clock.
std::uint64_t read_work_counter() {
  cycles += read_cycles() - static_cast<std::uint32_t>(cycles);
  return cycles;
}

}  // namespace mote::port

namespace mote::board {

using namespace port;

int read_console() {
  if (piece_begin == piece_end && !fetch_piece()) return -1;
  return piece[piece_begin++];
}

void write_console(std::string_view text) {
  if (text.empty()) return;
  call_simulator(Call::write, 1, reinterpret_cast<std::uintptr_t>(text.data()), text.size());
}

std::uint32_t link_count() {
  return 0;
}

std::size_t read_link(std::uint32_t, std::span<std::uint8_t>) {
  return 0;
}

std::size_t write_link(std::uint32_t, std::span<const std::uint8_t>) {
  return 0;
}

std::uint64_t now_us() {
  return read_work_counter() / (kClockHz / 1000000);
}

void sleep() {
  const std::uint64_t end = now_us() + 4000;
  while (now_us() < end) {
  }
}

void exit(int status) {
  for (;;) call_simulator(Call::exit, static_cast<std::uint32_t>(status), 0, 0);
}

}  // namespace mote::board

extern "C" void mote_board_start() {
  mote::port::start_work_counter();
}
