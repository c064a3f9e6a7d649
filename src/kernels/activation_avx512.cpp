// SPDX-License-Identifier: Apache-2.0
// SwiGLU with AVX-512, eight lanes at a time in 64 bits each.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/activation_x86.hpp"
#include "kernels/exp2.hpp"

namespace mote::avx512 {
namespace {

constexpr std::size_t kLanes = 8;

__m512i wide(std::int64_t value) {
  return _mm512_set1_epi64(value);
}

/// exp2_negative.
__m512i power_of_two(__m512i below) {
  const __m512i whole = _mm512_srli_epi64(below, 16);
  const __m512i index = _mm512_and_si512(_mm512_srli_epi64(below, 8), wide(0xff));
  const __m512i between = _mm512_and_si512(below, wide(0xff));
  // Each gathered 64 bits hold a power and the one after it.
  const __m512i pair = _mm512_i64gather_epi64(index, &kPowersOfTwo, 4);
  const __m512i power = _mm512_and_si512(pair, wide(0xffffffff));
  const __m512i step = _mm512_sub_epi64(power, _mm512_srli_epi64(pair, 32));
  const __m512i fall =
      _mm512_srli_epi64(_mm512_add_epi64(_mm512_mul_epu32(step, between), wide(128)), 8);
  const __m512i twice = _mm512_slli_epi64(_mm512_sub_epi64(power, fall), 1);
  const __m512i result =
      _mm512_srli_epi64(_mm512_add_epi64(_mm512_srlv_epi64(twice, whole), wide(1)), 1);
  return _mm512_maskz_mov_epi64(_mm512_cmplt_epi64_mask(whole, wide(31)), result);
}

/// round(2^32 / divisor), half up, for 2^16 to 2^17. Three steps of Newton's method lead from a
/// line that is 6 % away to within one of the result, and the remainder says on which side.
__m512i divide(__m512i divisor) {
  // In Q31, of the divisor in Q16; the line is 0.957 - (d - 1) / 2.
  __m512i inverse = _mm512_sub_epi64(wide((std::int64_t{957} << 31) / 1000 + (1 << 30)),
                                     _mm512_slli_epi64(divisor, 14));
  for (int step = 0; step < 3; ++step) {
    const __m512i product = _mm512_srli_epi64(_mm512_mul_epu32(inverse, divisor), 16);
    inverse = _mm512_srli_epi64(
        _mm512_mul_epu32(inverse, _mm512_sub_epi64(wide(std::int64_t{1} << 32), product)), 31);
  }
  const __m512i quotient = _mm512_srli_epi64(inverse, 15);
  // quotient * divisor lies within half a divisor of 2^32, its upper end included.
  const __m512i half = _mm512_srli_epi64(divisor, 1);
  const __m512i rest = _mm512_sub_epi64(_mm512_add_epi64(wide(std::int64_t{1} << 32), half),
                                        _mm512_mul_epu32(quotient, divisor));
  const __mmask8 low = _mm512_cmpge_epi64_mask(rest, divisor);
  const __mmask8 high = _mm512_cmplt_epi64_mask(rest, _mm512_setzero_si512());
  const __m512i raised = _mm512_mask_add_epi64(quotient, low, quotient, wide(1));
  return _mm512_mask_sub_epi64(raised, high, raised, wide(1));
}

/// sigmoid_q16.
__m512i sigmoid(__m512i x) {
  const __m512i magnitude = _mm512_min_epi64(_mm512_abs_epi64(x), wide(24 << 16));
  const __m512i below = _mm512_srli_epi64(
      _mm512_add_epi64(_mm512_mul_epu32(magnitude, wide(kLog2eQ16)), wide(1 << 15)), 16);
  const __m512i power = _mm512_srli_epi64(_mm512_add_epi64(power_of_two(below), wide(1 << 13)), 14);
  const __m512i positive = divide(_mm512_add_epi64(power, wide(1 << 16)));
  const __mmask8 negative = _mm512_cmplt_epi64_mask(x, _mm512_setzero_si512());
  return _mm512_mask_sub_epi64(positive, negative, wide(1 << 16), positive);
}

__m512i swiglu(__m512i gate, __m512i up) {
  const __m512i limit = wide((1 << 27) - 1);
  const __m512i limited = _mm512_max_epi64(_mm512_min_epi64(gate, limit),
                                           _mm512_sub_epi64(_mm512_setzero_si512(), limit));
  const __m512i product = _mm512_mul_epi32(limited, sigmoid(gate));
  const __m512i silu = _mm512_srai_epi64(_mm512_add_epi64(product, wide(1 << 11)), 12);
  return _mm512_mul_epi32(silu, up);
}

}  // namespace

void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const std::size_t rest = count - i;
    const auto mask = static_cast<__mmask8>(rest < kLanes ? (1U << rest) - 1U : 0xffU);
    const __m512i result = swiglu(_mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(mask, gate + i)),
                                  _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(mask, up + i)));
    _mm512_mask_storeu_epi64(out + i, mask, result);
  }
}

}  // namespace mote::avx512
