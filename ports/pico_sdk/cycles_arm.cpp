// SPDX-License-Identifier: Apache-2.0
// Cycles of a Cortex-M0+ or M33: SysTick, which counts down, 24 bits.
#include "hardware/structs/systick.h"
#include "port.hpp"

namespace mote::pico {
namespace {

constexpr std::uint32_t kWrap = 0xffffff;
constexpr std::uint32_t kFromProcessorClock = 5;  // enable, no interrupt

}  // namespace

void open_cycles() {
  systick_hw->rvr = kWrap;
  systick_hw->cvr = 0;
  systick_hw->csr = kFromProcessorClock;
}

std::uint32_t read_cycles() {
  return kWrap - (systick_hw->cvr & kWrap);
}

}  // namespace mote::pico
