// SPDX-License-Identifier: Apache-2.0
// The 64-bit system counter of Arm's SSE-300.
#include <cstdint>

#include "board_map.hpp"
#include "common/registers.hpp"
#include "cortex_m/clock.hpp"

namespace mote::port {

void start_clock() {
  word_at(kCounterControl) = 1;
}

std::uint64_t read_clock() {
  return read_halves([] { return word_at(kCounterStatus); },
                     [] { return word_at(kCounterStatus + 4); });
}

}  // namespace mote::port
