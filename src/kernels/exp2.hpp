// SPDX-License-Identifier: Apache-2.0
// Powers of two with a fixed-point exponent: the exponential of softmax, sigmoid and sampling.
#pragma once

#include <cstdint>

namespace mote {

/// Fraction bits of scores in base 2, and of log2(e).
inline constexpr int kScoreFractionBits = 16;
inline constexpr std::uint32_t kLog2eQ16 = 94548;  // round(log2(e) * 2^16)

/// 2^(-d / 2^16) in Q30: 2^30 for d = 0; 0 once d is 31 * 2^16 or more. Rounded half up; within
/// 2^-20 of the true value, relative, plus half a unit.
std::uint32_t exp2_negative(std::uint32_t d_q16);

}  // namespace mote
