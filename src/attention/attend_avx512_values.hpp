// SPDX-License-Identifier: Apache-2.0
// The last step of attend_avx512.cpp, which alone includes it: values times contributions, which
// are taken apart into bytes.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "attention/attend_avx512_scores.hpp"

namespace mote::avx512 {
namespace {

using x86::kWidestOfDropped;

/// Contributions of sixteen positions, whose shifts are counted from `base`: of each four positions
/// their lowest bytes side by side, then the next ones.
template <bool kPadded>
INLINE __m512i load_digits(__mmask16& rare, const std::uint32_t* products, const Scale16* scales,
                           __mmask16 mask, __m512i base) {
  const __m512i shift = _mm512_sub_epi32(base, exponents_above(load_bits(scales, mask)));
  rare = static_cast<__mmask16>(rare |
                                _mm512_mask_cmplt_epi32_mask(mask, shift, _mm512_setzero_si512()));
  const __m512i product = Numbers<kPadded>::load(products, mask);
  const __m512i numbers = halve_round(_mm512_srlv_epi32(product, shift));
  const __m512i by_digit =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  return _mm512_shuffle_epi8(numbers, by_digit);
}

/// Adds sums of digits, which stand in units of 2^(8 d), to the lanes in `mask`; or to 0.
INLINE void add_digits(std::int64_t* out, const __m256i (&sums)[kDigits], __mmask8 mask,
                       bool is_first) {
  __m512i total = is_first ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi64(mask, out);
  for (int d = 0; d < kDigits; ++d) {
    total = _mm512_add_epi64(
        total, _mm512_slli_epi64(_mm512_cvtepi32_epi64(sums[d]), 8U * static_cast<unsigned>(d)));
  }
  _mm512_mask_storeu_epi64(out, mask, total);
}

/// The order of a vector of rows that has, of each four rows, their first lanes side by side, then
/// the next ones.
template <std::size_t H>
struct ByLane {
  alignas(64) std::uint8_t bytes[kBytes] = {};
  constexpr ByLane() {
    for (std::size_t i = 0; i < kBytes; ++i) {
      bytes[i] = static_cast<std::uint8_t>(i / (4 * H) * 4 * H + i % 4 * H + i % (4 * H) / 4);
    }
  }
};
template <std::size_t H>
constexpr ByLane<H> kByLane;

/// out[i] (+)= sum over positions of contribution * values[t][i], for heads of 8 and 16 lanes.
template <std::size_t H, bool kPadded>
INLINE __mmask16 add_short_values(std::int64_t* out, const std::uint32_t* products,
                                  const KvSegment& segment, __m512i base, bool is_first) {
  const __m512i index = _mm512_load_si512(&kByLane<H>);
  constexpr int kQuads = 16 / H;             // in a vector
  constexpr std::uint32_t kVectors = H / 4;  // a step
  const __m512i spread =
      _mm512_maskz_mov_epi32(kQuads == 2 ? 0xff00 : 0, set(4));  // by the quad's digits
  __m512i sums[kDigits] = {};
  __mmask16 rare = 0;
  for_each_step(segment.count, [&](std::uint32_t t, Step step) INLINE_LAMBDA {
    const __m512i digits =
        load_digits<kPadded>(rare, products + t, segment.value_scales + t, step.mask, base);
    for (std::uint32_t v = 0; v < kVectors; ++v) {
      const __mmask64 mask =
          first_bytes(static_cast<int>(step.count * H) - 64 * static_cast<int>(v));
      const __m512i rows = _mm512_permutexvar_epi8(
          index, _mm512_maskz_loadu_epi8(mask, segment.values + t * H + v * kBytes));
      for (int d = 0; d < kDigits; ++d) {
        const __m512i at = _mm512_add_epi32(spread, set(static_cast<int>(v) * 4 * kQuads + d));
        sums[d] = _mm512_dpbusd_epi32(sums[d], _mm512_permutexvar_epi32(at, digits), rows);
      }
    }
  });
  __m256i low[kDigits];
  __m256i high[kDigits];
  for (int d = 0; d < kDigits; ++d) {
    low[d] = _mm512_castsi512_si256(sums[d]);
    high[d] = _mm512_extracti64x4_epi64(sums[d], 1);
    if (H == 8) low[d] = _mm256_add_epi32(low[d], high[d]);
  }
  add_digits(out, low, 0xff, is_first);
  if (H == 16) add_digits(out + 8, high, 0xff, is_first);
  return rare;
}

/// The same for up to 64 lanes of longer heads, from the one at `from` on, of which `out` is. Where
/// there are no positions there may be no values, to which nothing can be added.
template <bool kPadded>
INLINE __mmask16 add_long_values(std::int64_t* out, const std::uint32_t* products,
                                 const KvSegment& segment, __m512i base, std::size_t from,
                                 std::size_t head_size, std::uint32_t lanes, bool is_first) {
  const __mmask64 mask = first_bytes(static_cast<int>(lanes));
  __m512i sums[4][kDigits];
  for (auto& group : sums) {
    for (__m512i& sum : group) sum = _mm512_setzero_si512();
  }
  __mmask16 rare = 0;
  for_each_step(segment.count, [&](std::uint32_t t, Step step) INLINE_LAMBDA {
    const __m512i digits =
        load_digits<kPadded>(rare, products + t, segment.value_scales + t, step.mask, base);
    for (std::uint32_t i = 0; i < kStep && i < step.count; i += kQuad) {
      // Rows past the last are any: their digits are 0.
      const auto row = [&](std::uint32_t r) {
        const std::uint32_t at = i + r < step.count ? i + r : i;
        return _mm512_maskz_loadu_epi8(mask, segment.values + ((t + at) * head_size + from));
      };
      const __m512i a = row(0);
      const __m512i b = row(1);
      const __m512i c = row(2);
      const __m512i d = row(3);
      const __m512i low_ab = _mm512_unpacklo_epi8(a, b);
      const __m512i low_cd = _mm512_unpacklo_epi8(c, d);
      const __m512i high_ab = _mm512_unpackhi_epi8(a, b);
      const __m512i high_cd = _mm512_unpackhi_epi8(c, d);
      // In each 128 bits, lanes 4 g to 4 g + 3 of its sixteen.
      const __m512i groups[4] = {
          _mm512_unpacklo_epi16(low_ab, low_cd), _mm512_unpackhi_epi16(low_ab, low_cd),
          _mm512_unpacklo_epi16(high_ab, high_cd), _mm512_unpackhi_epi16(high_ab, high_cd)};
      for (int digit = 0; digit < kDigits; ++digit) {
        const __m512i by = _mm512_permutexvar_epi32(set(static_cast<int>(i) + digit), digits);
        for (int g = 0; g < 4; ++g) {
          sums[g][digit] = _mm512_dpbusd_epi32(sums[g][digit], by, groups[g]);
        }
      }
    }
  });
  // Two groups hold eight neighbouring lanes in each 128 bits.
  for (int g = 0; g < 4; g += 2) {
    alignas(64) std::int32_t parts[kDigits][2][16];
    for (int d = 0; d < kDigits; ++d) {
      _mm512_store_si512(parts[d][0], sums[g][d]);
      _mm512_store_si512(parts[d][1], sums[g + 1][d]);
    }
    for (std::uint32_t p = 0; p < 4; ++p) {
      const std::uint32_t first = 16 * p + 4 * static_cast<std::uint32_t>(g);
      if (first >= lanes) break;
      __m256i eight[kDigits];
      for (int d = 0; d < kDigits; ++d) {
        eight[d] = _mm256_inserti128_si256(
            _mm256_castsi128_si256(
                _mm_load_si128(reinterpret_cast<const __m128i*>(&parts[d][0][4 * p]))),
            _mm_load_si128(reinterpret_cast<const __m128i*>(&parts[d][1][4 * p])), 1);
      }
      const std::uint32_t left = lanes - first;
      add_digits(out + first, eight, static_cast<__mmask8>(left < 8 ? (1U << left) - 1U : 0xffU),
                 is_first);
    }
  }
  return rare;
}

template <std::size_t H, bool kPadded>
INLINE __mmask16 add_values(std::int64_t* out, const std::uint32_t* products,
                            const KvSegment& segment, __m512i base, std::size_t head_size,
                            bool is_first) {
  if (H == 8 || H == 16) {
    constexpr std::size_t kSize = H == 8 ? 8 : 16;
    return add_short_values<kSize, kPadded>(out, products, segment, base, is_first);
  }
  __mmask16 rare = 0;
  for (std::size_t first = 0; first < head_size; first += kBytes) {
    const std::size_t rest = head_size - first;
    const auto lanes = static_cast<std::uint32_t>(rest < kBytes ? rest : kBytes);
    rare =
        static_cast<__mmask16>(rare | add_long_values<kPadded>(out + first, products, segment, base,
                                                               first, head_size, lanes, is_first));
  }
  return rare;
}

}  // namespace
}  // namespace mote::avx512
