// SPDX-License-Identifier: Apache-2.0
#include "kernels/exp2_x86.hpp"

#include <cstddef>

#include "kernels/exp2_table.hpp"

namespace mote::x86 {
namespace {

constexpr Exp2Bytes make_bytes() {
  Exp2Bytes bytes = {};
  for (std::size_t i = 0; i < 256; ++i) {
    const std::uint32_t power = kPowersOfTwoTable[i];
    const std::uint32_t step = power - kPowersOfTwoTable[i + 1];
    for (std::size_t b = 0; b < 4; ++b) {
      bytes.powers[b][i] = static_cast<std::uint8_t>(power >> (8 * b));
    }
    for (std::size_t b = 0; b < 3; ++b) {
      bytes.steps[b][i] = static_cast<std::uint8_t>(step >> (8 * b));
    }
  }
  return bytes;
}

static_assert(kPowersOfTwoTable[0] - kPowersOfTwoTable[1] < (1U << 24), "the largest step");

constexpr Exp2Bytes kMade = make_bytes();

}  // namespace

const Exp2Bytes kExp2Bytes = kMade;

}  // namespace mote::x86
