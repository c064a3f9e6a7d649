// SPDX-License-Identifier: Apache-2.0
// The beginning and the end of norm_factor, which all forms of it share.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "base/fixed_point.hpp"
#include "kernels/rms_norm.hpp"
#include "mote/config.hpp"
#include "mote/scale.hpp"

namespace mote {

/// A block's sum of squares (lanes * 2^14) times its scale (below 2^27) drops these bits before it
/// meets the scale again, so that the whole sum stays below 2^60.
inline constexpr int kNormDroppedBits = 20;
static_assert(std::uint64_t{kMaxDim} << (14 + 27 - kNormDroppedBits + 27) <= std::uint64_t{1}
                                                                                 << 60);

/// The sum of the squares of int8 lanes, of a block: chips have forms of their own, norm_*.cpp, one
/// in a build (src/sources.cmake).
std::uint32_t sum_squares(const std::int8_t* values, std::uint32_t count);

/// Where the sum begins: `epsilon` in units of 2^(2 * sum_unit), rounded down; at most 2^62, as the
/// least unit of aligned scales is -43.
inline std::uint64_t scale_norm_epsilon(std::uint64_t epsilon, int sum_unit) {
  const int shift = -kNormEpsilonFractionBits - 2 * sum_unit;
  return shift >= 0 ? epsilon << shift : epsilon >> -shift;
}

/// 1 / sqrt(total / dim), of a total in units of 2^(2 * sum_unit).
inline Multiplier norm_factor_of(std::uint64_t total, std::uint32_t dim, int sum_unit) {
  total = std::max<std::uint64_t>(total, 1);
  const int lift = std::countl_zero(total);
  std::uint64_t mean = divide(total << lift, dim);  // in units of 2^(2 * sum_unit - lift)
  int exponent = lift + std::countl_zero(mean);
  mean <<= std::countl_zero(mean);
  if (exponent % 2 != 0) {
    mean >>= 1;
    --exponent;
  }
  // sqrt(mean) = root * 2^(sum_unit - exponent / 2), with root from 2^31 to 2^32.
  const std::uint32_t root = integer_sqrt(mean);
  return {static_cast<std::uint32_t>(divide(std::uint64_t{1} << 51, root)),
          exponent / 2 - 51 - sum_unit};
}

}  // namespace mote
