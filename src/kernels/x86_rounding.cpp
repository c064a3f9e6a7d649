// SPDX-License-Identifier: Apache-2.0
#include "kernels/x86_rounding.hpp"

#include "base/fixed_point.hpp"

namespace mote::x86 {

std::int32_t round_row(std::int64_t sum, std::uint32_t mantissa, int shift) {
  return multiply_shift(sum, mantissa, shift);
}

std::int32_t round_shift(std::int64_t value, int shift) {
  return shift_saturate(value, shift);
}

Multiplier normalize(std::uint64_t value, int exponent) {
  return normalized(value, exponent);
}

}  // namespace mote::x86
