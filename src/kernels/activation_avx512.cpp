// SPDX-License-Identifier: Apache-2.0
// SwiGLU with AVX-512, up to 64 lanes at once, in 32 bits each but for products.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/activation_x86.hpp"
#include "kernels/activation_x86_divide.hpp"
#include "kernels/exp2.hpp"
#include "kernels/exp2_avx512.hpp"

#define INLINE [[gnu::always_inline]] inline

namespace mote::avx512 {
namespace {

constexpr std::size_t kLanes = 16;  // of a vector
constexpr std::size_t kGroup = 64;  // lanes whose powers are found at once
using Words = std::uint32_t __attribute__((vector_size(64)));

INLINE __m512i set(int value) {
  return _mm512_set1_epi32(value);
}

/// |x| * log2(e), Q16, rounded half up; that of 24 where |x| is more.
INLINE __m512i exponent_of(__m512i x) {
  const __m512i magnitude = _mm512_min_epu32(_mm512_abs_epi32(x), set(24 << 16));
  const __m512i factor = set(static_cast<int>(kLog2eQ16));
  const __m512i half = _mm512_set1_epi64(1 << 15);
  const __m512i even = _mm512_add_epi64(_mm512_mul_epu32(magnitude, factor), half);
  const __m512i odd =
      _mm512_add_epi64(_mm512_mul_epu32(_mm512_srli_epi64(magnitude, 32), factor), half);
  return _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 16), 0xaaaa, _mm512_slli_epi64(odd, 16));
}

/// sigmoid_q16, of x and 2^-(|x| log2(e)) in Q30.
INLINE __m512i sigmoid(__m512i x, __m512i power) {
  const __m512i q16 = _mm512_srli_epi32(_mm512_add_epi32(power, set(1 << 13)), 14);
  const Words divisor = reinterpret_cast<Words>(_mm512_add_epi32(q16, set(1 << 16)));
  const __m512i positive = reinterpret_cast<__m512i>(x86::divide(divisor));
  return _mm512_mask_sub_epi32(positive, _mm512_movepi32_mask(x), set(1 << 16), positive);
}

/// Products of the even and of the odd lanes become silu of Q20.
INLINE __m512i silu_of(__m512i product) {
  return _mm512_srai_epi64(_mm512_add_epi64(product, _mm512_set1_epi64(1 << 11)), 12);
}

/// swiglu_q36 of sixteen lanes, of which those in `mask` are written.
INLINE void store_swiglu(std::int64_t* out, __mmask16 mask, __m512i gate, __m512i power,
                         __m512i up) {
  const __m512i limit = set((1 << 27) - 1);
  const __m512i limited =
      _mm512_max_epi32(_mm512_min_epi32(gate, limit), _mm512_sub_epi32(set(0), limit));
  const __m512i factor = sigmoid(gate, power);
  const __m512i even = silu_of(_mm512_mul_epi32(limited, factor));
  const __m512i odd =
      silu_of(_mm512_mul_epi32(_mm512_srli_epi64(limited, 32), _mm512_srli_epi64(factor, 32)));
  const __m512i even_product = _mm512_mul_epi32(even, up);
  const __m512i odd_product = _mm512_mul_epi32(odd, _mm512_srli_epi64(up, 32));
  const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  _mm512_mask_storeu_epi64(out, static_cast<__mmask8>(mask),
                           _mm512_permutex2var_epi64(even_product, first, odd_product));
  _mm512_mask_storeu_epi64(out + 8, static_cast<__mmask8>(mask >> 8),
                           _mm512_permutex2var_epi64(even_product, second, odd_product));
}

}  // namespace

void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count) {
  for (std::size_t i = 0; i < count; i += kGroup) {
    const std::size_t rest = count - i;
    const __mmask64 mask = ~std::uint64_t{0} >> (rest < kGroup ? kGroup - rest : 0);
    __m512i gates[4];
    __m512i below[4];
    __m512i power[4];
    for (std::size_t v = 0; v < 4; ++v) {
      gates[v] = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask >> (kLanes * v)),
                                          gate + i + kLanes * v);
      below[v] = exponent_of(gates[v]);
    }
    exp2_negative<4>(power, below);
    for (std::size_t v = 0; v < 4; ++v) {
      const auto lanes = static_cast<__mmask16>(mask >> (kLanes * v));
      if (lanes == 0) break;
      const std::size_t at = i + kLanes * v;
      store_swiglu(out + at, lanes, gates[v], power[v], _mm512_maskz_loadu_epi32(lanes, up + at));
    }
  }
}

void quantize_swiglu(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> gate,
                     const std::int32_t* up, std::size_t block,
                     std::span<std::int64_t> /*scratch*/) {
  x86::quantize_swiglu<swiglu_lanes, quantize_blocks_s64_s8>(out, scales, gate, up, block);
}

}  // namespace mote::avx512
