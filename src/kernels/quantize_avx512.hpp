// SPDX-License-Identifier: Apache-2.0
// The steps of quantisation with AVX-512, for the kernels that end in it.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/round_block_x86.hpp"

namespace mote::avx512 {

using x86::find_rounding;

// Inline by force: no copy of these may be kept for other machines.

/// Eight lanes rounded, in 64 bits each.
[[gnu::always_inline]] inline __m512i round_lanes(__m512i lanes, const BlockRounding& rounding) {
  const __m512i half_drop =
      _mm512_set1_epi64(static_cast<std::int64_t>((std::uint64_t{1} << rounding.drop) >> 1));
  const __m512i half = _mm512_set1_epi64(std::int64_t{1} << (rounding.shift - 1));
  const __m512i top =
      _mm512_sra_epi64(_mm512_add_epi64(lanes, half_drop), _mm_cvtsi32_si128(rounding.drop));
  const __m512i product = _mm512_mul_epi32(top, _mm512_set1_epi64(rounding.ratio));
  return _mm512_sra_epi64(_mm512_add_epi64(product, half), _mm_cvtsi32_si128(rounding.shift));
}

}  // namespace mote::avx512
