// SPDX-License-Identifier: Apache-2.0
#include "attention/attend.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <limits>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/exp2.hpp"
#include "kernels/quantize.hpp"
#include "kernels/softmax.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

// A position's weight times its value scale has at most this many bits, relative to the largest.
constexpr int kContributionBits = 20;
// Products of a contribution and a lane, |p * v| <= 2^20 * 128, that int32 can add up.
constexpr std::uint32_t kPositionsPerFold = 15;
static_assert((std::int64_t{kPositionsPerFold} << (kContributionBits + 7)) < INT32_MAX);

// Bits of a dot product (256 lanes, 2^22) times two mantissas (2^12 and 2^20), without the sign.
constexpr int kScoreProductBits = 54;
static_assert(std::int64_t{kMaxHeadSize} * 128 * 127 < (1 << 22));

/// Memory for one value of every lane of a head, as `lanes_of` counts them.
template <typename T, std::size_t H>
using PerLane = std::array<T, H != 0 ? H : kMaxHeadSize>;

/// Lanes of a head: `H` where it is fixed, so that loops unroll, else (0) any number.
template <std::size_t H>
constexpr std::size_t lanes_of(std::size_t head_size) {
  return H != 0 ? H : head_size;
}

template <std::size_t H>
std::int32_t dot(const std::int16_t* query, const std::int8_t* key, std::size_t head_size) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < lanes_of<H>(head_size); ++i) sum += query[i] * key[i];
  return sum;
}

/// A loop so short that gcc would take it apart before it looks for instructions that multiply and
/// add pairs of int16.
template <>
std::int32_t dot<16>(const std::int16_t* query, const std::int8_t* key, std::size_t) {
  std::int32_t sum = 0;
#pragma GCC unroll 1
  for (std::size_t i = 0; i < 16; ++i) sum += query[i] * key[i];
  return sum;
}

/// product * 2^-shift, rounded half up and saturated. |product| < 2^kScoreProductBits
std::int32_t round_score(std::int64_t product, int shift) {
  // Nearly every score is one that no rounding saturates.
  if (kScoreProductBits - 31 <= shift && shift <= 62) {
    return static_cast<std::int32_t>(shift_round(product, shift));
  }
  return shift_saturate(product, shift);
}

/// Base-2 scores of a segment in Q16; returns the largest of them and `largest`.
template <std::size_t H>
std::int32_t score_segment(std::uint32_t* scores, std::int32_t largest, const KvSegment& segment,
                           QuantizedVector query, Multiplier score_scale, std::size_t head_size) {
  const Multiplier factor = normalized(
      std::uint64_t{query.scale.mantissa()} * score_scale.mantissa,
      query.scale.exponent() + score_scale.exponent + kScoreFractionBits - 2 * kScaleFractionBits);
  PerLane<std::int16_t, H> lanes;
  std::copy_n(query.values, lanes_of<H>(head_size), lanes.begin());
  const std::int8_t* key = segment.keys;
  for (std::uint32_t t = 0; t < segment.count; ++t, key += lanes_of<H>(head_size)) {
    const Scale16 scale = segment.key_scales[t];
    const std::int64_t product =
        std::int64_t{dot<H>(lanes.data(), key, head_size)} * (scale.mantissa() * factor.mantissa);
    const std::int32_t score = round_score(product, -(factor.exponent + scale.exponent()));
    scores[t] = static_cast<std::uint32_t>(score);
    largest = std::max(largest, score);
  }
  return largest;
}

/// What all positions together decide about the weights.
struct WeightTotals {
  std::uint64_t sum = 0;  // of the weights
  int width = 0;          // bits that the largest weight * value scale needs
};

/// Replaces a segment's scores by weights and adds to `totals` what they say.
void weigh_segment(std::uint32_t* scores, WeightTotals& totals, const KvSegment& segment,
                   std::int32_t largest) {
  std::uint64_t sum = 0;
  int width = totals.width;
  for (std::uint32_t t = 0; t < segment.count; ++t) {
    const std::uint32_t weight = softmax_weight(scores[t], largest);
    scores[t] = weight;
    sum += weight;
    const Scale16 scale = segment.value_scales[t];
    const std::uint64_t product = std::uint64_t{weight} * scale.mantissa();
    if (product != 0) width = std::max<int>(width, significant_bits(product) + scale.exponent());
  }
  totals.sum += sum;
  totals.width = width;
}

/// weight * scale in units of 2^(width - 20), rounded half up; at most 2^20. A width is at most 66
/// (24 and 12 bits, shifted by 30), so that no shift is longer than 46.
std::int32_t contribution(std::uint32_t weight, Scale16 scale, int width) {
  const std::uint64_t product = std::uint64_t{weight} * scale.mantissa();
  const int shift = width - kContributionBits - scale.exponent();
  if (shift > 0) {
    return static_cast<std::int32_t>(shift_round(static_cast<std::int64_t>(product), shift));
  }
  return product == 0 ? 0 : static_cast<std::int32_t>(product << -shift);
}

/// sums[i] += p * value[i]. `P` is int16 where p allows it, because every vector unit multiplies 16
/// bits and not every one 32.
template <std::size_t H, typename P>
void add_lanes(std::int32_t* sums, P p, const std::int8_t* value, std::size_t head_size) {
  for (std::size_t i = 0; i < lanes_of<H>(head_size); ++i) {
    sums[i] += p * static_cast<std::int16_t>(value[i]);
  }
}

/// out[i] += sum over positions of contribution * values[t][i].
template <std::size_t H>
void add_values(std::span<std::int64_t> out, const std::uint32_t* weights, const KvSegment& segment,
                int width) {
  const std::size_t lanes = lanes_of<H>(out.size());
  PerLane<std::int32_t, H> sums;
  for (std::uint32_t first = 0; first < segment.count; first += kPositionsPerFold) {
    const std::uint32_t end = std::min<std::uint32_t>(segment.count, first + kPositionsPerFold);
    std::fill_n(sums.begin(), lanes, 0);
    for (std::uint32_t t = first; t < end; ++t) {
      const std::int32_t p = contribution(weights[t], segment.value_scales[t], width);
      if (p == 0) continue;
      const std::int8_t* value = segment.values + t * lanes;
      if (H == 8 || p > INT16_MAX) {
        add_lanes<H>(sums.data(), p, value, lanes);
      } else {
        add_lanes<H>(sums.data(), static_cast<std::int16_t>(p), value, lanes);
      }
    }
    for (std::size_t i = 0; i < lanes; ++i) out[i] += sums[i];
  }
}

/// attend_segments for heads of `H` lanes.
template <std::size_t H>
void attend(WideVector& out, std::span<std::uint32_t> scratch, std::span<const KvSegment> segments,
            std::span<const QuantizedVector> queries, Multiplier score_scale) {
  std::uint32_t* scores = scratch.data();
  std::int32_t largest = std::numeric_limits<std::int32_t>::min();
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const QuantizedVector query = queries[queries.size() == 1 ? 0 : s];
    largest = score_segment<H>(scores, largest, segments[s], query, score_scale, out.values.size());
    scores += segments[s].count;
  }
  WeightTotals totals;
  std::uint32_t* weights = scratch.data();
  for (const KvSegment& segment : segments) {
    weigh_segment(weights, totals, segment, largest);
    weights += segment.count;
  }
  std::fill(out.values.begin(), out.values.end(), std::int64_t{0});
  weights = scratch.data();
  for (const KvSegment& segment : segments) {
    add_values<H>(out.values, weights, segment, totals.width);
    weights += segment.count;
  }
  out.unit = reciprocal(totals.sum, totals.width - kContributionBits - kScaleFractionBits);
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

void KvRows::store(std::size_t row, QuantizedVector key, QuantizedVector value) {
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

void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale) {
  MOTE_ASSERT(out.values.size() <= kMaxHeadSize);
  MOTE_ASSERT(queries.size() == 1 || queries.size() == segments.size());
  if constexpr (kFavorsSize) return attend<0>(out, scratch, segments, queries, score_scale);
  switch (out.values.size()) {
    case 8:
      return attend<8>(out, scratch, segments, queries, score_scale);
    case 16:
      return attend<16>(out, scratch, segments, queries, score_scale);
    case 32:
      return attend<32>(out, scratch, segments, queries, score_scale);
    default:
      return attend<0>(out, scratch, segments, queries, score_scale);
  }
}

}  // namespace mote
