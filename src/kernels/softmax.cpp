// SPDX-License-Identifier: Apache-2.0
#include "kernels/softmax.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/exp2.hpp"
#include "mote/softmax.hpp"

namespace mote {
namespace {

constexpr std::uint64_t kLog2eQ30 = 1549082005;  // round(log2(e) * 2^30)

/// e^(-below / 2^fraction_bits) in Q30. below * log2(e) is under 2^63.
std::uint32_t exp_negative(std::uint32_t below, int fraction_bits) {
  const int shift = 30 - kScoreFractionBits + fraction_bits;
  const std::uint64_t base_2 = (below * kLog2eQ30 + (std::uint64_t{1} << (shift - 1))) >> shift;
  // From 31 on exp2_negative gives zero.
  return exp2_negative(
      static_cast<std::uint32_t>(std::min<std::uint64_t>(base_2, 31U << kScoreFractionBits)));
}

/// The largest score that is not masked; kMaskedScore where all are.
std::int32_t largest_of(std::span<const std::int32_t> scores) {
  std::int32_t largest = kMaskedScore;
  for (const std::int32_t score : scores) largest = std::max<std::int32_t>(largest, score);
  return largest;
}

/// Makes weights (n), Q30, share 2^31. Their sum is at least 2^30 and at most 2^46.
void share_one(std::span<std::uint32_t> weights, std::uint64_t sum) {
  // sum = top * 2^(32 - lift), top from 2^31 to 2^32; 2^63 / top is at most 2^32.
  const int lift = std::countl_zero(sum);
  const std::uint64_t inverse = divide(std::uint64_t{1} << 63, (sum << lift) >> 32);
  const int shift = 64 - lift;
  for (std::uint32_t& weight : weights) {
    weight =
        static_cast<std::uint32_t>((weight * inverse + (std::uint64_t{1} << (shift - 1))) >> shift);
  }
}

}  // namespace

std::uint64_t softmax_weights(std::span<std::uint32_t> scores, std::int32_t largest) {
  std::uint64_t sum = 0;
  while (!scores.empty()) {
    const auto fold = scores.first(std::min(scores.size(), kWeightsPerFold));
    std::uint32_t part = 0;
    for (std::uint32_t& score : fold) {
      score = softmax_weight(score, largest);
      part += score;
    }
    sum += part;
    scores = scores.subspan(fold.size());
  }
  return sum;
}

void softmax_s32_u32(std::span<std::uint32_t> weights, std::span<const std::int32_t> scores,
                     int fraction_bits) {
  MOTE_ASSERT(weights.size() == scores.size() && scores.size() <= kMaxSoftmaxScores);
  MOTE_ASSERT(0 <= fraction_bits && fraction_bits <= 31);
  const std::int32_t largest = largest_of(scores);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    // The difference of two int32 always fits uint32.
    const std::uint32_t below =
        static_cast<std::uint32_t>(largest) - static_cast<std::uint32_t>(scores[i]);
    weights[i] = scores[i] == kMaskedScore ? 0 : exp_negative(below, fraction_bits);
    sum += weights[i];
  }
  if (sum != 0) share_one(weights, sum);
}

}  // namespace mote
