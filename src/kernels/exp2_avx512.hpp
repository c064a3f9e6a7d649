// SPDX-License-Identifier: Apache-2.0
// exp2_negative with AVX-512, of 64 exponents at once: tables of bytes stand in registers (VBMI),
// where gathering words from memory takes an instruction for each.
#pragma once

#include <immintrin.h>

#include "kernels/exp2_x86.hpp"

namespace mote::avx512 {

// Inline by force: no copy of these may be kept for other machines.

/// The numbers of a table of bytes at 64 places.
[[gnu::always_inline]] inline __m512i look_up(const std::uint8_t (&table)[256], __m512i index) {
  const __m512i low =
      _mm512_permutex2var_epi8(_mm512_load_si512(table), index, _mm512_load_si512(table + 64));
  const __m512i high = _mm512_permutex2var_epi8(_mm512_load_si512(table + 128), index,
                                                _mm512_load_si512(table + 192));
  return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(index), high);
}

/// Words of four vectors of their bytes, the lowest first, in the order of `bytes_of`.
[[gnu::always_inline]] inline void join_bytes(__m512i (&out)[4], __m512i b0, __m512i b1, __m512i b2,
                                              __m512i b3) {
  const __m512i low01 = _mm512_unpacklo_epi8(b0, b1);
  const __m512i low23 = _mm512_unpacklo_epi8(b2, b3);
  const __m512i high01 = _mm512_unpackhi_epi8(b0, b1);
  const __m512i high23 = _mm512_unpackhi_epi8(b2, b3);
  out[0] = _mm512_unpacklo_epi16(low01, low23);
  out[1] = _mm512_unpackhi_epi16(low01, low23);
  out[2] = _mm512_unpacklo_epi16(high01, high23);
  out[3] = _mm512_unpackhi_epi16(high01, high23);
}

/// power[v] = exp2_negative(below[v]), Q30, of exponents in Q16, for the first vectors.
template <std::uint32_t Vectors>
[[gnu::always_inline]] inline void exp2_negative(__m512i (&power)[4], const __m512i (&below)[4]) {
  const __m512i byte = _mm512_set1_epi32(0xff);
  __m512i index[4] = {};
  for (std::uint32_t v = 0; v < Vectors; ++v) {
    index[v] = _mm512_and_si512(_mm512_srli_epi32(below[v], 8), byte);
  }
  const __m512i at = _mm512_packus_epi16(_mm512_packus_epi32(index[0], index[1]),
                                         _mm512_packus_epi32(index[2], index[3]));
  const x86::Exp2Bytes& table = x86::kExp2Bytes;
  __m512i step[4];
  join_bytes(step, look_up(table.steps[0], at), look_up(table.steps[1], at),
             look_up(table.steps[2], at), _mm512_setzero_si512());
  join_bytes(power, look_up(table.powers[0], at), look_up(table.powers[1], at),
             look_up(table.powers[2], at), look_up(table.powers[3], at));
  for (std::uint32_t v = 0; v < Vectors; ++v) {
    const __m512i whole = _mm512_srli_epi32(below[v], 16);
    const __m512i product = _mm512_mullo_epi32(step[v], _mm512_and_si512(below[v], byte));
    const __m512i fall = _mm512_srli_epi32(_mm512_add_epi32(product, _mm512_set1_epi32(128)), 8);
    const __m512i twice = _mm512_slli_epi32(_mm512_sub_epi32(power[v], fall), 1);
    const __m512i rounded = _mm512_srli_epi32(
        _mm512_add_epi32(_mm512_srlv_epi32(twice, whole), _mm512_set1_epi32(1)), 1);
    power[v] =
        _mm512_maskz_mov_epi32(_mm512_cmplt_epu32_mask(whole, _mm512_set1_epi32(31)), rounded);
  }
}

}  // namespace mote::avx512
