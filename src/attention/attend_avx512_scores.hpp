// SPDX-License-Identifier: Apache-2.0
// The first steps of attend_avx512.cpp, which alone includes it: scores and weights, sixteen
// positions at a time.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "attention/attend_x86_head.hpp"
#include "kernels/exp2_avx512.hpp"

// Numbers in registers stay there only where everything is one function.
#define INLINE [[gnu::always_inline]] inline
#define INLINE_LAMBDA __attribute__((always_inline))

namespace mote::avx512 {
namespace {

constexpr std::uint32_t kStep = 16;        // positions whose numbers fill a vector
constexpr std::uint32_t kQuad = 4;         // positions that one vpdpbusd adds up
constexpr std::size_t kBytes = 64;         // of a vector
constexpr int kDigits = 3;                 // bytes of a contribution
constexpr std::uint32_t kWeightStep = 64;  // positions whose weights are found at once
using x86::kContributionBits;
using x86::kOwnPositions;
using x86::kProductDrop;

/// Head sizes with code of their own; all others up to 64 lanes, and longer ones.
constexpr std::size_t kOneVector = 64;
constexpr std::size_t kLong = 256;

INLINE __m512i set(int value) {
  return _mm512_set1_epi32(value);
}

/// Positions of a step: all, or those that are left of a segment.
struct Step {
  std::uint32_t count;
  __mmask16 mask;
};

INLINE Step last_step(std::uint32_t rest) {
  return {rest, static_cast<__mmask16>((1U << rest) - 1U)};
}

/// Calls visit(first position, step), so that it is compiled for whole steps by themselves.
template <typename Visit>
INLINE void for_each_step(std::uint32_t count, const Visit& visit) {
  std::uint32_t t = 0;
  for (; t + kStep <= count; t += kStep) visit(t, Step{kStep, 0xffff});
  if (t < count) visit(t, last_step(count - t));
}

/// The first `bytes` bytes of a vector, up to all; none where they are negative or 0.
INLINE __mmask64 first_bytes(int bytes) {
  if (bytes <= 0) return 0;
  return ~std::uint64_t{0} >> (64 - (bytes < 64 ? bytes : 64));
}

/// Scales: mantissa * 2^(above - 1). Those past the mask are 0.
struct Scales {
  __m512i mantissa;
  __m512i above;
};

INLINE __m512i load_bits(const Scale16* scales, __mmask16 mask) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, scales));
}

INLINE __m512i exponents_above(__m512i bits) {
  return _mm512_max_epi32(_mm512_srli_epi32(bits, 11), set(1));
}

INLINE Scales load_scales(const Scale16* scales, __mmask16 mask) {
  const __m512i bits = load_bits(scales, mask);
  const __mmask16 is_normal = _mm512_cmpge_epu32_mask(bits, set(0x800));
  const __m512i fraction = _mm512_and_si512(bits, set(0x7ff));
  return {_mm512_mask_or_epi32(fraction, is_normal, fraction, set(0x800)), exponents_above(bits)};
}

/// Sums of each four int32 of four vectors: those of a, b, c and d side by side.
INLINE __m512i add_fours(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/// Sums of 128-bit parts: of neighbours in a, then in b.
INLINE __m512i add_parts(__m512i a, __m512i b) {
  return _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
}

/// Keys times query, of unsigned keys (plus 128), whose excess `start` takes out.
INLINE __m512i multiply_keys(__m512i start, __m512i keys, __m512i query) {
  return _mm512_dpbusd_epi32(start, _mm512_xor_si512(keys, _mm512_set1_epi8(-128)), query);
}

/// A query that is repeated as often as it fits 64 bytes (heads of 8 and 16 lanes), or is longer.
template <std::size_t H>
struct Query {
  static constexpr std::size_t kVectors = H == kLong ? kLong / kBytes : 1;
  __m512i lanes[kVectors];
  __m512i start[kVectors];  // -128 * the sum of each four lanes
  std::size_t head_size;
};

template <std::size_t H>
INLINE Query<H> load_query(const std::int8_t* values, std::size_t head_size) {
  Query<H> query = {};
  query.head_size = head_size;
  if (H == 8) {
    query.lanes[0] =
        _mm512_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(values)));
  } else if (H == 16) {
    query.lanes[0] =
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
  } else {
    for (std::size_t i = 0; i < Query<H>::kVectors; ++i) {
      const __mmask64 mask = first_bytes(static_cast<int>(head_size) - static_cast<int>(i * 64));
      query.lanes[i] = _mm512_maskz_loadu_epi8(mask, values + i * kBytes);
    }
  }
  for (std::size_t i = 0; i < Query<H>::kVectors; ++i) {
    query.start[i] = _mm512_sub_epi32(
        _mm512_setzero_si512(),
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(-128), query.lanes[i]));
  }
  return query;
}

/// Products with one key, 16 sums of four lanes or more.
template <std::size_t H>
INLINE __m512i multiply_row(const Query<H>& query, const std::int8_t* key) {
  if (H == kOneVector) {
    const __mmask64 mask = first_bytes(static_cast<int>(query.head_size));
    return multiply_keys(query.start[0], _mm512_maskz_loadu_epi8(mask, key), query.lanes[0]);
  }
  __m512i sums = _mm512_setzero_si512();
  for (std::size_t i = 0; i < Query<H>::kVectors && i * kBytes < query.head_size; ++i) {
    const __mmask64 mask = first_bytes(static_cast<int>(query.head_size - i * kBytes));
    sums = _mm512_add_epi32(
        sums, multiply_keys(query.start[i], _mm512_maskz_loadu_epi8(mask, key + i * kBytes),
                            query.lanes[i]));
  }
  return sums;
}

/// Dot products with the keys of a step.
template <std::size_t H>
INLINE __m512i dot_keys(const Query<H>& query, const std::int8_t* keys, std::uint32_t count) {
  if (H == 8 || H == 16) {
    constexpr int kVectors = H == 8 ? 2 : 4;
    __m512i sums[4] = {};
    for (int i = 0; i < kVectors; ++i) {
      const __mmask64 mask = first_bytes(static_cast<int>(count * H) - 64 * i);
      sums[i] = multiply_keys(query.start[0], _mm512_maskz_loadu_epi8(mask, keys + 64 * i),
                              query.lanes[0]);
    }
    if (H == 8) {
      const __m512i even =
          _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
      const __m512i odd = _mm512_add_epi32(even, set(1));
      return _mm512_add_epi32(_mm512_permutex2var_epi32(sums[0], even, sums[1]),
                              _mm512_permutex2var_epi32(sums[0], odd, sums[1]));
    }
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, add_fours(sums[0], sums[1], sums[2], sums[3]));
  }
  __m512i fours[4];
  for (std::uint32_t f = 0; f < 4; ++f) {
    __m512i sums[4];
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t row = 4 * f + i;
      sums[i] = multiply_row(query, keys + (row < count ? row : 0) * query.head_size);
    }
    fours[f] = add_fours(sums[0], sums[1], sums[2], sums[3]);
  }
  return add_parts(add_parts(fours[0], fours[1]), add_parts(fours[2], fours[3]));
}

/// The upper halves of the products of unsigned numbers.
INLINE __m512i high_products(__m512i a, __m512i b) {
  const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(a, b), 32);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  return _mm512_mask_mov_epi32(even, 0xaaaa, odd);
}

/// Those of signed numbers with unsigned ones.
INLINE __m512i high_signed_products(__m512i a, __m512i b) {
  const __m512i even = _mm512_srli_epi64(_mm512_mul_epi32(a, b), 32);
  const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
  const __m512i high = _mm512_mask_mov_epi32(even, 0xaaaa, odd);
  return _mm512_mask_add_epi32(high, _mm512_movepi32_mask(b), high, a);
}

/// value / 2^(shift + 1), rounded half up; 0 for shifts of 32 and more.
INLINE __m512i halve_round(__m512i shifted) {
  return _mm512_srai_epi32(_mm512_add_epi32(shifted, set(1)), 1);
}

/// What all positions together decide about the weights.
struct Largest {
  __m512i score = _mm512_set1_epi32(INT32_MIN);
  __mmask16 rare = 0;  // not zero: some number does not fit
};

/// Where numbers of positions are kept between the steps: a memory of this function, in which every
/// segment begins anew, at a multiple of 64, or, for more positions, the caller's, side by side.
/// Whole vectors are read again sooner than parts.
template <bool kPadded>
struct Numbers {
  static std::uint32_t width(std::uint32_t count) {
    return kPadded ? (count + kWeightStep - 1) / kWeightStep * kWeightStep : count;
  }
  INLINE static void store(std::uint32_t* at, __mmask16 mask, __m512i numbers) {
    if (kPadded) return _mm512_store_si512(at, numbers);
    _mm512_mask_storeu_epi32(at, mask, numbers);
  }
  INLINE static __m512i load(const std::uint32_t* at, __mmask16 mask) {
    return kPadded ? _mm512_load_si512(at) : _mm512_maskz_loadu_epi32(mask, at);
  }
};

/// Base-2 scores of a segment in Q16.
///   raise of the dot product, by which its product with the mantissas needs no lower half
template <std::size_t H, bool kPadded>
INLINE void score_segment(std::uint32_t* scores, Largest& largest, const KvSegment& segment,
                          const Query<H>& query, Multiplier factor) {
  const int raise = __builtin_clz(static_cast<unsigned>(query.head_size) << 14) - 1;
  const __m128i raised = _mm_cvtsi32_si128(raise);
  const __m512i base = set(raise + 1 - 33 - factor.exponent);
  const __m512i mantissa = set(static_cast<int>(factor.mantissa));
  for_each_step(segment.count, [&](std::uint32_t t, Step step) INLINE_LAMBDA {
    if (H > 16) x86::fetch_step<kStep>(segment, t, query.head_size);
    const Scales scale = load_scales(segment.key_scales + t, step.mask);
    const __m512i dots = dot_keys(query, segment.keys + t * query.head_size, step.count);
    const __m512i high = high_signed_products(_mm512_sll_epi32(dots, raised),
                                              _mm512_mullo_epi32(scale.mantissa, mantissa));
    const __m512i shift = _mm512_sub_epi32(base, scale.above);
    const __m512i result = halve_round(_mm512_srav_epi32(high, shift));
    Numbers<kPadded>::store(scores + t, step.mask, result);
    largest.score = _mm512_mask_max_epi32(largest.score, step.mask, largest.score, result);
    largest.rare = static_cast<__mmask16>(
        largest.rare | _mm512_mask_cmplt_epi32_mask(step.mask, shift, _mm512_setzero_si512()));
  });
}

/// What all positions together decide about the contributions.
struct Totals {
  __m512i sum = _mm512_setzero_si512();    // of the weights, 64 bits each
  __m512i width = _mm512_setzero_si512();  // bits of the largest weight * value scale
};

/// Replaces the scores of up to `Steps` steps by weight * mantissa of the value's scale, less the
/// lowest bits. // (Steps - 1) * 16 < count
template <std::uint32_t Steps, bool kPadded>
INLINE void weigh_steps(std::uint32_t* scores, Totals& totals, const Scale16* scales,
                        std::uint32_t count, __m512i largest) {
  const std::uint32_t before = (Steps - 1) * kStep;
  const auto last =
      static_cast<__mmask16>(0xffffU >> (count - before < kStep ? kStep - (count - before) : 0));
  __m512i below[4];
  __m512i weights[4];
  for (std::uint32_t v = 0; v < Steps; ++v) {
    const __mmask16 mask = v + 1 < Steps ? 0xffff : last;
    below[v] = _mm512_sub_epi32(largest, Numbers<kPadded>::load(scores + kStep * v, mask));
  }
  exp2_negative<Steps>(weights, below);
  __m512i sum = _mm512_setzero_si512();
  for (std::uint32_t v = 0; v < Steps; ++v) {
    const __mmask16 mask = v + 1 < Steps ? 0xffff : last;
    // From Q30 to Q24.
    weights[v] = _mm512_maskz_srli_epi32(mask, _mm512_add_epi32(weights[v], set(32)), 6);
    sum = _mm512_add_epi32(sum, weights[v]);
    const Scales scale = load_scales(scales + kStep * v, mask);
    const __m512i product = high_products(_mm512_slli_epi32(weights[v], 7),
                                          _mm512_slli_epi32(scale.mantissa, 25 - kProductDrop));
    Numbers<kPadded>::store(scores + kStep * v, mask, product);
    const __m512i width = _mm512_sub_epi32(_mm512_add_epi32(scale.above, set(31 + kProductDrop)),
                                           _mm512_lzcnt_epi32(product));
    totals.width = _mm512_max_epi32(totals.width, width);
  }
  totals.sum = _mm512_add_epi64(totals.sum, _mm512_and_si512(sum, _mm512_set1_epi64(0xffffffff)));
  totals.sum = _mm512_add_epi64(totals.sum, _mm512_srli_epi64(sum, 32));
}

template <bool kPadded>
Totals weigh_segment(std::uint32_t* scores, Totals totals, const Scale16* scales,
                     std::uint32_t count, __m512i largest) {
  for (; count > 3 * kStep; scores += kWeightStep, scales += kWeightStep) {
    weigh_steps<4, kPadded>(scores, totals, scales, count, largest);
    if (count <= kWeightStep) return totals;
    count -= kWeightStep;
  }
  if (count > 2 * kStep) {
    weigh_steps<3, kPadded>(scores, totals, scales, count, largest);
  } else if (count > kStep) {
    weigh_steps<2, kPadded>(scores, totals, scales, count, largest);
  } else if (count != 0) {
    weigh_steps<1, kPadded>(scores, totals, scales, count, largest);
  }
  return totals;
}

}  // namespace
}  // namespace mote::avx512
