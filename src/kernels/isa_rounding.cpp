// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa_rounding.hpp"

#include "base/fixed_point.hpp"
#include "kernels/norm_steps.hpp"

namespace mote::isa {

std::int32_t round_row(std::int64_t sum, std::uint32_t mantissa, int shift) {
  return multiply_shift(sum, mantissa, shift);
}

std::int32_t round_shift(std::int64_t value, int shift) {
  return shift_saturate(value, shift);
}

Multiplier normalize(std::uint64_t value, int exponent) {
  return normalized(value, exponent);
}

static_assert(kNormDrop == kNormDroppedBits);

std::uint64_t norm_epsilon(std::uint64_t epsilon, int sum_unit) {
  return scale_norm_epsilon(epsilon, sum_unit);
}

Multiplier norm_factor(std::uint64_t total, std::uint32_t dim, int sum_unit) {
  return norm_factor_of(total, dim, sum_unit);
}

}  // namespace mote::isa
