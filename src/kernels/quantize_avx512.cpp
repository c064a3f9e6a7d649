// SPDX-License-Identifier: Apache-2.0
// Quantisation with AVX-512, eight lanes at a time.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/quantize_x86.hpp"

namespace mote::avx512 {
namespace {

constexpr std::size_t kLanes = 8;

__mmask8 mask_of(std::size_t rest) {
  return static_cast<__mmask8>(rest < kLanes ? (1U << rest) - 1U : 0xffU);
}

__m512i load(__mmask8 mask, const std::int64_t* in) {
  return _mm512_maskz_loadu_epi64(mask, in);
}

__m512i load(__mmask8 mask, const std::int32_t* in) {
  return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(mask, in));
}

template <typename Lane>
std::uint64_t largest_magnitude(const Lane* in, std::size_t count) {
  __m512i largest = _mm512_setzero_si512();
  for (std::size_t i = 0; i < count; i += kLanes) {
    const __m512i lanes = load(mask_of(count - i), in + i);
    largest = _mm512_max_epu64(largest, _mm512_abs_epi64(lanes));
  }
  return _mm512_reduce_max_epu64(largest);
}

/// A block whose rounding is none of the rare ones.
template <typename Lane>
void round_lanes(std::int8_t* out, const Lane* in, std::size_t count,
                 const BlockRounding& rounding) {
  const __m128i drop = _mm_cvtsi32_si128(rounding.drop);
  const __m128i shift = _mm_cvtsi32_si128(rounding.shift);
  const __m512i half_drop =
      _mm512_set1_epi64(rounding.drop == 0 ? 0 : std::int64_t{1} << (rounding.drop - 1));
  const __m512i half = _mm512_set1_epi64(std::int64_t{1} << (rounding.shift - 1));
  const __m512i ratio = _mm512_set1_epi64(rounding.ratio);
  const __m512i limit = _mm512_set1_epi64(127);
  const __m512i floor = _mm512_set1_epi64(-127);
  for (std::size_t i = 0; i < count; i += kLanes) {
    const __mmask8 mask = mask_of(count - i);
    const __m512i top = _mm512_sra_epi64(_mm512_add_epi64(load(mask, in + i), half_drop), drop);
    const __m512i product = _mm512_mul_epi32(top, ratio);
    const __m512i rounded = _mm512_sra_epi64(_mm512_add_epi64(product, half), shift);
    _mm512_mask_cvtepi64_storeu_epi8(out + i, mask,
                                     _mm512_max_epi64(_mm512_min_epi64(rounded, limit), floor));
  }
}

// A ratio of 2^31 is no signed number.
bool is_usual(const BlockRounding& rounding) {
  return rounding.shift >= 1 && rounding.shift <= 62 && rounding.ratio >> 31 == 0;
}

}  // namespace

Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit) {
  const BlockRounding rounding = round_block(largest_magnitude(in.data(), in.size()), unit);
  if (!is_usual(rounding)) return ref::quantize_block_s64_s8(out, in, unit);
  round_lanes(out, in.data(), in.size(), rounding);
  return rounding.scale;
}

Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit) {
  const BlockRounding rounding = round_block(largest_magnitude(in.data(), in.size()), unit);
  if (!is_usual(rounding)) return ref::quantize_block_s32_s8(out, in, unit);
  round_lanes(out, in.data(), in.size(), rounding);
  return rounding.scale;
}

}  // namespace mote::avx512
