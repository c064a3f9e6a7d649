// SPDX-License-Identifier: Apache-2.0
// What sums of rows and maxima of blocks end in.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace mote::avx512 {

// Inline by force: no copy of it may be kept for other machines.

/// out[i] = all eight numbers of 64 bits of in[i], joined by `join`, in any order.
template <typename Join>
[[gnu::always_inline]] inline __m512i fold_each(const __m512i (&in)[8], const Join& join) {
  __m512i pairs[4];
  for (std::size_t i = 0; i < 4; ++i) {
    pairs[i] = join(_mm512_unpacklo_epi64(in[2 * i], in[2 * i + 1]),
                    _mm512_unpackhi_epi64(in[2 * i], in[2 * i + 1]));
  }
  __m512i fours[2];
  for (std::size_t i = 0; i < 2; ++i) {
    fours[i] = join(_mm512_shuffle_i64x2(pairs[2 * i], pairs[2 * i + 1], 0x88),
                    _mm512_shuffle_i64x2(pairs[2 * i], pairs[2 * i + 1], 0xdd));
  }
  return join(_mm512_shuffle_i64x2(fours[0], fours[1], 0x88),
              _mm512_shuffle_i64x2(fours[0], fours[1], 0xdd));
}

}  // namespace mote::avx512
