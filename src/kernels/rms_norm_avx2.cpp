// SPDX-License-Identifier: Apache-2.0
// Operations of the norm and the residual with AVX2.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/isa_rounding.hpp"
#include "kernels/rms_norm_x86.hpp"

namespace mote::avx2 {
namespace {

constexpr std::uint32_t kLanes = 16;  // of 16 bits in a vector

/// The sum of squares of a block. // count at most 64, a multiple of 16
std::uint64_t sum_squares(const std::int8_t* values, std::uint32_t count) {
  __m256i sums = _mm256_setzero_si256();
  for (std::uint32_t i = 0; i < count; i += kLanes) {
    const __m256i lanes =
        _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values + i)));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(lanes, lanes));
  }
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
}

}  // namespace

Multiplier norm_factor(const std::int8_t* values, std::span<const std::uint32_t> scales, int unit,
                       std::uint32_t block, std::uint32_t dim, std::uint64_t epsilon) {
  const int sum_unit = unit + isa::kNormDrop / 2;
  std::uint64_t total = isa::norm_epsilon(epsilon, sum_unit);
  const std::uint32_t* scale = scales.data();
  for (std::size_t b = 0; b < scales.size(); ++b, values += block) {
    total += ((sum_squares(values, block) * scale[b]) >> isa::kNormDrop) * scale[b];
  }
  return isa::norm_factor(total, dim, sum_unit);
}

void add_residual(std::span<std::int32_t> residual, const std::int32_t* delta) {
  constexpr std::size_t kStep = 8;
  std::int32_t* const lanes = residual.data();
  const std::size_t count = residual.size();
  std::size_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    auto* const place = reinterpret_cast<__m256i*>(lanes + i);
    const __m256i a = _mm256_loadu_si256(place);
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(delta + i));
    const __m256i sum = _mm256_add_epi32(a, b);
    // The sign of (a ^ sum) & (b ^ sum): an overflow, towards the sign of a.
    const __m256i over = _mm256_and_si256(_mm256_xor_si256(a, sum), _mm256_xor_si256(b, sum));
    const __m256i limit = _mm256_xor_si256(_mm256_srai_epi32(a, 31), _mm256_set1_epi32(INT32_MAX));
    _mm256_storeu_si256(place, _mm256_blendv_epi8(sum, limit, _mm256_srai_epi32(over, 31)));
  }
  ref::add_residual(std::span<std::int32_t>(lanes + i, count - i), delta + i);
}

}  // namespace mote::avx2
