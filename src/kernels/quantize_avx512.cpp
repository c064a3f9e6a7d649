// SPDX-License-Identifier: Apache-2.0
// Quantisation with AVX-512: lanes of 64 bits eight at a time, those of 32 bits sixteen.
#include "kernels/quantize_avx512.hpp"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/quantize_x86.hpp"

namespace mote::avx512 {
namespace {

constexpr std::size_t kWide = 8;     // lanes of 64 bits in a vector
constexpr std::size_t kNarrow = 16;  // lanes of 32 bits

__mmask8 wide_mask(std::size_t rest) {
  return static_cast<__mmask8>(rest < kWide ? (1U << rest) - 1U : 0xffU);
}

__mmask16 narrow_mask(std::size_t rest) {
  return static_cast<__mmask16>(rest < kNarrow ? (1U << rest) - 1U : 0xffffU);
}

std::uint64_t largest_magnitude(const std::int64_t* in, std::size_t count) {
  __m512i largest = _mm512_setzero_si512();
  for (std::size_t i = 0; i < count; i += kWide) {
    const __m512i lanes = _mm512_maskz_loadu_epi64(wide_mask(count - i), in + i);
    largest = _mm512_max_epu64(largest, _mm512_abs_epi64(lanes));
  }
  return _mm512_reduce_max_epu64(largest);
}

std::uint64_t largest_magnitude(const std::int32_t* in, std::size_t count) {
  __m512i largest = _mm512_setzero_si512();
  for (std::size_t i = 0; i < count; i += kNarrow) {
    const __m512i lanes = _mm512_maskz_loadu_epi32(narrow_mask(count - i), in + i);
    largest = _mm512_max_epu32(largest, _mm512_abs_epi32(lanes));
  }
  return _mm512_reduce_max_epu32(largest);
}

void round_block(std::int8_t* out, const std::int64_t* in, std::size_t count,
                 const BlockRounding& rounding) {
  for (std::size_t i = 0; i < count; i += kWide) {
    const __mmask8 mask = wide_mask(count - i);
    const __m512i lanes = _mm512_maskz_loadu_epi64(mask, in + i);
    _mm512_mask_cvtepi64_storeu_epi8(out + i, mask, round_lanes(lanes, rounding));
  }
}

/// Of lanes that need not be dropped.
void round_block(std::int8_t* out, const std::int32_t* in, std::size_t count,
                 const BlockRounding& rounding) {
  const x86::HalvesRounding halves = x86::halves_of(rounding);
  const __m512i ratio = _mm512_set1_epi32(halves.ratio);
  const __m128i shift = _mm_cvtsi32_si128(halves.shift);
  for (std::size_t i = 0; i < count; i += kNarrow) {
    const __mmask16 mask = narrow_mask(count - i);
    const __m512i lanes = _mm512_maskz_loadu_epi32(mask, in + i);
    const __m512i even = _mm512_srli_epi64(_mm512_mul_epi32(lanes, ratio), 32);
    const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(lanes, 32), ratio);
    const __m512i high = _mm512_sra_epi32(_mm512_mask_mov_epi32(even, 0xaaaa, odd), shift);
    const __m512i rounded = _mm512_srai_epi32(_mm512_add_epi32(high, _mm512_set1_epi32(1)), 1);
    _mm512_mask_cvtepi32_storeu_epi8(out + i, mask, rounded);
  }
}

}  // namespace

Scale16 quantize_block_s64_s8(std::int8_t* out, std::span<const std::int64_t> in, Multiplier unit) {
  const std::uint64_t largest = largest_magnitude(in.data(), in.size());
  BlockRounding rounding;
  if (largest == 0 || !find_rounding(rounding, largest, unit)) {
    return ref::quantize_block_s64_s8(out, in, unit);
  }
  round_block(out, in.data(), in.size(), rounding);
  return rounding.scale;
}

Scale16 quantize_block_s32_s8(std::int8_t* out, std::span<const std::int32_t> in, Multiplier unit) {
  const std::uint64_t largest = largest_magnitude(in.data(), in.size());
  BlockRounding rounding;
  if (largest == 0 || !find_rounding(rounding, largest, unit) || rounding.drop != 0 ||
      !x86::is_rounded_in_halves(rounding)) {
    return ref::quantize_block_s32_s8(out, in, unit);
  }
  round_block(out, in.data(), in.size(), rounding);
  return rounding.scale;
}

}  // namespace mote::avx512
