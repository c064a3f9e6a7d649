// SPDX-License-Identifier: Apache-2.0
// SwiGLU with AVX2, eight lanes at a time, in 32 bits each but for products.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/activation_x86.hpp"
#include "kernels/activation_x86_divide.hpp"
#include "kernels/exp2.hpp"
#include "kernels/exp2_avx2.hpp"

#define INLINE [[gnu::always_inline]] inline

namespace mote::avx2 {
namespace {

constexpr std::size_t kLanes = 8;  // of a vector
using Words = std::uint32_t __attribute__((vector_size(32)));

INLINE __m256i set(int value) {
  return _mm256_set1_epi32(value);
}

INLINE __m256i load(const std::int32_t* lanes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes));
}

INLINE void store(std::int64_t* lanes, __m256i four) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), four);
}

/// |x| * log2(e), Q16, rounded half up; that of 24 where |x| is more.
INLINE __m256i exponent_of(__m256i x) {
  const __m256i magnitude = _mm256_min_epu32(_mm256_abs_epi32(x), set(24 << 16));
  const __m256i factor = set(static_cast<int>(kLog2eQ16));
  const __m256i half = _mm256_set1_epi64x(1 << 15);
  const __m256i even = _mm256_add_epi64(_mm256_mul_epu32(magnitude, factor), half);
  const __m256i odd =
      _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(magnitude, 32), factor), half);
  return _mm256_blend_epi32(_mm256_srli_epi64(even, 16), _mm256_slli_epi64(odd, 16), 0xaa);
}

/// sigmoid_q16, of x and 2^-(|x| log2(e)) in Q31, which is halved and rounded to Q30, then to Q16.
INLINE __m256i sigmoid(__m256i x, __m256i twice_power) {
  const __m256i q16 = _mm256_srli_epi32(_mm256_add_epi32(twice_power, set(1 + (1 << 14))), 15);
  const Words divisor = reinterpret_cast<Words>(_mm256_add_epi32(q16, set(1 << 16)));
  const __m256i positive = reinterpret_cast<__m256i>(x86::divide(divisor));
  const __m256i is_negative = _mm256_srai_epi32(x, 31);
  return _mm256_blendv_epi8(positive, _mm256_sub_epi32(set(1 << 16), positive), is_negative);
}

/// Products of the even or of the odd lanes become silu of Q20, in the lower half of 64 bits.
INLINE __m256i silu_of(__m256i product) {
  return _mm256_srli_epi64(_mm256_add_epi64(product, _mm256_set1_epi64x(1 << 11)), 12);
}

/// swiglu_q36 of eight lanes.
INLINE void swiglu(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up) {
  const __m256i x = load(gate);
  const __m256i y = load(up);
  const __m256i factor = sigmoid(x, twice_exp2_negative(exponent_of(x)));
  const __m256i limit = set((1 << 27) - 1);
  const __m256i limited =
      _mm256_max_epi32(_mm256_min_epi32(x, limit), _mm256_sub_epi32(set(0), limit));
  const __m256i even = _mm256_mul_epi32(silu_of(_mm256_mul_epi32(limited, factor)), y);
  const __m256i odd = _mm256_mul_epi32(
      silu_of(_mm256_mul_epi32(_mm256_srli_epi64(limited, 32), _mm256_srli_epi64(factor, 32))),
      _mm256_srli_epi64(y, 32));
  const __m256i first = _mm256_unpacklo_epi64(even, odd);
  const __m256i second = _mm256_unpackhi_epi64(even, odd);
  store(out, _mm256_permute2x128_si256(first, second, 0x20));
  store(out + kLanes / 2, _mm256_permute2x128_si256(first, second, 0x31));
}

}  // namespace

void swiglu_lanes(std::int64_t* out, const std::int32_t* gate, const std::int32_t* up,
                  std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) swiglu(out + i, gate + i, up + i);
  if (i == count) return;
  const std::size_t rest = count - i;
  std::int32_t part[2][kLanes] = {};
  std::int64_t last[kLanes];
  std::memcpy(part[0], gate + i, rest * sizeof *gate);
  std::memcpy(part[1], up + i, rest * sizeof *up);
  swiglu(last, part[0], part[1]);
  std::memcpy(out + i, last, rest * sizeof *out);
}

void quantize_swiglu(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> gate,
                     const std::int32_t* up, std::size_t block,
                     std::span<std::int64_t> /*scratch*/) {
  x86::quantize_swiglu<swiglu_lanes, quantize_blocks_s64_s8>(out, scales, gate, up, block);
}

}  // namespace mote::avx2
