// SPDX-License-Identifier: Apache-2.0
#include "attention/attend.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "base/platform.hpp"
#include "kernels/exp2.hpp"
#include "kernels/head_rows.hpp"
#include "kernels/quantize.hpp"
#include "kernels/softmax.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

// Bits of a dot product (256 lanes, 2^22) times two mantissas (2^12 and 2^20), without the sign.
constexpr int kScoreProductBits = 54;
static_assert(std::int64_t{kMaxHeadSize} * 128 * 127 < (1 << 22));
/// Bits by which a dot product can be raised within 32, so that the upper half of its 64-bit
/// product with the mantissas is all that a score needs. 9 for 256 lanes.
int dot_raise(std::size_t head_size) {
  return std::countl_zero(static_cast<std::uint32_t>(head_size << 14)) - 1;
}

// A position's weight times its value scale has at most this many bits, relative to the largest.
constexpr int kContributionBits = 20;
static_assert(kMaxRowWeight == 1 << kContributionBits);
// Bits of a weight (2^24) times a mantissa (below 2^12) that do not fit 32.
constexpr int kProductDrop = 5;

// The scales of stored positions are decoded here rather than by Scale16, 32 bits at a time; those
// below 2^11, which have no implied bit, are rare and left to Scale16. Where space matters all are.
constexpr std::uint32_t kFirstNormal = 0x800;

/// The mantissa of a scale of kFirstNormal or more.
std::uint32_t normal_mantissa(std::uint32_t bits) {
  return (bits & 0x7ffU) | 0x800U;
}

/// The upper half of a product.
std::uint32_t high_product(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((std::uint64_t{a} * b) >> 32);
}

/// floor(weight * mantissa / 2^kProductDrop). // weight up to 2^24, mantissa below 2^12
std::uint32_t dropped_product(std::uint32_t weight, std::uint32_t mantissa) {
  return high_product(weight << 7, mantissa << (25 - kProductDrop));
}

/// A score of any scale: dot * scale * factor in Q16, rounded half up and saturated. Like all that
/// is rare here it is kept out of line, for the registers of the loops.
[[gnu::noinline]] std::int32_t score_of(std::int32_t dot, Scale16 scale, Multiplier factor) {
  const std::int64_t product = std::int64_t{dot} * (scale.mantissa() * factor.mantissa);
  static_assert(kScoreProductBits <= 62);
  return shift_saturate(product, -(factor.exponent + scale.exponent()));
}

/// The largest score so far, and the value scale of a position that has it.
struct Largest {
  std::int32_t score = std::numeric_limits<std::int32_t>::min();
  Scale16 value_scale;
};

/// Base-2 scores of a segment in Q16.
void score_segment(std::uint32_t* scores, Largest& largest, const KvSegment& segment,
                   QuantizedVector query, Multiplier score_scale, std::size_t head_size) {
  const Multiplier factor = normalized(
      std::uint64_t{query.scale.mantissa()} * score_scale.mantissa,
      query.scale.exponent() + score_scale.exponent + kScoreFractionBits - 2 * kScaleFractionBits);
  auto* dots = reinterpret_cast<std::int32_t*>(scores);
  const std::int32_t* const end = dots + segment.count;
  const Scale16* scale = segment.key_scales;
  dot_rows_s8_s32(dots, segment.keys, query.values, segment.count, head_size);
  // With the stored exponent e the upper half is shifted by base - e + 1 bits, one of which rounds.
  // That holds for normal scales and shifts within 32 bits, those from `first` on.
  const int raise = dot_raise(head_size);
  const int base = raise + 1 - 33 - factor.exponent;
  const int first = std::max<int>(1, base - 31);
  const int count = std::min<int>(31, base) - first + 1;
  const auto usual = static_cast<std::uint32_t>(std::max<int>(count, 0));
  std::int32_t best = largest.score;
  for (; dots != end; ++dots, ++scale) {
    const std::uint32_t bits = scale->bits;
    const std::uint32_t exponent = bits >> 11;
    std::int32_t score = 0;
    if (!kFavorsSize && exponent - static_cast<std::uint32_t>(first) < usual) {
      const std::int64_t product =
          std::int64_t{*dots * (1 << raise)} * (normal_mantissa(bits) * factor.mantissa);
      const auto high = static_cast<std::int32_t>(product >> 32);
      score = ((high >> (base - static_cast<int>(exponent))) + 1) >> 1;
    } else {
      score = score_of(*dots, *scale, factor);
    }
    *dots = score;
    if (score > best) {
      best = score;
      largest.value_scale = segment.value_scales[scale - segment.key_scales];
    }
  }
  largest.score = best;
}

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

  void offer(std::uint32_t weight, Scale16 scale) {
    if (scale.bits < limit_) return;
    // A product has at most 12 bits more than the weight.
    const int shift = width_ - 12 - scale.exponent();
    if (shift < 0 || weight >> shift != 0) widen(weight, scale);
  }

 private:
  [[gnu::noinline]] void widen(std::uint32_t weight, Scale16 scale) {
    const std::uint64_t product = std::uint64_t{weight} * scale.mantissa();
    if (product == 0) return;
    width_ = std::max<int>(width_, significant_bits(product) + scale.exponent());
    // 2^excess as Scale16 has it.
    const int excess = width_ - kWeightFractionBits;
    limit_ = excess < 11 ? 1U << std::max<int>(excess, 0)
                         : static_cast<std::uint32_t>(excess - 10) << 11;
  }

  int width_ = 0;
  std::uint32_t limit_ = 0;  // scales below times the largest weight, 2^24, need no further bit
};

/// Replaces a segment's scores by weights and adds to `totals` what they say.
void weigh_segment(std::uint32_t* scores, WeightTotals& totals, const KvSegment& segment,
                   std::int32_t largest) {
  WeightTotals result = totals;
  const Scale16* scale = segment.value_scales;
  const std::uint32_t* const end = scores + segment.count;
  while (scores != end) {
    const auto left = static_cast<std::size_t>(end - scores);
    const std::uint32_t* const fold_end = scores + std::min(left, kWeightsPerFold);
    std::uint32_t sum = 0;
    for (; scores != fold_end; ++scores, ++scale) {
      const std::uint32_t weight = softmax_weight(*scores, largest);
      *scores = weight;
      sum += weight;
      result.offer(weight, *scale);
    }
    result.sum += sum;
  }
  totals = result;
}

/// weight * scale in units of 2^(width - 20), rounded half up; at most 2^20. A width is at most 66
/// (24 and 12 bits, shifted by 30), so that no shift is longer than 46.
[[gnu::noinline]] std::int32_t contribution(std::uint32_t weight, Scale16 scale, int width) {
  const std::uint64_t product = std::uint64_t{weight} * scale.mantissa();
  const int shift = width - kContributionBits - scale.exponent();
  if (shift > 0) {
    return static_cast<std::int32_t>(shift_round(static_cast<std::int64_t>(product), shift));
  }
  return product == 0 ? 0 : static_cast<std::int32_t>(product << -shift);
}

/// Replaces a segment's weights by contributions.
void scale_segment(std::uint32_t* weights, const KvSegment& segment, int width) {
  // With the stored exponent e the dropped product is shifted by base - e + 1 bits, one of which
  // rounds.
  const int base = width - kContributionBits - kProductDrop;
  const Scale16* scale = segment.value_scales;
  const std::uint32_t* const end = weights + segment.count;
  for (; weights != end; ++weights, ++scale) {
    const std::uint32_t bits = scale->bits;
    const std::uint32_t shift = static_cast<std::uint32_t>(base) - (bits >> 11);
    if (!kFavorsSize && bits >= kFirstNormal && shift < 32) {
      *weights = ((dropped_product(*weights, normal_mantissa(bits)) >> shift) + 1) >> 1;
    } else {
      *weights = static_cast<std::uint32_t>(contribution(*weights, *scale, width));
    }
  }
}

}  // namespace

KvRows::KvRows(std::span<std::byte> memory, std::size_t rows, std::uint32_t head_size)
    : head_size_(head_size) {
  MOTE_ASSERT(memory.size() >= bytes(rows, head_size));
  Arena arena(memory);
  keys_ = arena.take<std::int8_t>(rows * head_size).data();
  values_ = arena.take<std::int8_t>(rows * head_size).data();
  key_scales_ = arena.take<Scale16>(rows).data();
  value_scales_ = arena.take<Scale16>(rows).data();
}

void KvRows::store(std::size_t row, const QuantizedVector& key, const QuantizedVector& value) {
  std::copy_n(key.values, head_size_, keys_ + row * head_size_);
  std::copy_n(value.values, head_size_, values_ + row * head_size_);
  key_scales_[row] = key.scale;
  value_scales_[row] = value.scale;
}

KvSegment segment_of(const KvRows& rows, std::size_t first, std::uint32_t count) {
  return {rows.keys(first), rows.values(first), rows.key_scales(first), rows.value_scales(first),
          count};
}

Scale16 quantize(std::int8_t* out, const WideVector& wide) {
  return quantize_block_s64_s8(out, wide.values, wide.unit);
}

Multiplier reciprocal(std::uint64_t value, int exponent) {
  const int lift = std::countl_zero(value);
  const std::uint64_t top = (value << lift) >> 32;
  return {static_cast<std::uint32_t>(divide(std::uint64_t{1} << 51, top)), exponent + lift - 83};
}

Multiplier attention_scale(std::uint32_t head_size) {
  // log2(e)^2 in Q60; its root over head_size is log2(e) / sqrt(head_size) in Q30.
  constexpr std::uint64_t kLog2eSquaredQ60 = 2399655057223005247ULL;
  return normalized(integer_sqrt(divide(kLog2eSquaredQ60, head_size)), -30);
}

void ref::attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                          std::span<const KvSegment> segments,
                          std::span<const QuantizedVector> queries, Multiplier score_scale) {
  MOTE_ASSERT(out.values.size() <= kMaxHeadSize);
  MOTE_ASSERT(queries.size() == 1 || queries.size() == segments.size());
  const std::size_t head_size = out.values.size();
  std::uint32_t* scores = scratch.data();
  Largest largest;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const QuantizedVector query = queries[queries.size() == 1 ? 0 : s];
    score_segment(scores, largest, segments[s], query, score_scale, head_size);
    scores += segments[s].count;
  }
  WeightTotals totals(largest.value_scale);
  std::uint32_t* weights = scratch.data();
  for (const KvSegment& segment : segments) {
    weigh_segment(weights, totals, segment, largest.score);
    weights += segment.count;
  }
  const int width = totals.width();
  std::fill(out.values.begin(), out.values.end(), std::int64_t{0});
  weights = scratch.data();
  for (const KvSegment& segment : segments) {
    scale_segment(weights, segment, width);
    add_rows_s8_s64(out.values.data(), segment.values,
                    reinterpret_cast<const std::int32_t*>(weights), segment.count, head_size);
    weights += segment.count;
  }
  out.unit = reciprocal(totals.sum, width - kContributionBits - kScaleFractionBits);
}

}  // namespace mote
