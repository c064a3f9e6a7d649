// SPDX-License-Identifier: Apache-2.0
// The steps of quantisation with AVX2, for the kernels that end in it: eight lanes at a time, in 32
// bits each.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/round_block_x86.hpp"

namespace mote::avx2 {

// Inline by force: no copy of these may be kept for other machines.

/// A ratio that is so raised that the upper half of a product of 64 bits is all that matters, and
/// by what that is shifted before it is halved and rounded.
struct HalvesRounding {
  std::int32_t ratio;
  int shift;
};

[[gnu::always_inline]] inline HalvesRounding halves_of(const BlockRounding& rounding) {
  const int lift = __builtin_clz(rounding.ratio) - 1;
  return {static_cast<std::int32_t>(rounding.ratio << lift), rounding.shift + lift - 33};
}

/// Whether lanes that are brought to 31 bits can be rounded so.
[[gnu::always_inline]] inline bool is_rounded_in_halves(const BlockRounding& rounding) {
  return halves_of(rounding).shift >= 0;
}

/// The rounding of a block, of lanes that are brought to 31 bits.
struct LaneRounding {
  __m256i ratio;
  __m128i shift;
};

[[gnu::always_inline]] inline LaneRounding lane_rounding(const BlockRounding& rounding) {
  const HalvesRounding halves = halves_of(rounding);
  return {_mm256_set1_epi32(halves.ratio), _mm_cvtsi32_si128(halves.shift)};
}

[[gnu::always_inline]] inline __m256i round_lanes(__m256i lanes, const LaneRounding& rounding) {
  const __m256i even = _mm256_srli_epi64(_mm256_mul_epi32(lanes, rounding.ratio), 32);
  const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(lanes, 32), rounding.ratio);
  const __m256i high = _mm256_sra_epi32(_mm256_blend_epi32(even, odd, 0xaa), rounding.shift);
  return _mm256_srai_epi32(_mm256_add_epi32(high, _mm256_set1_epi32(1)), 1);
}

/// Rounds `count` lanes. load(first lane, lanes) gives up to eight, those that are not there any.
template <typename Load>
[[gnu::always_inline]] inline void store_rounded(std::int8_t* out, std::size_t count,
                                                 const BlockRounding& block, const Load& load) {
  constexpr std::size_t kLanes = 8;
  const LaneRounding rounding = lane_rounding(block);
  const auto round = [&](std::size_t i) __attribute__((always_inline)) {
    return round_lanes(load(i, kLanes), rounding);
  };
  std::size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    const __m256i low = _mm256_packs_epi32(round(i), round(i + kLanes));
    const __m256i high = _mm256_packs_epi32(round(i + 2 * kLanes), round(i + 3 * kLanes));
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high),
                                                      _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), bytes);
  }
  for (; i < count; i += kLanes) {
    const std::size_t rest = count - i < kLanes ? count - i : kLanes;
    const __m256i lanes = round_lanes(load(i, rest), rounding);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    const std::int64_t bytes = _mm_cvtsi128_si64(_mm_packs_epi16(words, words));
    std::memcpy(out + i, &bytes, rest);
  }
}

/// The largest of eight unsigned numbers.
[[gnu::always_inline]] inline std::uint32_t largest_of(__m256i numbers) {
  __m128i most =
      _mm_max_epu32(_mm256_castsi256_si128(numbers), _mm256_extracti128_si256(numbers, 1));
  most = _mm_max_epu32(most, _mm_shuffle_epi32(most, 0x4e));
  most = _mm_max_epu32(most, _mm_shuffle_epi32(most, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(most));
}

}  // namespace mote::avx2
