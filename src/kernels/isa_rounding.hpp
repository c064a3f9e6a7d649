// SPDX-License-Identifier: Apache-2.0
// Rounding for kernels that are compiled for one instruction set. What they call must not be
// inline, lest the linker keeps their copy for every machine.
#pragma once

#include <cstdint>

#include "mote/scale.hpp"

namespace mote::isa {

/// multiply_shift of base/fixed_point.hpp.
std::int32_t round_row(std::int64_t sum, std::uint32_t mantissa, int shift);

/// shift_saturate of base/fixed_point.hpp. // |value| < 2^62
std::int32_t round_shift(std::int64_t value, int shift);

/// normalized of base/fixed_point.hpp.
Multiplier normalize(std::uint64_t value, int exponent);

/// scale_norm_epsilon and norm_factor_of of kernels/norm_steps.hpp.
std::uint64_t norm_epsilon(std::uint64_t epsilon, int sum_unit);
Multiplier norm_factor(std::uint64_t total, std::uint32_t dim, int sum_unit);
/// kNormDroppedBits of the same.
inline constexpr int kNormDrop = 20;

}  // namespace mote::isa
