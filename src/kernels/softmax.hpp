// SPDX-License-Identifier: Apache-2.0
// Un-normalised softmax weights in base 2.
#pragma once

#include <cstdint>
#include <span>

namespace mote {

/// Fraction bits of a weight: the largest score gets 2^24.
inline constexpr int kWeightFractionBits = 24;

/// Replaces each score by 2^(score - largest) in Q24, rounded half up from the Q30 of
/// exp2_negative. A score 25 below the largest still gets 1, one 25 1/32 or more below gets zero.
/// Returns the sum of the weights, at least 2^24.
///   scores (n >= 1, at most 65,536) base-2 logarithms in Q16, stored as uint32 two's complement
std::uint64_t softmax_weights(std::span<std::uint32_t> scores, std::int32_t largest);

}  // namespace mote
