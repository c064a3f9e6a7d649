// SPDX-License-Identifier: Apache-2.0
// Sigmoid and SiLU, to be compiled into loops.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/exp2.hpp"

namespace mote {

/// As sigmoid_q16.
inline std::uint32_t sigmoid(std::int32_t x) {
  // e^-|x| = 2^(-|x| log2 e); beyond 24 it is nothing in Q16.
  const std::uint32_t magnitude = std::min<std::uint32_t>(
      x < 0 ? 0U - static_cast<std::uint32_t>(x) : static_cast<std::uint32_t>(x), 24U << 16);
  // The product has 38 bits, of which those above the lowest 15 matter: one of them rounds.
  const auto twice =
      static_cast<std::uint32_t>((std::uint64_t{magnitude << 11} * (kLog2eQ16 << 6)) >> 32);
  const std::uint32_t d = (twice + 1) >> 1;
  const std::uint32_t power = exp2_negative(d);  // Q30
  // round(2^16 / (1 + power)) with the denominator in Q16: 2^32 over 2^16 to 2^17. One is taken out
  // of the quotient, so that the numerator fits a division of 32 bits.
  const std::uint32_t denominator = (1U << 16) + ((power + (1U << 13)) >> 14);
  const std::uint32_t positive = 1 + (0U - (denominator - denominator / 2)) / denominator;
  return x >= 0 ? positive : (1U << 16) - positive;
}

/// As silu_q16_q20.
inline std::int32_t silu(std::int32_t x, std::uint32_t sigmoid_of_x) {
  constexpr std::int32_t kLimit = (1 << 27) - 1;
  const std::int64_t limited = std::clamp<std::int32_t>(x, -kLimit, kLimit);
  const std::int64_t product = limited * static_cast<std::int32_t>(sigmoid_of_x) + (1 << 11);
  // 32 bits hold the result; compilers that knew would go on with 64.
  return static_cast<std::int32_t>((static_cast<std::uint32_t>(product) >> 12) |
                                   (static_cast<std::uint32_t>(product >> 32) << 20));
}

}  // namespace mote
