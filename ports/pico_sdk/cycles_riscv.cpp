// SPDX-License-Identifier: Apache-2.0
// Cycles of a Hazard3 of the RP2350.
#include "hardware/regs/rvcsr.h"
#include "hardware/riscv.h"
#include "port.hpp"

namespace mote::pico {

void open_cycles() {
  constexpr std::uint32_t kCycles = 1;  // its bit in mcountinhibit
  riscv_clear_csr(RVCSR_MCOUNTINHIBIT_OFFSET, kCycles);
}

std::uint32_t read_cycles() {
  return riscv_read_csr(RVCSR_MCYCLE_OFFSET);
}

}  // namespace mote::pico
