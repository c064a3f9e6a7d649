// SPDX-License-Identifier: Apache-2.0
#include "attention/attend.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "attention/attend_steps.hpp"
#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/exp2.hpp"
#include "kernels/quantize.hpp"
#include "kernels/softmax.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

// Bits of a dot product (256 lanes, 2^22) times two mantissas (2^12 and 2^20), without the sign.
constexpr int kScoreProductBits = 54;
static_assert(std::int64_t{kMaxHeadSize} * 128 * 127 < (1 << 22));

}  // namespace

std::int32_t score_of(std::int32_t dot, Scale16 scale, Multiplier factor) {
  const std::int64_t product = std::int64_t{dot} * (scale.mantissa() * factor.mantissa);
  static_assert(kScoreProductBits <= 62);
  return shift_saturate(product, -(factor.exponent + scale.exponent()));
}

std::int32_t contribution(std::uint32_t weight, Scale16 scale, int width) {
  const std::uint64_t product = std::uint64_t{weight} * scale.mantissa();
  const int shift = width - kContributionBits - scale.exponent();
  if (shift > 0) {
    return static_cast<std::int32_t>(shift_round(static_cast<std::int64_t>(product), shift));
  }
  return product == 0 ? 0 : static_cast<std::int32_t>(product << -shift);
}

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

namespace {

constexpr Multiplier scale_of_head(std::uint32_t head_size) {
  // log2(e)^2 in Q60; its root over head_size is log2(e) / sqrt(head_size) in Q30.
  constexpr std::uint64_t kLog2eSquaredQ60 = 2399655057223005247ULL;
  return normalized(integer_sqrt(divide(kLog2eSquaredQ60, head_size)), -30);
}

}  // namespace

Multiplier attention_scale(std::uint32_t head_size) {
  if constexpr (kFavorsSize) return scale_of_head(head_size);
  // Each layer asks for every token.
  constexpr Multiplier kEight = scale_of_head(8);
  constexpr Multiplier kSixteen = scale_of_head(16);
  constexpr Multiplier kThirtyTwo = scale_of_head(32);
  switch (head_size) {
    case 8:
      return kEight;
    case 16:
      return kSixteen;
    case 32:
      return kThirtyTwo;
    default:
      return scale_of_head(head_size);
  }
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
    score_segment(scores, largest, segments[s], query.values, score_factor(query, score_scale),
                  head_size);
    scores += segments[s].count;
  }
  WeightTotals totals(largest.value_scale);
  std::uint32_t* weights = scratch.data();
  for (const KvSegment& segment : segments) {
    weigh_segment(weights, totals, segment, largest.score);
    weights += segment.count;
  }
  const int width = totals.width();
  weights = scratch.data();
  for (const KvSegment& segment : segments) {
    add_segment(out.values.data(), weights, segment, width, head_size, &segment == segments.data());
    weights += segment.count;
  }
  out.unit = output_unit(totals);
}

void ref::attend_two(HeadAttention (&heads)[2], std::span<std::uint32_t> scratch,
                     Multiplier score_scale) {
  if (attend_pair(heads, scratch, score_scale)) return;
  for (HeadAttention& head : heads) {
    ref::attend_segments(head.out, scratch, {&head.stored, 1}, {&head.query, 1}, score_scale);
  }
}

}  // namespace mote
