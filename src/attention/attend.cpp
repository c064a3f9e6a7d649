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

std::int32_t dot_s8(const std::int8_t* a, const std::int8_t* b, std::size_t count) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += static_cast<std::int16_t>(a[i]) * static_cast<std::int16_t>(b[i]);
  }
  return sum;
}

/// Base-2 scores of a segment in Q16; returns the largest of them and `largest`.
std::int32_t score_segment(std::uint32_t* scores, std::int32_t largest, const KvSegment& segment,
                           QuantizedVector query, Multiplier score_scale, std::size_t head_size) {
  const Multiplier factor = normalized(
      std::uint64_t{query.scale.mantissa()} * score_scale.mantissa,
      query.scale.exponent() + score_scale.exponent + kScoreFractionBits - 2 * kScaleFractionBits);
  const std::int8_t* key = segment.keys;
  for (std::uint32_t t = 0; t < segment.count; ++t, key += head_size) {
    const Scale16 scale = segment.key_scales[t];
    const std::int64_t product =
        std::int64_t{dot_s8(query.values, key, head_size)} * (scale.mantissa() * factor.mantissa);
    const std::int32_t score = shift_saturate(product, -(factor.exponent + scale.exponent()));
    scores[t] = static_cast<std::uint32_t>(score);
    largest = std::max(largest, score);
  }
  return largest;
}

/// Bits that the largest weight * value scale of a segment needs.
int contribution_width(const std::uint32_t* weights, const KvSegment& segment, int width) {
  for (std::uint32_t t = 0; t < segment.count; ++t) {
    const Scale16 scale = segment.value_scales[t];
    const std::uint64_t product = std::uint64_t{weights[t]} * scale.mantissa();
    if (product != 0) width = std::max<int>(width, significant_bits(product) + scale.exponent());
  }
  return width;
}

/// weight * scale in units of 2^(width - 20), rounded half up; at most 2^20.
std::int32_t contribution(std::uint32_t weight, Scale16 scale, int width) {
  const std::uint64_t product = std::uint64_t{weight} * scale.mantissa();
  const int shift = width - kContributionBits - scale.exponent();
  if (shift > 0) {
    return static_cast<std::int32_t>(
        shift_round(static_cast<std::int64_t>(product), std::min<int>(shift, 62)));
  }
  return product == 0 ? 0 : static_cast<std::int32_t>(product << -shift);
}

/// out[i] += sum over positions of contribution * values[t][i].
void add_values(std::span<std::int64_t> out, const std::uint32_t* weights, const KvSegment& segment,
                int width) {
  const std::size_t head_size = out.size();
  std::array<std::int32_t, kMaxHeadSize> partial;
  const std::int8_t* value = segment.values;
  for (std::uint32_t first = 0; first < segment.count; first += kPositionsPerFold) {
    const std::uint32_t end = std::min<std::uint32_t>(segment.count, first + kPositionsPerFold);
    std::fill_n(partial.begin(), head_size, 0);
    for (std::uint32_t t = first; t < end; ++t, value += head_size) {
      const std::int32_t p = contribution(weights[t], segment.value_scales[t], width);
      for (std::size_t i = 0; i < head_size; ++i) partial[i] += p * value[i];
    }
    for (std::size_t i = 0; i < head_size; ++i) out[i] += partial[i];
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
  return {static_cast<std::uint32_t>((std::uint64_t{1} << 51) / top), exponent + lift - 83};
}

Multiplier attention_scale(std::uint32_t head_size) {
  // log2(e)^2 in Q60; its root over head_size is log2(e) / sqrt(head_size) in Q30.
  constexpr std::uint64_t kLog2eSquaredQ60 = 2399655057223005247ULL;
  return normalized(integer_sqrt(kLog2eSquaredQ60 / head_size), -30);
}

void attend_segments(WideVector& out, std::span<std::uint32_t> scratch,
                     std::span<const KvSegment> segments, std::span<const QuantizedVector> queries,
                     Multiplier score_scale) {
  const std::size_t head_size = out.values.size();
  MOTE_ASSERT(head_size <= kMaxHeadSize);
  MOTE_ASSERT(queries.size() == 1 || queries.size() == segments.size());

  std::size_t count = 0;
  std::int32_t largest = std::numeric_limits<std::int32_t>::min();
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const QuantizedVector query = queries[queries.size() == 1 ? 0 : s];
    largest = score_segment(&scratch[count], largest, segments[s], query, score_scale, head_size);
    count += segments[s].count;
  }
  const std::uint64_t sum = softmax_weights(scratch.first(count), largest);

  int width = 0;
  count = 0;
  for (const KvSegment& segment : segments) {
    width = contribution_width(&scratch[count], segment, width);
    count += segment.count;
  }
  std::fill(out.values.begin(), out.values.end(), std::int64_t{0});
  count = 0;
  for (const KvSegment& segment : segments) {
    add_values(out.values, &scratch[count], segment, width);
    count += segment.count;
  }
  out.unit = reciprocal(sum, width - kContributionBits - kScaleFractionBits);
}

}  // namespace mote
