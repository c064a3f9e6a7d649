// SPDX-License-Identifier: Apache-2.0
// Rounding for kernels that are compiled for one instruction set. What they call must not be
// inline, lest the linker keeps their copy for every machine.
#pragma once

#include <cstdint>

#include "mote/scale.hpp"

namespace mote::isa {

/// round(sum * row_scale * x_mantissa * 2^unit), as multiply_shift of base/fixed_point.hpp; the
/// unit of the scale is 1.
std::int32_t round_row(std::int64_t sum, Scale16 row_scale, std::uint32_t x_mantissa, int unit);

/// scale * by * 2^exponent, as normalized of base/fixed_point.hpp; the unit of the scale is 1.
Multiplier multiply_scale(Scale16 scale, Multiplier by, int exponent);

/// scale_norm_epsilon and norm_factor_of of kernels/norm_steps.hpp.
std::uint64_t norm_epsilon(std::uint64_t epsilon, int sum_unit);
Multiplier norm_factor(std::uint64_t total, std::uint32_t dim, int sum_unit);
/// kNormDroppedBits of the same.
inline constexpr int kNormDrop = 20;

}  // namespace mote::isa
