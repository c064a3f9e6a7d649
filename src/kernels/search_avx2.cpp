// SPDX-License-Identifier: Apache-2.0
// Search with AVX2, eight numbers at a time.
#include <immintrin.h>

#include "kernels/search_x86.hpp"

namespace mote::avx2 {

std::size_t find_above(const std::int32_t* numbers, std::size_t first, std::size_t count,
                       std::int32_t bound) {
  constexpr std::size_t kStep = 8;
  const __m256i limit = _mm256_set1_epi32(bound);
  for (; first + kStep <= count; first += kStep) {
    const __m256i some = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers + first));
    const auto above = static_cast<unsigned>(_mm256_movemask_epi8(_mm256_cmpgt_epi32(some, limit)));
    if (above != 0) return first + static_cast<std::size_t>(__builtin_ctz(above)) / sizeof bound;
  }
  return ref::find_above(numbers, first, count, bound);
}

}  // namespace mote::avx2
