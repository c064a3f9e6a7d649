// SPDX-License-Identifier: Apache-2.0
#include "kernels/isa_rounding.hpp"

#include "base/fixed_point.hpp"
#include "kernels/norm_steps.hpp"

namespace mote::isa {

std::int32_t round_row(std::int64_t sum, Scale16 row_scale, std::uint32_t x_mantissa, int unit) {
  return multiply_shift(sum, row_scale.mantissa() * x_mantissa, -(unit + row_scale.exponent()));
}

Multiplier multiply_scale(Scale16 scale, Multiplier by, int exponent) {
  return normalized(std::uint64_t{scale.mantissa()} * by.mantissa,
                    scale.exponent() + by.exponent + exponent);
}

static_assert(kNormDrop == kNormDroppedBits);

std::uint64_t norm_epsilon(std::uint64_t epsilon, int sum_unit) {
  return scale_norm_epsilon(epsilon, sum_unit);
}

Multiplier norm_factor(std::uint64_t total, std::uint32_t dim, int sum_unit) {
  return norm_factor_of(total, dim, sum_unit);
}

}  // namespace mote::isa
