// SPDX-License-Identifier: Apache-2.0
// A 32-bit CMSDK timer, made longer by the board's counter of hundredths of a second.
#include <cstdint>

#include "board_map.hpp"
#include "common/registers.hpp"
#include "cortex_m/clock.hpp"

namespace mote::port {
namespace {

constexpr std::uint32_t kControl = kTimer;
constexpr std::uint32_t kValue = kTimer + 4;  // counts down
constexpr std::uint32_t kReload = kTimer + 8;
constexpr std::uint32_t kHundredths = kBoardCounters + 0x14;

}  // namespace

void start_clock() {
  word_at(kHundredths) = 0;
  word_at(kReload) = UINT32_MAX;
  word_at(kValue) = UINT32_MAX;
  word_at(kControl) = 1;
}

std::uint64_t read_clock() {
  const std::uint32_t fine = UINT32_MAX - word_at(kValue);
  // Right to some hundredths, which is far less than the timer's period.
  const std::uint64_t coarse = std::uint64_t{word_at(kHundredths)} * (kClockHz / 100);
  return coarse + static_cast<std::uint64_t>(static_cast<std::int64_t>(
                      static_cast<std::int32_t>(fine - static_cast<std::uint32_t>(coarse))));
}

}  // namespace mote::port
