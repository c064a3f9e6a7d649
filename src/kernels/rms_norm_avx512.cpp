// SPDX-License-Identifier: Apache-2.0
// Operations of the norm and the residual with AVX-512.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/rms_norm_x86.hpp"
#include "kernels/isa_rounding.hpp"

namespace mote::avx512 {
namespace {

constexpr std::uint32_t kLanes = 32;  // of 16 bits in a vector

/// The sum of squares of a block. // count at most 64
std::uint64_t sum_squares(const std::int8_t* values, std::uint32_t count) {
  __m512i sums = _mm512_setzero_si512();
  for (std::uint32_t i = 0; i < count; i += kLanes) {
    const std::uint32_t rest = count - i;
    const __mmask32 mask = rest < kLanes ? (1U << rest) - 1U : 0xffffffffU;
    const __m512i lanes = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, values + i));
    sums = _mm512_add_epi32(sums, _mm512_madd_epi16(lanes, lanes));
  }
  return static_cast<std::uint32_t>(_mm512_reduce_add_epi32(sums));
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
  constexpr std::size_t kStep = 16;
  std::int32_t* const lanes = residual.data();
  const std::size_t count = residual.size();
  for (std::size_t i = 0; i < count; i += kStep) {
    const std::size_t rest = count - i;
    const auto mask = static_cast<__mmask16>(rest < kStep ? (1U << rest) - 1U : 0xffffU);
    const __m512i a = _mm512_maskz_loadu_epi32(mask, lanes + i);
    const __m512i b = _mm512_maskz_loadu_epi32(mask, delta + i);
    const __m512i sum = _mm512_add_epi32(a, b);
    // The sign of (a ^ sum) & (b ^ sum): an overflow, towards the sign of a.
    const __m512i over = _mm512_and_si512(_mm512_xor_si512(a, sum), _mm512_xor_si512(b, sum));
    const __m512i limit = _mm512_xor_si512(_mm512_srai_epi32(a, 31), _mm512_set1_epi32(INT32_MAX));
    _mm512_mask_storeu_epi32(lanes + i, mask,
                             _mm512_mask_mov_epi32(sum, _mm512_movepi32_mask(over), limit));
  }
}

}  // namespace mote::avx512
