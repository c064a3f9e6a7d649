// SPDX-License-Identifier: Apache-2.0
// The product of int4, for matvec_avx512.cpp, which alone includes it.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/matvec.hpp"
#include "kernels/matvec_avx512_rows.hpp"
#include "kernels/step_runs.hpp"

namespace mote::avx512 {
namespace {

/// Lanes of an int4 step: of each block the first halves, and the second halves.
template <std::uint32_t B>
struct Halves {
  __m512i low;
  __m512i high;
};

template <std::uint32_t B>
INLINE Halves<B> split_halves(const std::int8_t* x, std::uint32_t lanes) {
  const std::uint32_t rest = lanes > 64 ? lanes - 64 : 0;
  const __mmask64 first = ~std::uint64_t{0} >> (64 - (lanes - rest));
  const __mmask64 second = rest == 0 ? 0 : ~std::uint64_t{0} >> (64 - rest);
  const __m512i a = _mm512_maskz_loadu_epi8(first, x);
  const __m512i b = _mm512_maskz_loadu_epi8(second, x + 64);
  constexpr int kHalf = B / 8;  // int32 of a half block
  const __m512i index = _mm512_setr_epi32(
      0 / kHalf * kHalf + 0, 1 / kHalf * kHalf + 1, 2 / kHalf * kHalf + 2, 3 / kHalf * kHalf + 3,
      4 / kHalf * kHalf + 4, 5 / kHalf * kHalf + 5, 6 / kHalf * kHalf + 6, 7 / kHalf * kHalf + 7,
      8 / kHalf * kHalf + 8, 9 / kHalf * kHalf + 9, 10 / kHalf * kHalf + 10,
      11 / kHalf * kHalf + 11, 12 / kHalf * kHalf + 12, 13 / kHalf * kHalf + 13,
      14 / kHalf * kHalf + 14, 15 / kHalf * kHalf + 15);
  const __m512i next = _mm512_add_epi32(index, _mm512_set1_epi32(kHalf));
  return {_mm512_permutex2var_epi32(a, index, b), _mm512_permutex2var_epi32(a, next, b)};
}

/// The factor of each 64 bits of sums of 128 lanes, `count` of them.
template <std::uint32_t B>
INLINE __m512i spread_factors(const std::uint8_t* factors, std::uint32_t count) {
  const auto mask = static_cast<__mmask16>((1U << count) - 1U);
  const __m128i all = _mm_maskz_loadu_epi8(mask, factors);
  constexpr int k = B / 16;  // 64-bit sums a block
  const __m128i index =
      _mm_setr_epi8(0, 1 / k, 2 / k, 3 / k, 4 / k, 5 / k, 6 / k, 7 / k, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_cvtepu8_epi64(_mm_shuffle_epi8(all, index));
}

template <std::uint32_t B>
INLINE __m512i spread_scales_int4(const std::uint32_t* scales, std::uint32_t count) {
  const auto mask = static_cast<__mmask8>((1U << count) - 1U);
  const __m512i all = _mm512_castsi256_si512(_mm256_maskz_loadu_epi32(mask, scales));
  constexpr int k = B / 16;  // 64-bit sums a block
  const __m512i index =
      _mm512_setr_epi32(0, 0, 1 / k, 0, 2 / k, 0, 3 / k, 0, 4 / k, 0, 5 / k, 0, 6 / k, 0, 7 / k, 0);
  return _mm512_maskz_permutexvar_epi32(0x5555, index, all);
}

/// Adds one step of int4 to the sums of eight rows.
template <std::uint32_t B>
INLINE void add_int4(__m512i (&sums)[kRows], const std::uint8_t* const (&rows)[kRows],
                     const std::uint8_t* const (&factors)[kRows], const ActivationView& v,
                     std::uint32_t lane, std::uint32_t lanes, std::size_t pass) {
  const __mmask64 mask = ~std::uint64_t{0} >> (64 - lanes / 2);
  const __m512i nibble = _mm512_set1_epi8(15);
  const Halves<B> x = split_halves<B>(v.values + lane, lanes);
  const std::uint32_t blocks = lanes / B;
  const __m512i scale = spread_scales_int4<B>(v.scales + lane / B, blocks);
  const __m512i eight = _mm512_set1_epi8(8);
  const __m512i eights =
      _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), eight, x.low), eight, x.high);
  const __m512i start = _mm512_sub_epi32(_mm512_setzero_si512(), eights);
  fetch_ahead(rows[0], kRows * (lane / 2), pass);
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const __m512i w = lanes == 2 * kChunk ? _mm512_loadu_si512(rows[r] + lane / 2)
                                          : _mm512_maskz_loadu_epi8(mask, rows[r] + lane / 2);
    __m512i dots = _mm512_dpbusd_epi32(start, _mm512_and_si512(w, nibble), x.low);
    dots = _mm512_dpbusd_epi32(dots, _mm512_and_si512(_mm512_srli_epi16(w, 4), nibble), x.high);
    const __m512i factor = spread_factors<B>(factors[r] + lane / B, blocks);
    const __m512i products = _mm512_mul_epi32(add_pairs(dots), factor);
    sums[r] = _mm512_add_epi64(sums[r], _mm512_mul_epi32(products, scale));
  }
}

template <std::uint32_t B>
void matvec_int4(std::int32_t* out, const MatrixView& m, const ActivationView& x, int unit) {
  constexpr std::uint32_t kStep = 2 * kChunk;
  const std::size_t blocks = m.columns / B;
  const std::size_t pass = kRows * std::size_t{m.columns / 2};
  StepRuns runs;
  find_runs<B, kStep>(runs, x.scales, m.columns);
  for (std::uint32_t first = 0; first < m.rows; first += kRows) {
    const std::uint32_t count = m.rows - first < kRows ? m.rows - first : kRows;
    const std::uint8_t* rows[kRows];
    const std::uint8_t* factors[kRows];
    for (std::uint32_t r = 0; r < kRows; ++r) {
      const std::size_t row = first + (r < count ? r : 0);
      rows[r] = m.weights + row * (m.columns / 2);
      factors[r] = m.block_factors + row * blocks;
    }
    __m512i sums[kRows];
    for (__m512i& sum : sums) sum = _mm512_setzero_si512();
    for (std::uint32_t i = 0; i < runs.count; ++i) {
      const std::uint32_t end = runs.end[i];
      std::uint32_t lane = runs.first[i];
      for (; lane + kStep <= end; lane += kStep) {
        add_int4<B>(sums, rows, factors, x, lane, kStep, pass);
      }
      if (lane < end) add_int4<B>(sums, rows, factors, x, lane, end - lane, pass);
    }
    round_rows(out + first, add_up(sums), m.row_scales + first,
               static_cast<__mmask8>(0xffU >> (8 - count)), x.factor.mantissa, unit);
  }
}

}  // namespace
}  // namespace mote::avx512
