// SPDX-License-Identifier: Apache-2.0
// Softmax attention as docs/NUMERICS.md says it, one position after the other in 64 bits: what
// attend_segments must give bit for bit. Without heap, so that boards run it too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "attention/attend.hpp"
#include "base/fixed_point.hpp"
#include "kernels/exp2.hpp"

namespace mote::test {

inline std::int32_t plain_score(QuantizedVector query, const std::int8_t* key, Scale16 key_scale,
                                Multiplier score_scale, std::size_t head_size) {
  std::int32_t dot = 0;
  for (std::size_t i = 0; i < head_size; ++i) dot += query.values[i] * key[i];
  const Multiplier factor = normalized(
      std::uint64_t{query.scale.mantissa()} * score_scale.mantissa,
      query.scale.exponent() + score_scale.exponent + kScoreFractionBits - 2 * kScaleFractionBits);
  return shift_saturate(std::int64_t{dot} * (key_scale.mantissa() * factor.mantissa),
                        -(factor.exponent + key_scale.exponent()));
}

/// Q30 rounded to Q24.
inline std::uint32_t plain_weight(std::int32_t score, std::int32_t largest) {
  const std::uint32_t below =
      static_cast<std::uint32_t>(largest) - static_cast<std::uint32_t>(score);
  return (exp2_negative(below) + 32) >> 6;
}

/// weight * scale in units of 2^(width - 20), rounded half up.
inline std::int64_t plain_contribution(std::uint32_t weight, Scale16 scale, int width) {
  const auto product = static_cast<std::int64_t>(std::uint64_t{weight} * scale.mantissa());
  const int shift = width - 20 - scale.exponent();
  return shift >= 0 ? shift_round(product, shift) : product * (std::int64_t{1} << -shift);
}

/// Writes what attend_segments does, but for the scratch, which has other words in the end.
inline void plain_attention(WideVector& out, std::span<std::int32_t> scores,
                            std::span<const KvSegment> segments,
                            std::span<const QuantizedVector> queries, Multiplier score_scale) {
  const std::size_t n = out.values.size();
  std::size_t at = 0;
  for (std::size_t s = 0; s < segments.size(); ++s) {
    const QuantizedVector query = queries[queries.size() == 1 ? 0 : s];
    for (std::uint32_t t = 0; t < segments[s].count; ++t) {
      scores[at++] =
          plain_score(query, segments[s].keys + t * n, segments[s].key_scales[t], score_scale, n);
    }
  }
  const std::int32_t largest = *std::ranges::max_element(scores.first(at));
  std::uint64_t sum = 0;
  int width = 0;
  at = 0;
  for (const KvSegment& segment : segments) {
    for (std::uint32_t t = 0; t < segment.count; ++t, ++at) {
      const std::uint64_t weight = plain_weight(scores[at], largest);
      sum += weight;
      const std::uint64_t product = weight * segment.value_scales[t].mantissa();
      if (product == 0) continue;
      width = std::max(width, significant_bits(product) + segment.value_scales[t].exponent());
    }
  }
  std::ranges::fill(out.values, 0);
  at = 0;
  for (const KvSegment& segment : segments) {
    for (std::uint32_t t = 0; t < segment.count; ++t, ++at) {
      const std::int64_t p =
          plain_contribution(plain_weight(scores[at], largest), segment.value_scales[t], width);
      for (std::size_t i = 0; i < n; ++i) out.values[i] += p * segment.values[t * n + i];
    }
  }
  out.unit = reciprocal(sum, width - 20 - kScaleFractionBits);
}

}  // namespace mote::test
