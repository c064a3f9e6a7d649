// SPDX-License-Identifier: Apache-2.0
// What the products of matvec_avx512.cpp, which alone includes it, have in common: how weights are
// asked for in time, and how the sums of eight rows are added up and rounded.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/fold_avx512.hpp"
#include "kernels/isa_rounding.hpp"
#include "mote/matrix.hpp"

// Numbers in registers stay there only where everything is one function.
#define INLINE [[gnu::always_inline]] inline
#define INLINE_LAMBDA __attribute__((always_inline))

namespace mote::avx512 {
namespace {

constexpr std::uint32_t kRows = 8;
constexpr std::uint32_t kChunk = 64;  // lanes of int8 a step; int4 has twice as many
// Bytes; of 4096 to 16384, and of 1024 to 8192 behind the next pass, the best by measurement.
constexpr std::size_t kAhead = 8192;
constexpr std::size_t kBehindNext = 2048;
constexpr std::size_t kNear = 12288;  // smaller matrices are of models that the second cache holds

__mmask64 mask_of(std::uint32_t bytes) {
  return ~std::uint64_t{0} >> (64 - bytes);
}

/// Asks for weights that come later, in the order in which they lie: the rows of a pass are too
/// short for the machine to see where they lead, and all are read from its first step on. `at` of
/// the `pass` bytes at `weights` are done.
INLINE void fetch_ahead(const std::uint8_t* weights, std::size_t at, std::size_t pass) {
  const std::size_t ahead = std::max(kAhead, pass + kBehindNext);
  const auto address = reinterpret_cast<std::uintptr_t>(weights) + at + ahead;
  for (std::uint32_t i = 0; i < kRows; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(address + i * kChunk), _MM_HINT_T0);
  }
}

/// Asks for the rows of a later pass, of short rows: `pass` bytes, at most `Steps` chunks a row.
template <std::uint32_t Steps>
INLINE void fetch_later(const std::uint8_t* weights, std::size_t pass) {
  const auto address = reinterpret_cast<std::uintptr_t>(weights) + 4 * pass;
  for (std::uint32_t i = 0; i < kRows * Steps; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(address + i * kChunk), _MM_HINT_T0);
  }
}

/// Adds neighbouring int32; every 64 bits then hold their sum in the low half, and waste above it.
INLINE __m512i add_pairs(__m512i sums) {
  return _mm512_add_epi32(sums, _mm512_srli_epi64(sums, 32));
}

/// out[i] = the sum of the eight int64 of sums[i].
INLINE __m512i add_up(const __m512i (&sums)[kRows]) {
  return fold_each(sums, [](__m512i a, __m512i b) INLINE_LAMBDA { return _mm512_add_epi64(a, b); });
}

/// out[i] = round(sums[i] * mantissa * x_mantissa * 2^(unit + exponent)) of the rows in `mask`.
INLINE void round_rows(std::int32_t* out, __m512i sums, const Scale16* row_scales, __mmask8 mask,
                       std::uint32_t x_mantissa, int unit) {
  const __m512i bits = _mm512_cvtepu16_epi64(_mm_maskz_loadu_epi16(mask, row_scales));
  const __mmask8 is_normal = _mm512_cmpge_epu64_mask(bits, _mm512_set1_epi64(0x800));
  const __m512i fraction = _mm512_and_si512(bits, _mm512_set1_epi64(0x7ff));
  const __m512i mantissa = _mm512_mul_epu32(
      _mm512_mask_or_epi64(fraction, is_normal, fraction, _mm512_set1_epi64(0x800)),
      _mm512_set1_epi64(x_mantissa));
  // One more than the exponent.
  const __m512i above = _mm512_max_epu64(_mm512_srli_epi64(bits, 11), _mm512_set1_epi64(1));
  // Of the upper half of a product, one bit of which rounds.
  const __m512i shift = _mm512_sub_epi64(_mm512_set1_epi64(1 - 33 - unit), above);
  if (_mm512_mask_cmplt_epi64_mask(mask, shift, _mm512_setzero_si512()) != 0) {
    alignas(64) std::int64_t values[kRows];
    _mm512_store_si512(values, sums);
    for (std::uint32_t r = 0; r < kRows && (mask >> r) != 0; ++r) {
      out[r] = isa::round_row(values[r], row_scales[r], x_mantissa, unit);
    }
    return;
  }
  // sum * mantissa = high * 2^32 + a rest that is below what is rounded. |sum| < 2^61.
  const __m512i low = _mm512_srli_epi64(_mm512_mul_epu32(sums, mantissa), 32);
  const __m512i high =
      _mm512_add_epi64(_mm512_mullo_epi64(_mm512_srai_epi64(sums, 32), mantissa), low);
  const __m512i rounded =
      _mm512_srai_epi64(_mm512_add_epi64(_mm512_srav_epi64(high, shift), _mm512_set1_epi64(1)), 1);
  _mm256_mask_storeu_epi32(out, mask, _mm512_cvtsepi64_epi32(rounded));
}

}  // namespace
}  // namespace mote::avx512
