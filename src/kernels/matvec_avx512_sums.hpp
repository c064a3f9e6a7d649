// SPDX-License-Identifier: Apache-2.0
// A step of the vector and the sums of eight rows of int8, for matvec_avx512.cpp, which alone
// includes it. How the sums lie while they grow depends on the block.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/matvec.hpp"
#include "kernels/matvec_avx512_rows.hpp"

namespace mote::avx512 {
namespace {

/// What the 128 that are added to every int8 weight add to each four lanes, with the sign of
/// a number that takes it out.
INLINE __m512i start_of(__m512i x) {
  return _mm512_sub_epi32(_mm512_setzero_si512(),
                          _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(-128), x));
}

/// The sums of each four int32 of four rows: in each 128 bits, those of the rows side by side.
INLINE __m512i add_fours(const __m512i* rows) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(rows[0], rows[1]),
                                      _mm512_unpackhi_epi32(rows[0], rows[1]));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(rows[2], rows[3]),
                                      _mm512_unpackhi_epi32(rows[2], rows[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/// Sums of neighbouring 128 bits: those of a, then those of b.
INLINE __m512i add_parts(__m512i a, __m512i b) {
  return _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
}

/// Two numbers of each row in a step: those of rows 0 to 3 for the first block and for the second,
/// then those of rows 4 to 7.
INLINE __m512i first_of_two(__m512i dots) {
  return _mm512_permutexvar_epi32(
      _mm512_setr_epi32(0, 0, 1, 0, 2, 0, 3, 0, 8, 0, 9, 0, 10, 0, 11, 0), dots);
}
INLINE __m512i second_of_two(__m512i dots) {
  return _mm512_permutexvar_epi32(
      _mm512_setr_epi32(4, 0, 5, 0, 6, 0, 7, 0, 12, 0, 13, 0, 14, 0, 15, 0), dots);
}

/// What a step of the vector needs: its lanes, where sums begin, and the scales of its blocks as
/// RowSums<B> wants them.
template <std::uint32_t B>
struct Step {
  __m512i x;
  __m512i start;
  __m512i scale;
  __m512i second_scale;  // of blocks of 32
};

/// `lanes` of them, a multiple of B up to 64; the others become 0.
template <std::uint32_t B>
INLINE Step<B> load_step(const ActivationView& v, std::uint32_t lane, std::uint32_t lanes) {
  Step<B> step;
  step.x = _mm512_maskz_loadu_epi8(mask_of(lanes), v.values + lane);
  step.start = start_of(step.x);
  const auto blocks = static_cast<__mmask8>((1U << (lanes / B)) - 1U);
  const __m256i scales = _mm256_maskz_loadu_epi32(blocks, v.scales + lane / B);
  const __m512i all = _mm512_castsi256_si512(scales);
  if (B == 8) {
    step.scale = _mm512_cvtepu32_epi64(scales);
  } else if (B == 16) {
    step.scale = _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3), all);
  } else {
    step.scale = _mm512_broadcastd_epi32(_mm256_castsi256_si128(scales));
  }
  step.second_scale = B == 32 ? _mm512_permutexvar_epi32(_mm512_set1_epi32(1), all) : step.scale;
  return step;
}

/// 64-bit sums of eight rows. How they lie while they grow depends on the block.
template <std::uint32_t B>
struct RowSums {
  static_assert(B == 32 || B == 64);
  __m512i sums = _mm512_setzero_si512();

  INLINE void add(const __m512i (&dots)[kRows], const Step<B>& step) {
    const __m512i halves = add_parts(add_fours(dots), add_fours(dots + 4));
    const __m512i a = _mm512_mul_epi32(first_of_two(halves), step.scale);
    const __m512i b = _mm512_mul_epi32(second_of_two(halves), step.second_scale);
    sums = _mm512_add_epi64(sums, _mm512_add_epi64(a, b));
  }
  INLINE __m512i total() const { return sums; }
};

/// Each 128 bits are a block, and the rows stand side by side in them.
template <>
struct RowSums<16> {
  __m512i even[2] = {};  // rows 0 and 2, 4 and 6
  __m512i odd[2] = {};

  INLINE void add(const __m512i (&dots)[kRows], const Step<16>& step) {
    for (int i = 0; i < 2; ++i) {
      const __m512i fours = add_fours(dots + 4 * i);
      even[i] = _mm512_add_epi64(even[i], _mm512_mul_epi32(fours, step.scale));
      odd[i] = _mm512_add_epi64(odd[i], _mm512_mul_epi32(_mm512_srli_epi64(fours, 32), step.scale));
    }
  }
  INLINE __m512i total() const {
    const auto parts = [](__m512i a, __m512i b) INLINE_LAMBDA {
      return _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
    };
    const __m512i pairs = parts(parts(even[0], odd[0]), parts(even[1], odd[1]));
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7), pairs);
  }
};

/// Each 64 bits are a block.
template <>
struct RowSums<8> {
  __m512i sums[kRows] = {};

  INLINE void add(const __m512i (&dots)[kRows], const Step<8>& step) {
    for (std::uint32_t r = 0; r < kRows; ++r) {
      sums[r] = _mm512_add_epi64(sums[r], _mm512_mul_epi32(add_pairs(dots[r]), step.scale));
    }
  }
  INLINE __m512i total() const { return add_up(sums); }
};

}  // namespace
}  // namespace mote::avx512
