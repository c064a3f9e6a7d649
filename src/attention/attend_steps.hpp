// SPDX-License-Identifier: Apache-2.0
// The steps of attend_segments, of which chips have forms of their own: attend_*.cpp and
// weigh_*.cpp, one of each in a build (src/sources.cmake).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "attention/attend.hpp"
#include "base/fixed_point.hpp"
#include "kernels/softmax.hpp"

namespace mote {

/// A position's weight times its value scale has at most this many bits, relative to the largest.
inline constexpr int kContributionBits = 20;

/// The largest score so far, and the value scale of a position that has it.
struct Largest {
  std::int32_t score = std::numeric_limits<std::int32_t>::min();
  Scale16 value_scale;
};

/// What all positions together decide about the weights: their sum, and how many bits the largest
/// product of weight and value scale needs.
class WeightTotals {
 public:
  std::uint64_t sum = 0;

  /// The position of the largest score has the largest weight. Only scales above its own, or not
  /// far below, can make a larger product.
  explicit WeightTotals(Scale16 scale_of_largest) {
    widen(1U << kWeightFractionBits, scale_of_largest);
  }

  /// Bits of the largest product; 0 where all are zero.
  int width() const { return width_; }
  /// Scales below times the largest weight, 2^24, need no further bit.
  std::uint32_t limit() const { return limit_; }

  [[gnu::noinline]] void widen(std::uint32_t weight, Scale16 scale) {
    const std::uint64_t product = std::uint64_t{weight} * scale.mantissa();
    if (product == 0) return;
    width_ = std::max<int>(width_, significant_bits(product) + scale.exponent());
    // 2^excess as Scale16 has it.
    const int excess = width_ - kWeightFractionBits;
    limit_ = excess < 11 ? 1U << std::max<int>(excess, 0)
                         : static_cast<std::uint32_t>(excess - 10) << 11;
  }

 private:
  int width_ = 0;
  std::uint32_t limit_ = 0;
};

/// Writes the base-2 scores of a segment in Q16, as score_of says them, and adds to `largest`.
///   scores (segment.count), query (head_size)
void score_segment(std::uint32_t* scores, Largest& largest, const KvSegment& segment,
                   const std::int8_t* query, Multiplier factor, std::size_t head_size);

/// Replaces a segment's scores by weights and adds to `totals` what they say.
///   scores (segment.count) Q16, largest of all segments
void weigh_segment(std::uint32_t* scores, WeightTotals& totals, const KvSegment& segment,
                   std::int32_t largest);

/// Adds the values of a segment, times their contributions, to `out`, which is zeroed before where
/// the segment `is_first`. The weights are used up.
///   out (head_size), weights (segment.count) Q24
void add_segment(std::int64_t* out, std::uint32_t* weights, const KvSegment& segment, int width,
                 std::size_t head_size, bool is_first);

/// attend_segments of two query heads of one K/V head together. False, with nothing done but to the
/// scratch, where that does not serve: the heads have other keys, or a size that has no form of its
/// own, or there is no room.
///   scratch (2 * positions)
bool attend_pair(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                 Multiplier score_scale);

/// What a dot product of query and key, times the key's scale, is multiplied by: a score in Q16.
inline Multiplier score_factor(const QuantizedVector& query, Multiplier score_scale) {
  return normalized(
      std::uint64_t{query.scale.mantissa()} * score_scale.mantissa,
      query.scale.exponent() + score_scale.exponent + kScoreFractionBits - 2 * kScaleFractionBits);
}

/// The unit of the sums that contributions of `totals` lead to.
inline Multiplier output_unit(const WeightTotals& totals) {
  return reciprocal(totals.sum, totals.width() - kContributionBits - kScaleFractionBits);
}

/// Zeroes `count` lanes, without a call of memset, which small libraries have for single bytes.
inline void clear_lanes(std::int64_t* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = 0;
    asm("" ::: "memory");
  }
}

/// dot * scale * factor, rounded half up and saturated; for any scale. // |dot| < 2^22
std::int32_t score_of(std::int32_t dot, Scale16 scale, Multiplier factor);

/// weight * scale in units of 2^(width - 20), rounded half up; at most 2^20. A width is at most 66
/// (24 and 12 bits, shifted by 30), so that no shift is longer than 46.
std::int32_t contribution(std::uint32_t weight, Scale16 scale, int width);

}  // namespace mote
