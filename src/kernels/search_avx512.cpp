// SPDX-License-Identifier: Apache-2.0
// Search with AVX-512, sixteen numbers at a time.
#include <immintrin.h>

#include "kernels/search_x86.hpp"

namespace mote::avx512 {

std::size_t find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                       std::int32_t bound) {
  constexpr std::size_t kStep = 16;
  const __m512i limit = _mm512_set1_epi32(bound);
  for (; first < count; first += kStep) {
    const std::size_t rest = count - first;
    const auto mask = static_cast<__mmask16>(rest < kStep ? (1U << rest) - 1U : 0xffffU);
    const __m512i some = _mm512_maskz_loadu_epi32(mask, numbers + first);
    const unsigned above = _mm512_mask_cmpgt_epi32_mask(mask, some, limit);
    if (above != 0) return first + static_cast<std::size_t>(__builtin_ctz(above));
  }
  return count;
}

}  // namespace mote::avx512
