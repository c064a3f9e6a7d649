// SPDX-License-Identifier: Apache-2.0
// Powers of two with AVX2, of eight exponents at once; the reference is exp2_negative.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/exp2.hpp"

namespace mote::avx2 {

// Inline by force: no copy of these may be kept for other machines.

/// Numbers of kPowersOfTwo and those that follow them.
struct PowerPairs {
  __m256i power;
  __m256i next;
};

/// Those at the places that the second bytes of eight words say. Each pair is one load of 64 bits:
/// gathers are slow on many processors.
[[gnu::always_inline]] inline PowerPairs look_up_powers(__m256i words) {
  const __m256i second = _mm256_broadcastsi128_si256(_mm_set1_epi32(0x0d090501));
  const __m256i places = _mm256_shuffle_epi8(words, second);
  const auto low_places =
      static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(places)));
  const auto high_places =
      static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm256_extracti128_si256(places, 1)));
  const auto pair = [&](int i) __attribute__((always_inline)) {
    const std::uint32_t place = (i < 4 ? low_places : high_places) >> (8 * (i % 4));
    return reinterpret_cast<const __m128i*>(&kPowersOfTwo[0] + (place & 0xff));
  };
  const auto two = [&](int i, int j) __attribute__((always_inline)) {
    return _mm_unpacklo_epi64(_mm_loadl_epi64(pair(i)), _mm_loadl_epi64(pair(j)));
  };
  const __m256 low = _mm256_castsi256_ps(_mm256_set_m128i(two(4, 5), two(0, 1)));
  const __m256 high = _mm256_castsi256_ps(_mm256_set_m128i(two(6, 7), two(2, 3)));
  return {_mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88)),
          _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd))};
}

/// 2^(-d / 2^16) in Q31, rounded down, of eight d: what exp2_negative halves and rounds, and more,
/// which is up to 1, where that is 0.
[[gnu::always_inline]] inline __m256i twice_exp2_negative(__m256i below) {
  const __m256i byte = _mm256_set1_epi32(0xff);
  const PowerPairs pairs = look_up_powers(below);
  const __m256i step = _mm256_sub_epi32(pairs.power, pairs.next);
  const __m256i product = _mm256_mullo_epi32(step, _mm256_and_si256(below, byte));
  const __m256i fall = _mm256_srli_epi32(_mm256_add_epi32(product, _mm256_set1_epi32(128)), 8);
  const __m256i twice = _mm256_slli_epi32(_mm256_sub_epi32(pairs.power, fall), 1);
  return _mm256_srlv_epi32(twice, _mm256_srli_epi32(below, 16));
}

}  // namespace mote::avx2
