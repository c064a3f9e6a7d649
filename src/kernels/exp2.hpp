// SPDX-License-Identifier: Apache-2.0
// Powers of two with a fixed-point exponent: the exponential of softmax, sigmoid and sampling.
#pragma once

#include <array>
#include <cstdint>

namespace mote {

/// Fraction bits of scores in base 2, and of log2(e).
inline constexpr int kScoreFractionBits = 16;
inline constexpr std::uint32_t kLog2eQ16 = 94548;  // round(log2(e) * 2^16)

/// round(2^(30 - i / 256)) for i = 0 to 256. Linear interpolation between neighbours is at most
/// (ln 2 / 256)^2 / 8 = 2^-20.06 too high.
extern const std::array<std::uint32_t, 257> kPowersOfTwo;

/// 2^(-(d mod 2^16) / 2^16) in Q30, 2^29 to 2^30.
inline std::uint32_t exp2_of_fraction(std::uint32_t d_q16) {
  const std::uint32_t* power = &kPowersOfTwo[(d_q16 >> 8) & 0xff];
  const std::uint32_t step = power[0] - power[1];
  return power[0] - ((step * (d_q16 & 0xff) + 128) >> 8);
}

/// 2^(-d / 2^16) in Q30: 2^30 for d = 0; 0 once d is 31 * 2^16 or more. Rounded half up; within
/// 2^-20 of the true value, relative, plus half a unit.
inline std::uint32_t exp2_negative(std::uint32_t d_q16) {
  const std::uint32_t whole = d_q16 >> 16;
  if (whole >= 31) return 0;
  return (((exp2_of_fraction(d_q16) << 1) >> whole) + 1) >> 1;
}

}  // namespace mote
