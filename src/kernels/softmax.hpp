// SPDX-License-Identifier: Apache-2.0
// Un-normalised softmax weights in base 2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/exp2.hpp"

namespace mote {

/// Fraction bits of a weight: the largest score gets 2^24.
inline constexpr int kWeightFractionBits = 24;

/// Weights that 32 bits can add up.
inline constexpr std::size_t kWeightsPerFold = (1U << (31 - kWeightFractionBits));

/// 2^(score - largest) in Q24, rounded half up from the Q30 of exp2_negative. A score 25 below the
/// largest still gets 1, one 25 1/32 or more below gets zero.
///   score  base-2 logarithm in Q16, stored as uint32 two's complement, like `largest`
inline std::uint32_t softmax_weight(std::uint32_t score, std::int32_t largest) {
  constexpr int kDrop = 30 - kWeightFractionBits;
  // The difference of two int32 always fits uint32.
  const std::uint32_t below = static_cast<std::uint32_t>(largest) - score;
  const std::uint32_t whole = below >> 16;
  if (whole > 25) return 0;
  // floor((floor((p + 1) / 2) + 2^5) / 2^6) = floor((p + 1 + 2^6) / 2^7): both roundings at once.
  return (((exp2_of_fraction(below) << 1) >> whole) + 1 + (1U << kDrop)) >> (kDrop + 1);
}

/// Replaces each score by its weight. Returns the sum of the weights, at least 2^24.
///   scores (n >= 1, at most 65,536)
std::uint64_t softmax_weights(std::span<std::uint32_t> scores, std::int32_t largest);

}  // namespace mote
