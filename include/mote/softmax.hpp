// SPDX-License-Identifier: Apache-2.0
// Integer softmax on its own: scores in, weights that add up to one out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace mote {

/// The score of a position that must have exactly no weight.
inline constexpr std::int32_t kMaskedScore = std::numeric_limits<std::int32_t>::min();

/// Fraction bits of a weight: 2^31 is one.
inline constexpr int kSoftmaxFractionBits = 31;

inline constexpr std::size_t kMaxSoftmaxScores = 65536;

/// weights[i] = e^scores[i] / sum over j of e^scores[j], in Q31. What holds for all inputs:
///
///  - Equal scores have equal weights, and a higher score never has a lower weight.
///  - A masked score has weight zero; if all are masked, all weights are zero.
///  - Otherwise |sum of weights - 2^31| <= n / 2 + 1: each is rounded once, and since equal scores
///    get equal weights nothing evens that out (three equal scores share 2^31 with one missing).
///    So n weights sum to one within one unit of 2^-15 for all n, of 2^-24 for n <= 254; a single
///    score, or any power of two of equal ones, to exactly one.
///  - A weight is within 2^-16 of the real one, relative, and 2^-30 of the largest weight and a
///    unit. A score 21.5 or more below the largest has weight zero.
///
///   weights (n), scores (n, at most kMaxSoftmaxScores) natural logarithms in Q fraction_bits, 0 to
///   31; every value of int32 but kMaskedScore is a score
void softmax_s32_u32(std::span<std::uint32_t> weights, std::span<const std::int32_t> scores,
                     int fraction_bits);

}  // namespace mote
