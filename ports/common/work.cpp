// SPDX-License-Identifier: Apache-2.0
#include "common/work.hpp"

#include <cstdint>
#include <string_view>

#include "board_map.hpp"
#include "firmware/board.hpp"

namespace mote::port {
namespace {

constexpr std::uint64_t kShortLoop = 500;
constexpr std::uint64_t kLongLoop = 3000;

bool counts_instructions = false;

constexpr std::uint64_t to_instructions(std::uint64_t ticks) {
  const std::uint64_t whole = ticks / kTicksOfInstructions * kInstructionsOfTicks;
  const std::uint64_t rest = ticks % kTicksOfInstructions * kInstructionsOfTicks;
  return whole + (rest + kTicksOfInstructions / 2) / kTicksOfInstructions;
}

/// Ticks that a loop of two instructions takes, `turns` times.
[[gnu::noinline]] std::uint64_t time_loop(std::uint64_t turns) {
  auto left = static_cast<std::uint32_t>(turns);
  const std::uint64_t begin = read_work_counter();
  asm volatile(MOTE_COUNTED_LOOP : "+r"(left)::"cc");
  return read_work_counter() - begin;
}

}  // namespace

void start_work_counter() {
  // The same calls around a longer loop differ by the loop. Ticks that follow the host's time do
  // not hit this twice to a few instructions.
  counts_instructions = true;
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t briefly = time_loop(kShortLoop);
    const std::uint64_t more = to_instructions(time_loop(kLongLoop) - briefly);
    const std::uint64_t expected = 2 * (kLongLoop - kShortLoop);
    counts_instructions = counts_instructions && more + 2 >= expected && more <= expected + 2;
  }
}

}  // namespace mote::port

namespace mote::board {

std::uint64_t work_count() {
  const std::uint64_t ticks = port::read_work_counter();
  return port::counts_instructions ? port::to_instructions(ticks) : ticks;
}

std::string_view work_unit() {
  return port::counts_instructions ? "instructions" : "cycles";
}

}  // namespace mote::board
